// Every line's figures at every checkpoint: one pass over the snapshots' differences, and what does not change between
// two checkpoints takes no room.
//
// A snapshot is recorded as what changed since the one before it, by site. The pass keeps the sum of every group, adds
// the differences to it, and at a checkpoint writes down the sums of those groups that a difference has touched. So the
// memory is that of the groups, and of (group, checkpoint) pairs in which something happened: of a thousand checkpoints
// of a program with 100,000 sites, of which a few hundred are at work, some megabytes and not gigabytes.
#ifndef ALLOCLINE_REPORT_SERIES_H_
#define ALLOCLINE_REPORT_SERIES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "recording/reader.h"
#include "report/checkpoints.h"
#include "report/group_index.h"
#include "report/verdict.h"

namespace allocline {

// A site whose blocks are in no group: a filter dropped them.
inline constexpr GroupId kNoGroup = ~GroupId{0};

class SeriesTable {
 public:
  // `groups`: of every site, by its id, kNoGroup among them. `count`: of groups.
  SeriesTable(const Recording& recording, std::span<const Checkpoint> checkpoints, const std::vector<GroupId>& groups,
              size_t count);

  size_t groups() const { return changes_.size(); }
  size_t checkpoints() const { return points_; }
  // Whether a block of the group was ever counted.
  bool Any(GroupId group) const { return !changes_[group].empty() || peaks_[group] != 0; }
  LineSeries Line(GroupId group) const;
  // Of all sites, filters or not. Exact also while sampling.
  const LineSeries& total() const { return total_; }
  // Live at the end of the recording, which may be no checkpoint.
  int64_t LiveAtEnd(GroupId group) const { return at_end_[group]; }

 private:
  struct Sums {
    int64_t live_bytes = 0, live_blocks = 0;
    uint64_t allocated_bytes = 0;
    double variance = 0;
  };
  struct Change {
    uint32_t point;
    Sums sums;
  };

  size_t points_;
  bool sampled_ = false, has_peaks_ = false;
  std::vector<std::vector<Change>> changes_;  // index: GroupId; by rising point
  std::vector<int64_t> peaks_, at_end_;       // index: GroupId
  LineSeries total_;

  friend class SeriesBuilder;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_SERIES_H_
