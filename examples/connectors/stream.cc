// The same connector, mended: each page is sent and checkpointed before the next is fetched. Its memory is one page,
// whatever the size of the source, and a run that dies resumes at the last checkpoint.
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
  for (;;) {
    const std::vector<Row> page = source.FetchPage(cursor);
    if (page.empty()) break;
    for (const Row& order : page) connectors::Upsert("orders", order);
    cursor = std::get<int64_t>(page.back().at("id"));
    state["cursor"] = cursor;
    connectors::Checkpoint(state);
  }
  allocline::TakeSnapshot("after fetch");
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
