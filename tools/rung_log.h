// What `allocline run --log` says of a container that fills up, and how often.
//
//   allocline: limit-80%: the container is at 103 of 128 MiB; collect_all (pid 17150) has 85.9 MiB live:
//   collect_all.cc:22 83.0 MiB, orders_source.cc:62 1975 KiB        (one line)
//
// A log is read by people, paid for by the line, and cut where it is long. So of the snapshots that processes take on
// their way up each rung is told once, all that are new are told as one message about the worst of them, and messages
// are some seconds apart unless the next is worse. What a message stands for beside itself is counted in it.
//
// Threads: one.
#ifndef ALLOCLINE_TOOLS_RUNG_LOG_H_
#define ALLOCLINE_TOOLS_RUNG_LOG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "recording/snapshot_follower.h"
#include "tools/connector_log.h"

namespace allocline {

// A snapshot that a process took by itself.
struct RungNews {
  std::string recording;  // its path
  std::string program;
  uint32_t pid = 0;
  SnapshotHead snapshot;
  uint64_t emulated_limit = 0;  // of `run --limit`; 0: none

  // What counts against which limit: as the tracer has it.
  bool of_process() const { return snapshot.container_limit_bytes == 0; }
  uint64_t usage_bytes() const { return of_process() ? snapshot.rss_bytes : snapshot.container_usage_bytes; }
  uint64_t limit_bytes() const;
  // 100 for what is no rung: nothing comes after it but the end.
  unsigned percent() const;
  // Below 70 % of the limit information, from 90 % on severe.
  LogLevel level() const;
};

class LogPacer {
 public:
  static constexpr uint64_t kDistanceNs = 5'000'000'000;

  void Add(RungNews news);

  struct Message {
    RungNews news;
    size_t left_out = 0;  // others that came since the message before, and are not told
  };
  // What is to be said at `now`. `at_the_end`: whatever there is, however soon.
  std::optional<Message> Take(uint64_t now_ns, bool at_the_end = false);
  bool has_news() const { return !news_.empty(); }

 private:
  std::vector<RungNews> news_;  // not told yet
  size_t left_out_ = 0;         // told before, and come again
  // Labels; of a rung of the container with its limit, once for all processes, else with the recording.
  std::set<std::pair<std::string, std::string>> told_;
  std::optional<uint64_t> last_ns_;
  LogLevel last_level_ = LogLevel::kInfo;
};

// What is known of the lines that hold the memory: names as printed, the largest first.
struct RungLines {
  struct Line {
    std::string name;
    int64_t bytes = 0;
  };
  std::vector<Line> lines;
  int64_t live_bytes = 0;
  size_t processes = 0;  // that it is the sum of; 0: nothing is known
};

// One line, without its line break. At most 1000 bytes.
std::string RungText(const LogPacer::Message& message, const RungLines& lines);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUNG_LOG_H_
