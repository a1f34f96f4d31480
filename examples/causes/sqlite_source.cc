#include "examples/causes/sqlite_source.h"

#include <stdexcept>

namespace connectors {
namespace {

[[noreturn]] void FailSqlite(sqlite3* database, const std::string& what) {
  throw std::runtime_error(what + ": " + (database ? sqlite3_errmsg(database) : "out of memory"));
}

Value CellOf(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
      return nullptr;
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    default:
      return std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                         static_cast<size_t>(sqlite3_column_bytes(statement, column)));
  }
}

}  // namespace

SqliteSource::SqliteSource(const std::string& path) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  database_.reset(raw);
  if (code != SQLITE_OK) FailSqlite(raw, "cannot open " + path);
}

SqliteQuery::SqliteQuery(const SqliteSource& source, const std::string& sql, std::initializer_list<int64_t> parameters)
    : database_(source.get()) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) FailSqlite(database_, sql);
  statement_.reset(statement);
  Restart(parameters);
}

void SqliteQuery::Restart(std::initializer_list<int64_t> parameters) {
  sqlite3_reset(statement_.get());
  int place = 0;
  for (const int64_t parameter : parameters) sqlite3_bind_int64(statement_.get(), ++place, parameter);
}

bool SqliteQuery::Next(Row& row) {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_DONE) return false;
  if (code != SQLITE_ROW) FailSqlite(database_, "cannot read the next row");
  for (int column = 0; column < sqlite3_column_count(statement_.get()); ++column) {
    row[sqlite3_column_name(statement_.get(), column)] = CellOf(statement_.get(), column);
  }
  return true;
}

}  // namespace connectors
