// Fetches in parallel without backpressure: four threads fill a queue faster than the destination empties it.
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
  void Push(const Row& ticket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tickets_.push_back(ticket);  // <- as many as are fetched, whether they can be sent or not
    changed_.notify_one();
  }
  void OneFetcherIsDone() {
    const std::lock_guard<std::mutex> lock(mutex_);
    --fetchers_left_;
    changed_.notify_one();
  }
  // All that are there, as soon as there are any; none when there are no more to come.
  std::deque<Row> Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !tickets_.empty() || fetchers_left_ == 0; });
    return std::exchange(tickets_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Row> tickets_;
  int fetchers_left_ = kFetchers;
};

void Fetch(const std::string& path, int64_t first, int64_t end, TicketQueue& queue) {
  struct Done {
    TicketQueue& queue;
    ~Done() { queue.OneFetcherIsDone(); }
  } const done{queue};
  const connectors::SqliteSource source(path);
  connectors::SqliteQuery query(source, "SELECT * FROM tickets WHERE id >= ? AND id < ?", {first, end});
  Row ticket;
  while (query.Next(ticket)) queue.Push(ticket);
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
  for (std::deque<Row> tickets; !(tickets = queue.Take()).empty();) {
    for (const Row& ticket : tickets) connectors::Upsert("tickets", ticket);
  }
  for (std::future<void>& fetcher : fetchers) fetcher.get();  // throws what stopped it
  connectors::Checkpoint(state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
