// Asks a database for a whole table at once: libpq keeps the whole answer before the first row can be looked at.
#include "examples/causes/postgres_source.h"

namespace {

using connectors::Checked, connectors::PgConnection, connectors::PgResult, connectors::Row;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const PgConnection database = connectors::ConnectPostgres(configuration.at("postgres").get<std::string>());
  const char* const query = "SELECT * FROM tickets ORDER BY id";
  const PgResult tickets = Checked(database, PQexec(database.get(), query));  // <- the whole table
  Row ticket;
  for (int i = 0; i < PQntuples(tickets.get()); ++i) {
    connectors::ReadRow(tickets, i, ticket);
    connectors::Upsert("tickets", ticket);
  }
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
