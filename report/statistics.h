// Groups a profile's live blocks by line, function, file, module, thread or traceback: tracemalloc's
// Snapshot.statistics(), with the same sums, the same order and the same errors.
//
// With LineOf::kInnermost, kLine, kFile and kTraceback are tracemalloc's 'lineno', 'filename' and 'traceback' to the
// letter. With LineOf::kUser, the default, the user's line stands for a stack instead of the most recent frame. Sites
// with nothing live are no traces to tracemalloc; they appear only where totals are asked for (SortBy::kTotal).
#ifndef ALLOCLINE_REPORT_STATISTICS_H_
#define ALLOCLINE_REPORT_STATISTICS_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "report/profile.h"
#include "report/traceback.h"

namespace allocline {

enum class GroupBy { kLine, kFunction, kFile, kModule, kThread, kProcess, kTraceback };

// "line" or "lineno", "function", "file" or "filename", "module", "thread", "process", "traceback"; else the error
// "unknown key_type: 'x'".
absl::StatusOr<GroupBy> ParseGroupBy(std::string_view name);
std::string_view GroupByName(GroupBy by);

enum class SortBy { kSize, kCount, kAverage, kTotal };
absl::StatusOr<SortBy> ParseSortBy(std::string_view name);  // "size", "count", "average", "total"

// Two-sided, of the normal law.
inline double ErrorBound(double variance) { return 1.96 * std::sqrt(variance); }

// What the blocks of a statistic have in common. A view into the profile's StackTable, which must outlive it.
struct Group {
  GroupBy by = GroupBy::kLine;
  // kLine: file and line; kFile, kModule: line 0; kFunction: `function`; kTraceback: the *oldest* frame (what Python
  // prints); kThread, kProcess: `file` is the label. Fields that do not define the group hold an example from it.
  Frame frame;
  StackId stack = kRootStack;  // kTraceback: one of its stacks, all of which have equal frames
  uint32_t thread = 0;         // kThread, kProcess
  const StackTable* stacks = nullptr;

  // All frames, oldest first: one frame unless by traceback.
  Traceback traceback() const;
};

std::string Str(const Group& group);  // str() of the traceback: "a.py:2", "a.py:0" by file; else the bare name

struct Statistic {
  Group group;
  int64_t size = 0;                            // live bytes
  int64_t count = 0;                           // live blocks
  uint64_t total_bytes = 0, total_blocks = 0;  // ever allocated
  double variance = 0;                         // of `size`; 0: it is exact

  // 95 of 100 times the true size is no further off.
  double size_error() const { return ErrorBound(variance); }
  double average() const { return count == 0 ? 0 : static_cast<double>(size) / static_cast<double>(count); }
};

struct StatisticsOptions {
  GroupBy by = GroupBy::kLine;
  // Charges a block to every frame of its stack, not to one; a frame that occurs k times is charged k times.
  bool cumulative = false;
  // With `cumulative`: charges a block once to a line that occurs several times (recursion).
  bool once_per_stack = false;
  LineOf line_of = LineOf::kUser;
  SortBy sort = SortBy::kSize;
};

// Sorted by (size, count, traceback), descending; other sort keys come before these.
// Errors: InvalidArgument for cumulative by thread or traceback ("cumulative mode cannot by used with key type ..."),
// FailedPrecondition for kThread when the profile was not split by thread, for kProcess when it was not merged.
absl::StatusOr<std::vector<Statistic>> ComputeStatistics(const Profile& profile, const StatisticsOptions& options);

// tracemalloc's call: innermost frames, `key_type` one of its three or ours.
absl::StatusOr<std::vector<Statistic>> Statistics(const Profile& profile, std::string_view key_type,
                                                  bool cumulative = false);

std::string Str(const Statistic& statistic);   // b.py:1: size=66 B, count=1, average=66 B
std::string Repr(const Statistic& statistic);  // <Statistic traceback=<Traceback (...)> size=66 count=1>

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_STATISTICS_H_
