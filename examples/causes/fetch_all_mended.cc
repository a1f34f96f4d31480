// fetch_all, mended: a cursor on the server gives the table in pages of five hundred rows.
#include "examples/causes/postgres_source.h"

namespace {

using connectors::Checked, connectors::PgConnection, connectors::PgResult, connectors::Row;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const PgConnection database = connectors::ConnectPostgres(configuration.at("postgres").get<std::string>());
  Checked(database, PQexec(database.get(), "BEGIN"));
  Checked(database, PQexec(database.get(), "DECLARE every_ticket CURSOR FOR SELECT * FROM tickets ORDER BY id"));
  Row ticket;
  for (;;) {
    const PgResult page = Checked(database, PQexec(database.get(), "FETCH 500 FROM every_ticket"));
    if (PQntuples(page.get()) == 0) break;
    for (int i = 0; i < PQntuples(page.get()); ++i) {
      connectors::ReadRow(page, i, ticket);
      connectors::Upsert("tickets", ticket);
    }
  }
  Checked(database, PQexec(database.get(), "COMMIT"));
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
