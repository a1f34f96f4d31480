// Makes what the connectors of this folder read, of about the given size and the same each time:
//
//   make_helpdesk database FILE.db [MIB]    SQLite: tickets and customers
//   make_helpdesk export FILE.json [MIB]    the tickets as one JSON document, each with its history
//   make_helpdesk csv DIRECTORY [MIB]       tickets.csv and customers.csv, both sorted by customer
//
// make_helpdesk.sql does it for PostgreSQL.
#include <sqlite3.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "examples/causes/sqlite_source.h"

namespace {

constexpr int64_t kTicketsEach = 8;  // of a customer, on the average

// Sentences without end, of which each text is a piece.
class Prose {
 public:
  Prose() {
    static constexpr std::array kWords = {
        "the",  "printer",  "on",     "our",    "second", "floor", "prints", "only", "blank",  "pages", "since",
        "we",   "moved",    "it",     "and",    "nobody", "knows", "why",    "this", "is",     "so",    "please",
        "send", "somebody", "before", "Friday", "or",     "call",  "me",     "back", "thanks", "again"};
    while (text_.size() < kBytes) text_.append(kWords[random_() % kWords.size()]) += ' ';
  }
  std::string_view Piece(size_t least, size_t most) {
    const size_t bytes = least + random_() % (most - least + 1);
    return std::string_view(text_).substr(random_() % (kBytes - bytes), bytes);
  }
  int64_t Below(int64_t bound) { return static_cast<int64_t>(random_()) % bound; }

 private:
  static constexpr size_t kBytes = 1 << 20;
  std::minstd_rand random_{1};
  std::string text_;
};

std::string Day(int64_t day) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "2026-%02d-%02d", static_cast<int>(day / 28 % 12 + 1),
                static_cast<int>(day % 28 + 1));
  return text.data();
}

std::ofstream Create(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot write " + path);
  return file;
}

void Finish(std::ofstream& file, const std::string& path) {
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

// ---------------------------------------------------------------- SQLite

void Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(database));
  }
}

std::unique_ptr<sqlite3_stmt, connectors::CloseSqlite> Prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(database));
  }
  return std::unique_ptr<sqlite3_stmt, connectors::CloseSqlite>(statement);
}

