#include "examples/connectors/orders_source.h"

#include <array>
#include <random>
#include <stdexcept>
#include <string_view>

namespace connectors {
namespace {

[[noreturn]] void Fail(sqlite3* database, std::string_view what) {
  throw std::runtime_error(std::string(what) + ": " + (database ? sqlite3_errmsg(database) : "out of memory"));
}

Value ColumnValue(sqlite3_stmt* statement, int column) {
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

OrdersSource::Database OrdersSource::Open(const std::string& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database database(raw);
  if (code != SQLITE_OK) Fail(raw, "cannot open " + path);
  return database;
}

OrdersSource::Statement OrdersSource::Prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) Fail(database, sql);
  return Statement(statement);
}

void OrdersSource::Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Fail(database, sql);
}

OrdersSource::OrdersSource(const std::string& path)
    : database_(Open(path, SQLITE_OPEN_READONLY)),
      select_page_(Prepare(database_.get(),
                           "SELECT id, customer, product, quantity, price, ordered_at, note FROM orders "
                           "WHERE id > ? ORDER BY id LIMIT ?")) {}

std::vector<Row> OrdersSource::FetchPage(int64_t cursor) {
  sqlite3_stmt* statement = select_page_.get();
  sqlite3_reset(statement);
  sqlite3_bind_int64(statement, 1, cursor);
  sqlite3_bind_int(statement, 2, kPageRows);
  std::vector<Row> page;
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    Row row;
    for (int column = 0; column < sqlite3_column_count(statement); ++column) {
      row.emplace(sqlite3_column_name(statement, column), ColumnValue(statement, column));
    }
    page.push_back(std::move(row));
  }
  if (code != SQLITE_DONE) Fail(database_.get(), "cannot read orders");
  return page;
}

void OrdersSource::Generate(const std::string& path, int64_t rows) {
  static constexpr std::array kProducts = {"espresso beans, 1 kg", "paper filters", "hand grinder", "kettle"};
  static constexpr std::string_view kNote = "Please leave the parcel with the neighbours if nobody answers the door. ";
  const Database database = Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  Execute(database.get(),
          "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; DROP TABLE IF EXISTS orders;"
          "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, product TEXT NOT NULL,"
          "  quantity INTEGER NOT NULL, price REAL NOT NULL, ordered_at TEXT NOT NULL, note TEXT); BEGIN");
  const Statement insert = Prepare(
      database.get(), "INSERT INTO orders VALUES (?, ?, ?, ?, ?, datetime(1700000000 + 60 * ?1, 'unixepoch'), ?)");
  std::minstd_rand random(1);
  for (int64_t id = 1; id <= rows; ++id) {
    const std::string customer = "customer-" + std::to_string(random() % 20'000) + "@shop.example";
    const size_t note_bytes = random() % 3 == 0 ? random() % kNote.size() : 0;  // two orders of three have none
    sqlite3_bind_int64(insert.get(), 1, id);
    sqlite3_bind_text(insert.get(), 2, customer.c_str(), -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(insert.get(), 3, kProducts[random() % kProducts.size()], -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert.get(), 4, static_cast<int64_t>(random() % 9 + 1));
    sqlite3_bind_double(insert.get(), 5, static_cast<double>(random() % 20'000) / 100);
    if (note_bytes > 0) {
      sqlite3_bind_text(insert.get(), 6, kNote.data(), static_cast<int>(note_bytes), SQLITE_STATIC);
    } else {
      sqlite3_bind_null(insert.get(), 6);
    }
    if (sqlite3_step(insert.get()) != SQLITE_DONE) Fail(database.get(), "cannot insert");
    sqlite3_reset(insert.get());
  }
  Execute(database.get(), "COMMIT");
}

}  // namespace connectors
