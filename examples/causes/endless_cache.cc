// A cache that lives as long as the sync: each customer's profile is looked up once, and never forgotten.
#include <unordered_map>

#include "examples/causes/sqlite_source.h"

namespace {

using connectors::Row;
using nlohmann::json;

class ProfileCache {
 public:
  explicit ProfileCache(const connectors::SqliteSource& source)
      : query_(source, "SELECT profile FROM customers WHERE id = ?") {}

  const json& Get(int64_t customer) {
    const auto found = profiles_.find(customer);
    if (found != profiles_.end()) return found->second;
    query_.Restart({customer});
    query_.Next(row_);
    const std::string& text = std::get<std::string>(row_.at("profile"));
    return profiles_.emplace(customer, json::parse(text)).first->second;  // <- nothing ever leaves the cache
  }

 private:
  connectors::SqliteQuery query_;
  Row row_;
  std::unordered_map<int64_t, json> profiles_;
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
