// Adds up a profile's sites by group. Shared by statistics.cc and diff.cc; not part of the library's interface.
#ifndef ALLOCLINE_REPORT_GROUP_SUMS_H_
#define ALLOCLINE_REPORT_GROUP_SUMS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "report/group_index.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

struct GroupSum {
  int64_t live_bytes = 0, live_blocks = 0;
  uint64_t total_bytes = 0, total_blocks = 0;
  double variance = 0;    // of live_bytes
  bool has_live = false;  // some site of it has live blocks: tracemalloc would know the group
  bool has_any = false;   // some site of it has been counted at all
};

// What tracemalloc refuses, in its words, and what this profile cannot answer.
absl::Status CheckOptions(const Profile& profile, const StatisticsOptions& options);

// `groups`: what GroupIndex::Add() gave for the profile's StackTable. The answer has `group_count` sums.
std::vector<GroupSum> SumGroups(const Profile& profile, const std::vector<GroupId>& groups, size_t group_count,
                                const StatisticsOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_GROUP_SUMS_H_
