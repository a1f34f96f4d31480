#include "report/checkpoints.h"

#include <algorithm>

#include "report/fnmatch.h"

namespace allocline {
namespace {

Checkpoint CheckpointOf(const RecordedSnapshot& snapshot, size_t index) {
  return {.snapshot = index,
          .label = snapshot.label,
          .monotonic_ns = snapshot.monotonic_ns,
          .rss_bytes = snapshot.rss_bytes,
          .container_usage_bytes = snapshot.container_usage_bytes,
          .container_limit_bytes = snapshot.container_limit_bytes,
          .rows = snapshot.rows};
}

Checkpoint EndOf(const Recording& recording) {
  const format::FileHeader& header = recording.header();
  return {.snapshot = std::nullopt,
          .label = "the end",
          .monotonic_ns = header.end_monotonic_ns,
          .rss_bytes = header.rss_bytes,
          .container_usage_bytes = header.container_usage_bytes,
          .container_limit_bytes = header.container_limit_bytes,
          .rows = format::kRowsNotGiven};
}

// Programs report how far they have come, or what was done since the last time. A count never goes down and does not
// stand still from beginning to end.
void FillRows(Checkpoints* checkpoints) {
  std::vector<double> rows;
  for (const Checkpoint& checkpoint : checkpoints->chosen) {
    if (checkpoint.rows != format::kRowsNotGiven) rows.push_back(static_cast<double>(checkpoint.rows));
  }
  const std::vector<Checkpoint>& chosen = checkpoints->chosen;
  const bool end_has_none = !chosen.empty() && !chosen.back().snapshot;
  if (rows.empty() || rows.size() + end_has_none != chosen.size()) return;
  const bool is_count = std::is_sorted(rows.begin(), rows.end()) && rows.back() > rows.front();
  checkpoints->rows_are_sums = !is_count && rows.size() > 1;
  for (size_t i = 1; checkpoints->rows_are_sums && i < rows.size(); ++i) rows[i] += rows[i - 1];
  if (end_has_none) rows.push_back(rows.back());
  checkpoints->rows = std::move(rows);
}

}  // namespace

bool IsAutomatic(const RecordedSnapshot& snapshot) {
  return snapshot.kind != format::SnapshotKind::kLabelled && snapshot.kind != format::SnapshotKind::kCheckpoint;
}

Checkpoints ChooseCheckpoints(const Recording& recording, const CheckpointOptions& options) {
  Checkpoints checkpoints;
  const std::vector<RecordedSnapshot>& snapshots = recording.snapshots();
  const std::optional<FnmatchPattern> pattern =
      options.labels ? std::optional<FnmatchPattern>(*options.labels) : std::nullopt;
  const size_t count = options.last ? std::min(*options.last + 1, snapshots.size()) : snapshots.size();
  for (size_t i = 0; i < count; ++i) {
    if (pattern ? !pattern->Matches(snapshots[i].label) : IsAutomatic(snapshots[i])) {
      ++(pattern ? checkpoints.unmatched : checkpoints.automatic);
    } else {
      checkpoints.chosen.push_back(CheckpointOf(snapshots[i], i));
    }
  }
  const format::FileHeader& header = recording.header();
  checkpoints.exited = !options.last && (header.state & format::kStateExited) != 0;
  // A file that stands alone ends with the snapshot it was made for.
  const bool stands_alone = (header.flags & format::kFlagSnapshot) != 0;
  if (!options.last && !checkpoints.exited && !stands_alone) {
    checkpoints.chosen.push_back(options.present ? *options.present : EndOf(recording));
  }
  FillRows(&checkpoints);
  return checkpoints;
}

}  // namespace allocline
