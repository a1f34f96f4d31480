#include "examples/causes/postgres_source.h"

#include <cstdlib>
#include <stdexcept>

namespace connectors {
namespace {

// Of types in pg_type, which never change.
constexpr Oid kInt8 = 20, kInt2 = 21, kInt4 = 23;

[[noreturn]] void FailPostgres(PGconn* connection) {
  throw std::runtime_error(connection ? PQerrorMessage(connection) : "out of memory");
}

}  // namespace

PgConnection ConnectPostgres(const std::string& where) {
  PgConnection connection(PQconnectdb(where.c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) FailPostgres(connection.get());
  return connection;
}

PgResult Checked(const PgConnection& connection, PGresult* result) {
  PgResult owned(result);
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
      return owned;
    default:
      FailPostgres(connection.get());
  }
}

std::string_view CellText(const PgResult& result, int index, int column) {
  return {PQgetvalue(result.get(), index, column), static_cast<size_t>(PQgetlength(result.get(), index, column))};
}

void ReadRow(const PgResult& result, int index, Row& row) {
  for (int column = 0; column < PQnfields(result.get()); ++column) {
    Value& cell = row[PQfname(result.get(), column)];
    const Oid type = PQftype(result.get(), column);
    if (PQgetisnull(result.get(), index, column)) {
      cell = nullptr;
    } else if (type == kInt8 || type == kInt4 || type == kInt2) {
      cell = int64_t{std::atoll(PQgetvalue(result.get(), index, column))};
    } else {
      cell = std::string(CellText(result, index, column));
    }
  }
}

}  // namespace connectors
