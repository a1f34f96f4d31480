// eager_fetch, mended: the queue has room for a thousand tickets, and a thread that finds it full waits.
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <utility>
#include <vector>

#include "examples/causes/sqlite_source.h"

namespace {

using connectors::Row;

constexpr int kFetchers = 4;

// Between the threads that fetch and the one that sends.
class TicketQueue {
 public:
  static constexpr size_t kTickets = 1000;

  // False when nobody wants any more.
  bool Push(const Row& ticket) {
    std::unique_lock<std::mutex> lock(mutex_);
    not_full_.wait(lock, [this] { return tickets_.size() < kTickets || closed_; });
    if (closed_) return false;
    tickets_.push_back(ticket);
    not_empty_.notify_one();
    return true;
  }
  void OneFetcherIsDone() {
    const std::lock_guard<std::mutex> lock(mutex_);
    --fetchers_left_;
    not_empty_.notify_one();
  }
  // All that are there, as soon as there are any; none when there are no more to come.
  std::deque<Row> Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    not_empty_.wait(lock, [this] { return !tickets_.empty() || fetchers_left_ == 0; });
    not_full_.notify_all();
    return std::exchange(tickets_, {});
  }
  void Close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    not_full_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable not_full_, not_empty_;
  std::deque<Row> tickets_;
  int fetchers_left_ = kFetchers;
  bool closed_ = false;
};

void Fetch(const std::string& path, int64_t first, int64_t end, TicketQueue& queue) {
  struct Done {
    TicketQueue& queue;
    ~Done() { queue.OneFetcherIsDone(); }
  } const done{queue};
  const connectors::SqliteSource source(path);
  connectors::SqliteQuery query(source, "SELECT * FROM tickets WHERE id >= ? AND id < ?", {first, end});
  Row ticket;
  while (query.Next(ticket) && queue.Push(ticket)) {
  }
}

int64_t LastTicket(const std::string& path) {
  Row row;
  connectors::SqliteQuery(connectors::SqliteSource(path), "SELECT ifnull(max(id), 0) AS last FROM tickets").Next(row);
  return std::get<int64_t>(row.at("last"));
}

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const std::string path = configuration.at("database").get<std::string>();
  const int64_t share = LastTicket(path) / kFetchers + 1;
  TicketQueue queue;
  std::vector<std::future<void>> fetchers;
  for (int64_t i = 0; i < kFetchers; ++i) {
    fetchers.push_back(std::async(std::launch::async, [&, i] { Fetch(path, i * share, (i + 1) * share, queue); }));
  }
  struct Close {  // also when a ticket cannot be sent: no fetcher waits for ever
    TicketQueue& queue;
    ~Close() { queue.Close(); }
  } const close{queue};
  for (std::deque<Row> tickets; !(tickets = queue.Take()).empty();) {
    for (const Row& ticket : tickets) connectors::Upsert("tickets", ticket);
  }
  for (std::future<void>& fetcher : fetchers) fetcher.get();  // throws what stopped it
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