void Bind(sqlite3_stmt* statement, int place, int64_t value) { sqlite3_bind_int64(statement, place, value); }
void Bind(sqlite3_stmt* statement, int place, std::string_view value) {
  sqlite3_bind_text(statement, place, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
}

template <typename... Values>
void Insert(sqlite3_stmt* statement, const Values&... values) {
  int place = 0;
  (Bind(statement, ++place, values), ...);
  if (sqlite3_step(statement) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(sqlite3_db_handle(statement)));
  sqlite3_reset(statement);
}

// What a helpdesk knows of a customer: whom to call, and what they have bought.
std::string Profile(Prose& prose, int64_t customer) {
  nlohmann::json profile = {{"plan", customer % 7 == 0 ? "premium" : "basic"}, {"contacts", nlohmann::json::array()}};
  for (int64_t i = 0; i < 30; ++i) {
    profile["contacts"].push_back({{"name", prose.Piece(8, 20)}, {"phone", prose.Below(1'000'000'000)}, {"floor", i}});
  }
  return profile.dump();
}

void MakeDatabase(const std::string& path, int64_t bytes) {
  constexpr int64_t kCustomerBytes = 2100, kTicketBytes = 370;
  const int64_t customers = bytes / (kCustomerBytes + kTicketsEach * kTicketBytes) + 1;
  std::remove(path.c_str());
  sqlite3* raw = nullptr;
  const int code = sqlite3_open(path.c_str(), &raw);
  const std::unique_ptr<sqlite3, connectors::CloseSqlite> database(raw);
  if (code != SQLITE_OK) throw std::runtime_error("cannot make " + path);
  Execute(raw,
          "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
          "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, profile TEXT NOT NULL);"
          "CREATE TABLE tickets (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, agent_id INTEGER NOT NULL,"
          "  opened_at TEXT NOT NULL, closed_at TEXT NOT NULL, minutes INTEGER NOT NULL, replies INTEGER NOT NULL,"
          "  priority INTEGER NOT NULL, status TEXT NOT NULL, channel TEXT NOT NULL, subject TEXT NOT NULL,"
          "  body TEXT NOT NULL); BEGIN");
  Prose prose;
  const auto customer = Prepare(raw, "INSERT INTO customers VALUES (?, ?, ?)");
  for (int64_t id = 1; id <= customers; ++id) Insert(customer.get(), id, prose.Piece(10, 30), Profile(prose, id));
  const auto ticket = Prepare(raw, "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (int64_t id = 1; id <= customers * kTicketsEach; ++id) {
    // Who writes once, soon writes again.
    const int64_t writer = (id / kTicketsEach + prose.Below(100)) % customers + 1;
    Insert(ticket.get(), id, writer, prose.Below(40), Day(id / 100), Day(id / 100 + prose.Below(5)), prose.Below(3000),
           prose.Below(10), prose.Below(4), "closed", "mail", prose.Piece(20, 60), prose.Piece(100, 300));
  }
  Execute(raw, "COMMIT");
}

// ---------------------------------------------------------------- files

void MakeExport(const std::string& path, int64_t bytes) {
  std::ofstream file = Create(path);
  Prose prose;
  file << R"({"exported_at": "2026-06-01", "tickets": [)";
  for (int64_t id = 1; file.tellp() < bytes; ++id) {
    nlohmann::json ticket = {{"id", id},
                             {"customer_id", prose.Below(50'000)},
                             {"subject", prose.Piece(20, 60)},
                             {"history", nlohmann::json::array()}};
    for (int64_t step = prose.Below(12); step >= 0; --step) {
      ticket["history"].push_back({{"at", Day(id / 100 + step)}, {"by", prose.Below(40)}, {"did", prose.Piece(5, 40)}});
    }
    file << (id == 1 ? "\n" : ",\n") << ticket;
  }
  file << "\n]}\n";
  Finish(file, path);
}

void MakeCsv(const std::string& directory, int64_t bytes) {
  const std::string tickets_path = directory + "/tickets.csv", customers_path = directory + "/customers.csv";
  std::ofstream tickets = Create(tickets_path), customers = Create(customers_path);
  Prose prose;
  tickets << "customer_id,id,opened_at,minutes,agent,status,channel,subject\n";
  customers << "id,name,plan\n";
  int64_t id = 0;
  for (int64_t customer = 1; tickets.tellp() < bytes; ++customer) {
    customers << customer << ",\"" << prose.Piece(10, 30) << "\"," << (customer % 7 == 0 ? "premium" : "basic") << '\n';
    for (int64_t left = prose.Below(2 * kTicketsEach + 1); left > 0; --left) {
      ++id;
      tickets << customer << ',' << id << ',' << Day(id / 100) << ',' << prose.Below(3000) << ",agent-"
              << prose.Below(40) << ",closed,mail,\"Re: \"\"" << prose.Piece(20, 60) << "\"\"\"\n";
    }
  }
  Finish(tickets, tickets_path);
  Finish(customers, customers_path);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const auto make = what == "database" ? MakeDatabase
                    : what == "export" ? MakeExport
                    : what == "csv"    ? MakeCsv
                                       : nullptr;
  const double mib = argc > 3 ? std::atof(argv[3]) : 300;
  if (make == nullptr || argc < 3 || argc > 4 || !(mib > 0)) {
    std::fprintf(stderr, "usage: %s database FILE.db|export FILE.json|csv DIRECTORY [MIB]\n", argv[0]);
    return 2;
  }
  try {
    make(argv[2], static_cast<int64_t>(mib * (1 << 20)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}
