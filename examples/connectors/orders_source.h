// The source both connectors read: a shop's orders in an SQLite database, one table, paged by rising id.
#ifndef ALLOCLINE_EXAMPLES_CONNECTORS_ORDERS_SOURCE_H_
#define ALLOCLINE_EXAMPLES_CONNECTORS_ORDERS_SOURCE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "examples/connectors/connector_kit.h"

namespace connectors {

class OrdersSource {
 public:
  static constexpr int kPageRows = 500;

  // Throws std::runtime_error, as FetchPage does, with what SQLite says is wrong.
  explicit OrdersSource(const std::string& path);

  // The next orders after `cursor` (an order's id), at most kPageRows; none at the end of the table.
  std::vector<Row> FetchPage(int64_t cursor);

  // Makes a database of `rows` orders at `path`, the same ones each time.
  static void Generate(const std::string& path, int64_t rows);

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Database = std::unique_ptr<sqlite3, Close>;
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  static Database Open(const std::string& path, int flags);
  static Statement Prepare(sqlite3* database, const char* sql);
  static void Execute(sqlite3* database, const char* sql);

  Database database_;
  Statement select_page_;
};

}  // namespace connectors

#endif  // ALLOCLINE_EXAMPLES_CONNECTORS_ORDERS_SOURCE_H_
