// What changed between two profiles: tracemalloc's Snapshot.compare_to().
//
// Groups are matched by name (file and line, function, thread name, all frames of a traceback), never by address or id:
// the two may be labels of one recording, or runs that loaded their modules elsewhere, or builds of other days.
#ifndef ALLOCLINE_REPORT_DIFF_H_
#define ALLOCLINE_REPORT_DIFF_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

struct StatisticDiff {
  Group group;  // a view into the new profile, or into the old one if only that has it
  int64_t size = 0, size_diff = 0;
  int64_t count = 0, count_diff = 0;
  uint64_t total_bytes = 0, total_blocks = 0;  // ever allocated, as of the new profile
  int64_t total_bytes_diff = 0, total_blocks_diff = 0;
  double variance = 0;  // of `size`
  double diff_variance =
      0;  // of `size_diff`: that of both. Of two moments of one run it is less, as many blocks are the same

  double size_error() const { return ErrorBound(variance); }
  double diff_error() const { return ErrorBound(diff_variance); }

  double average() const { return count == 0 ? 0 : static_cast<double>(size) / static_cast<double>(count); }
};

// Every group of either profile, unchanged ones too, sorted by (|size_diff|, size, |count_diff|, count, traceback),
// descending; other sort keys of `options` compare |difference| first. Errors as ComputeStatistics.
absl::StatusOr<std::vector<StatisticDiff>> ComputeDiff(const Profile& profile, const Profile& old,
                                                       const StatisticsOptions& options);

// tracemalloc's call: profile.compare_to(old, key_type, cumulative), innermost frames.
absl::StatusOr<std::vector<StatisticDiff>> CompareTo(const Profile& profile, const Profile& old,
                                                     std::string_view key_type, bool cumulative = false);

std::string Str(const StatisticDiff& diff);  // a.py:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B
std::string Repr(const StatisticDiff& diff);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_DIFF_H_
