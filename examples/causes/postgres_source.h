// What it takes to ask PostgreSQL by libpq: owners of its handles, and answers whose errors are thrown.
#ifndef ALLOCLINE_EXAMPLES_CAUSES_POSTGRES_SOURCE_H_
#define ALLOCLINE_EXAMPLES_CAUSES_POSTGRES_SOURCE_H_

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>

#include "examples/connectors/connector_kit.h"

namespace connectors {

struct ClosePostgres {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgConnection = std::unique_ptr<PGconn, ClosePostgres>;
using PgResult = std::unique_ptr<PGresult, ClosePostgres>;

// Both throw std::runtime_error with the server's message.
PgConnection ConnectPostgres(const std::string& where);  // as libpq wants it: "host=/run/postgresql dbname=helpdesk"
PgResult Checked(const PgConnection& connection, PGresult* result);

// A row of an answer: integers as such, everything else as text. ReadRow() leaves columns of `row` that it has alone.
void ReadRow(const PgResult& result, int index, Row& row);
std::string_view CellText(const PgResult& result, int index, int column);

}  // namespace connectors

#endif  // ALLOCLINE_EXAMPLES_CAUSES_POSTGRES_SOURCE_H_
