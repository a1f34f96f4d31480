// Which moments of a recording its growth is judged by.
//
// They are the labelled snapshots, without those the tracer took by itself (the ladder's rungs come where memory is
// short, not where a unit of work ends), and then the state at the end. That of a program that ran its exit handlers is
// left out: what a program frees on its way out says nothing about the work.
#ifndef ALLOCLINE_REPORT_CHECKPOINTS_H_
#define ALLOCLINE_REPORT_CHECKPOINTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recording/reader.h"

namespace allocline {

struct Checkpoint {
  std::optional<size_t> snapshot;  // index into Recording::snapshots(); without: the end of the recording
  std::string label;               // without a snapshot: "now" or "the end"
  uint64_t monotonic_ns = 0;       // 0: not known
  uint64_t rss_bytes = 0, container_usage_bytes = 0, container_limit_bytes = 0;  // 0: not known
  uint64_t rows = format::kRowsNotGiven;                                         // as the program gave them
};

struct CheckpointOptions {
  std::optional<std::string> labels;  // fnmatch pattern; the ladder's match like others then
  std::optional<size_t> last;         // no snapshot behind this one, and not the end
  std::optional<Checkpoint> present;  // the running process's figures, in place of its recording's last ones
};

struct Checkpoints {
  std::vector<Checkpoint> chosen;  // in the order they were taken
  size_t automatic = 0;            // snapshots left out because the tracer took them
  size_t unmatched = 0;            // or because `labels` does not match
  bool exited = false;             // the end is left out: the program ran its exit handlers
  // Rows done up to each of `chosen`; empty unless all of these have them but the last, which then has its neighbour's.
  std::vector<double> rows;
  bool rows_are_sums = false;  // of each checkpoint's own: they went down, or stood still, so that they are no count
};

// Whether the tracer took the snapshot by itself.
bool IsAutomatic(const RecordedSnapshot& snapshot);

Checkpoints ChooseCheckpoints(const Recording& recording, const CheckpointOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_CHECKPOINTS_H_
