// whole_file, mended: each ticket is sent when the parser has come to its end, and does not become part of the tree.
#include <fstream>
#include <stdexcept>

#include "examples/causes/json_row.h"

namespace {

using nlohmann::json;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const std::string path = configuration.at("export").get<std::string>();
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  constexpr int kTicketDepth = 2;  // {"exported_at": ..., "tickets": [{this}, ...]}
  const json rest = json::parse(file, [](int depth, json::parse_event_t event, json& parsed) {
    if (depth != kTicketDepth || event != json::parse_event_t::object_end) return true;
    connectors::Upsert("tickets", connectors::RowOf(parsed));
    return false;  // it has been sent: the parser drops it
  });
  state["exported_at"] = rest.at("exported_at");
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
