// Reads an SQLite database row by row: the helpdesk's tickets and customers, as `make_helpdesk database` makes them.
#ifndef ALLOCLINE_EXAMPLES_CAUSES_SQLITE_SOURCE_H_
#define ALLOCLINE_EXAMPLES_CAUSES_SQLITE_SOURCE_H_

#include <sqlite3.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "examples/connectors/connector_kit.h"

namespace connectors {

struct CloseSqlite {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

// One connection, for one thread. Everything here throws std::runtime_error with what SQLite says is wrong.
class SqliteSource {
 public:
  explicit SqliteSource(const std::string& path);
  sqlite3* get() const { return database_.get(); }

 private:
  std::unique_ptr<sqlite3, CloseSqlite> database_;
};

// A query's answer, of which one row at a time is in memory. The source must outlive it.
class SqliteQuery {
 public:
  SqliteQuery(const SqliteSource& source, const std::string& sql, std::initializer_list<int64_t> parameters = {});

  // From the first row again, with other parameters.
  void Restart(std::initializer_list<int64_t> parameters);
  // The next row in place of the last one; false after the last.
  bool Next(Row& row);

 private:
  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, CloseSqlite> statement_;
};

}  // namespace connectors

#endif  // ALLOCLINE_EXAMPLES_CAUSES_SQLITE_SOURCE_H_
