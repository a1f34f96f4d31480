// collect_first, mended: a ticket is sent when it is read, and a checkpoint after every thousand lets the next run go
// on from there.
#include "examples/causes/sqlite_source.h"

namespace {

using connectors::Row;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const connectors::SqliteSource source(configuration.at("database").get<std::string>());
  connectors::SqliteQuery query(source, "SELECT * FROM tickets WHERE id > ? ORDER BY id",
                                {state.value("cursor", int64_t{0})});
  Row ticket;
  for (int64_t sent = 1; query.Next(ticket); ++sent) {
    connectors::Upsert("tickets", ticket);
    state["cursor"] = std::get<int64_t>(ticket.at("id"));
    if (sent % 1000 == 0) connectors::Checkpoint(state);
  }
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
