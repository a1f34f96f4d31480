// Collects all data before it sends the first row: every ticket is in memory at once, however many there are.
#include <vector>

#include "examples/causes/sqlite_source.h"

namespace {

using connectors::Row;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const connectors::SqliteSource source(configuration.at("database").get<std::string>());
  connectors::SqliteQuery query(source, "SELECT * FROM tickets WHERE id > ? ORDER BY id",
                                {state.value("cursor", int64_t{0})});
  std::vector<Row> tickets;
  Row ticket;
  while (query.Next(ticket)) {
    tickets.push_back(ticket);  // <- every ticket is kept until the last one is read
  }
  for (const Row& each : tickets) connectors::Upsert("tickets", each);
  if (!tickets.empty()) state["cursor"] = std::get<int64_t>(tickets.back().at("id"));
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
