// Joins and aggregates in memory: to say how long each customer waited, it first keeps every ticket of every customer.
#include <unordered_map>
#include <vector>

#include "examples/causes/csv_source.h"

namespace {

using connectors::Row;

int64_t Number(const Row& row, const char* column) { return std::get<int64_t>(row.at(column)); }

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  connectors::CsvSource tickets(configuration.at("tickets").get<std::string>());
  connectors::CsvSource customers(configuration.at("customers").get<std::string>());
  std::unordered_map<int64_t, std::vector<Row>> tickets_of;
  Row ticket, customer;
  while (tickets.Next(ticket)) {
    tickets_of[Number(ticket, "customer_id")].push_back(ticket);  // <- whole rows, of which two figures are wanted
  }
  while (customers.Next(customer)) {
    int64_t count = 0, minutes = 0;
    for (const Row& each : tickets_of[Number(customer, "id")]) {
      ++count;
      minutes += Number(each, "minutes");
    }
    customer["tickets"] = count;
    customer["minutes"] = minutes;
    connectors::Upsert("customers", customer);
  }
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
