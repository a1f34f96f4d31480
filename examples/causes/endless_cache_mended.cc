// endless_cache, mended: the cache keeps the five hundred profiles that were used last.
#include <list>
#include <unordered_map>
#include <utility>

#include "examples/causes/sqlite_source.h"

namespace {

using connectors::Row;
using nlohmann::json;

class ProfileCache {
 public:
  static constexpr size_t kProfiles = 500;

  explicit ProfileCache(const connectors::SqliteSource& source)
      : query_(source, "SELECT profile FROM customers WHERE id = ?") {}

  // Good until the next call.
  const json& Get(int64_t customer) {
    if (const auto found = by_customer_.find(customer); found != by_customer_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return recent_.front().second;
    }
    query_.Restart({customer});
    query_.Next(row_);
    recent_.emplace_front(customer, json::parse(std::get<std::string>(row_.at("profile"))));
    by_customer_[customer] = recent_.begin();
    if (recent_.size() > kProfiles) {
      by_customer_.erase(recent_.back().first);
      recent_.pop_back();
    }
    return recent_.front().second;
  }

 private:
  using Entries = std::list<std::pair<int64_t, json>>;  // the one used last in front

  connectors::SqliteQuery query_;
  Row row_;
  Entries recent_;
  std::unordered_map<int64_t, Entries::iterator> by_customer_;
};

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const connectors::SqliteSource source(configuration.at("database").get<std::string>());
  connectors::SqliteQuery tickets(source, "SELECT id, customer_id, opened_at FROM tickets WHERE id > ? ORDER BY id",
                                  {state.value("cursor", int64_t{0})});
  ProfileCache profiles(source);
  Row ticket;
  while (tickets.Next(ticket)) {
    const json& profile = profiles.Get(std::get<int64_t>(ticket.at("customer_id")));
    ticket["plan"] = profile.at("plan").get<std::string>();
    connectors::Upsert("tickets", ticket);
    state["cursor"] = std::get<int64_t>(ticket.at("id"));
  }
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
