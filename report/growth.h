// How a program's memory grows: every line's series over the checkpoints of a recording, judged, what costs most first.
//
// What a line costs is what it would hold when memory runs out: the most it was seen to hold, and, if it accumulates,
// what it adds until the limit is reached at the rate of all; without a limit, in ten times the work that was seen. So
// one figure orders a large buffer, a spike and a leak that is small as yet.
#ifndef ALLOCLINE_REPORT_GROWTH_H_
#define ALLOCLINE_REPORT_GROWTH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/checkpoints.h"
#include "report/filter.h"
#include "report/group_index.h"
#include "report/load_profile.h"
#include "report/profile.h"
#include "report/series.h"
#include "report/statistics.h"
#include "report/verdict.h"

namespace allocline {

struct GrowthOptions {
  GroupBy by = GroupBy::kLine;  // not kThread: a snapshot is a sum over threads; not kProcess
  LineOf line_of = LineOf::kUser;
  std::vector<Filter> domains, filters;  // a block is kept if any of the domains' matches, or there is none, and then
                                         // the others decide
  CheckpointOptions checkpoints;
  uint64_t limit_bytes = 0;  // 0: the container's, or the one that was emulated, if the recording knows one
};

struct GrowthLine {
  Group group;
  GroupId id = 0;  // in Growth::series
  Verdict verdict;
  double cost_bytes = 0;
  int64_t live_at_end = 0;
};

// When memory runs out, if it goes on as it did.
struct Outlook {
  uint64_t limit_bytes = 0;  // 0: none is known, and of the rest only the rates are
  bool limit_was_given = false;
  uint64_t usage_bytes = 0;         // at the last checkpoint, of what the limit is for: the container, else the process
  double bytes_per_checkpoint = 0;  // 0: the program does not accumulate
  std::optional<double> bytes_per_row;
  bool by_rss = false;  // the rates are those of the resident set, which grows faster than what is traced
  std::optional<double> checkpoints_left, rows_left;  // until the limit
};

struct Growth {
  GroupBy by = GroupBy::kLine;
  LineOf line_of = LineOf::kUser;
  Checkpoints checkpoints;
  Verdict total;
  Outlook outlook;
  std::vector<GrowthLine> lines;  // those that were counted at all
  SeriesTable series;             // of them
};

// `profile` and `sites` are of the last checkpoint or later; `profile` must outlive what is given.
// Errors: InvalidArgument by thread.
absl::StatusOr<Growth> ComputeGrowth(const Recording& recording, const Profile& profile, const SiteMap& sites,
                                     const GrowthOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_GROWTH_H_
