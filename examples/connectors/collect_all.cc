// The connector that is killed in a small container: it fetches the whole table before it sends the first row. Its
// memory grows with the source, and nothing in it looks wrong.
#include <allocline/allocline.hpp>
#include <vector>

#include "examples/connectors/connector_kit.h"
#include "examples/connectors/orders_source.h"

namespace {

using connectors::Row;

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  connectors::OrdersSource source(configuration.at("database").get<std::string>());
  int64_t cursor = state.value("cursor", int64_t{0});

  allocline::TakeSnapshot("before fetch");
  std::vector<Row> orders;
  for (;;) {
    const std::vector<Row> page = source.FetchPage(cursor);
    if (page.empty()) break;
    orders.insert(orders.end(), page.begin(), page.end());  // <- keeps every row until the last page is in
    cursor = std::get<int64_t>(page.back().at("id"));
  }
  allocline::TakeSnapshot("after fetch");

  for (const Row& order : orders) connectors::Upsert("orders", order);
  state["cursor"] = cursor;
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
