// join_in_memory, mended: both files come sorted by customer, so they are read side by side, and a customer's tickets
// are counted as they pass.
#include <stdexcept>

#include "examples/causes/csv_source.h"

namespace {

using connectors::Row;

int64_t Number(const Row& row, const char* column) { return std::get<int64_t>(row.at(column)); }

// The tickets' file, which has to be sorted by customer.
class SortedTickets {
 public:
  explicit SortedTickets(const std::string& path) : source_(path) { Advance(); }

  // The ticket that comes next, if it is this customer's.
  bool At(int64_t customer) const { return left_ && Number(ticket_, "customer_id") == customer; }
  int64_t minutes() const { return Number(ticket_, "minutes"); }
  void Advance() {
    const int64_t last = ticket_.empty() ? 0 : Number(ticket_, "customer_id");
    left_ = source_.Next(ticket_);
    if (left_ && Number(ticket_, "customer_id") < last) throw std::runtime_error("tickets not sorted by customer");
  }

 private:
  connectors::CsvSource source_;
  Row ticket_;
  bool left_ = false;
};

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  SortedTickets tickets(configuration.at("tickets").get<std::string>());
  connectors::CsvSource customers(configuration.at("customers").get<std::string>());
  Row customer;
  while (customers.Next(customer)) {
    int64_t count = 0, minutes = 0;
    for (; tickets.At(Number(customer, "id")); tickets.Advance()) {
      ++count;
      minutes += tickets.minutes();
    }
    customer["tickets"] = count;
    customer["minutes"] = minutes;
    connectors::Upsert("customers", customer);
  }
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
