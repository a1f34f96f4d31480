// Loads a large file whole: the export is one JSON document, and a parsed document takes several times its size.
#include <fstream>
#include <stdexcept>

#include "examples/causes/json_row.h"

namespace {

using nlohmann::json;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const std::string path = configuration.at("export").get<std::string>();
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  const json document = json::parse(file);  // <- the whole file, as a tree
  for (const json& ticket : document.at("tickets")) connectors::Upsert("tickets", connectors::RowOf(ticket));
  state["exported_at"] = document.at("exported_at");
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
