// What `allocline run --log` does while the program runs: it sees the snapshots that the processes of the run take as
// their container fills up, and says so at once, with the lines that hold the memory.
//
// It lives in the container whose limit is at stake, in front of a program that must not wait for it. So
//   - it looks a few times a second, at eight bytes of each recording;
//   - whatever takes memory or time (reading a recording, naming lines, writing to a log that nobody reads) is done by
//     a *reporter*, a process of its own for one message: of low priority, with a bound on its memory that depends on
//     what is left of the limit, and a bound on its time. If memory runs out nevertheless it is the first that the
//     kernel ends, and not the program (oom_score_adj);
//   - names of lines that a reporter found are handed back, so the next one mostly need not look for any;
//   - a message whose reporter came to nothing is written without lines, by another; where that fails too, or no
//     process can be made, by us, unless the log is full.
//
// Threads: one. A run of many processes: the first kMostFollowed are seen to as long as they live.
#ifndef ALLOCLINE_TOOLS_RUN_WATCH_H_
#define ALLOCLINE_TOOLS_RUN_WATCH_H_

#include <sys/types.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/unique_fd.h"
#include "recording/snapshot_follower.h"
#include "report/open_report.h"
#include "tools/rung_lines.h"
#include "tools/rung_log.h"

namespace allocline {

class RunWatch {
 public:
  static constexpr size_t kMostFollowed = 256;

  struct Settings {
    std::string directory;  // where the recordings of the run come to be
    uint64_t run_id = 0;
    bool as_json = false;  // messages of a connector's log, else lines of text
    OpenReportOptions symbols;
  };
  // Before the program starts: the recordings that are there are not its own.
  explicit RunWatch(Settings settings);
  ~RunWatch();
  RunWatch(const RunWatch&) = delete;
  RunWatch& operator=(const RunWatch&) = delete;

  // Looks for news and has them told. To be called again after so many nanoseconds, or when a child has ended.
  uint64_t Look();
  // The program has ended. What is still to be told is told before this returns: with lines, if the program ended by
  // itself; after a kill the summary has those.
  void Finish(bool was_killed);

 private:
  struct Followed {
    std::string path, program;
    uint32_t pid = 0;
    uint64_t start_ns = 0, emulated_limit = 0;
    SnapshotFollower snapshots;
  };
  struct Reporter {
    pid_t pid = -1;
    UniqueFd names;  // what it found out
    uint64_t deadline_ns = 0;
    LogPacer::Message message;
    bool with_lines = false;
  };

  // Of the directory, as it is now.
  template <typename See>
  void ForEachRecording(const See& see) const;
  void FindRecordings();
  void TakeNews();
  std::vector<RungSource> SourcesOf(const LogPacer::Message& message) const;
  void Tell(LogPacer::Message message, bool with_lines);
  void TellBriefly(const LogPacer::Message& message) const;
  void Write(int log, const LogPacer::Message& message, const RungLines& lines) const;
  // Sees to a reporter that has ended, or has had its time.
  void CollectReporter();
  void WaitForReporter(uint64_t most_ns);

  const Settings settings_;
  timespec scanned_{};       // the directory's last change that was looked at,
  uint64_t changed_ns_ = 0;  // and when it was first seen
  // Files of the directory, by name and inode: those that are recordings of this run or never will be, and those that
  // may become one, with the time when they were first seen.
  absl::flat_hash_set<uint64_t> judged_;
  absl::flat_hash_map<uint64_t, uint64_t> young_;
  std::vector<Followed> followed_;
  LogPacer pacer_;
  LineNames names_;
  std::optional<Reporter> reporter_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUN_WATCH_H_
