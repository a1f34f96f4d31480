#include "report/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "report/group_index.h"
#include "report/group_sums.h"
#include "report/size_text.h"

namespace allocline {
namespace {

struct DiffKey {
  double first;
  int64_t size_change, size, count_change, count;
  uint32_t rank;
  auto operator<=>(const DiffKey&) const = default;
};

double AverageChange(const StatisticDiff& diff) {
  int64_t old_count = diff.count - diff.count_diff;
  double old = old_count == 0 ? 0 : static_cast<double>(diff.size - diff.size_diff) / static_cast<double>(old_count);
  return diff.average() - old;
}

double FirstKey(const StatisticDiff& diff, SortBy sort) {
  switch (sort) {
    case SortBy::kSize:
      return 0;  // it is the second key anyway, and exact there
    case SortBy::kCount:
      return std::abs(static_cast<double>(diff.count_diff));
    case SortBy::kAverage:
      return std::abs(AverageChange(diff));
    case SortBy::kTotal:
      return std::abs(static_cast<double>(diff.total_bytes_diff));
  }
  return 0;
}

StatisticDiff DiffOf(const GroupSum& now, const GroupSum& before) {
  return {.size = now.live_bytes,
          .size_diff = now.live_bytes - before.live_bytes,
          .count = now.live_blocks,
          .count_diff = now.live_blocks - before.live_blocks,
          .total_bytes = now.total_bytes,
          .total_blocks = now.total_blocks,
          .total_bytes_diff = static_cast<int64_t>(now.total_bytes - before.total_bytes),
          .total_blocks_diff = static_cast<int64_t>(now.total_blocks - before.total_blocks),
          .variance = now.variance,
          .diff_variance = now.variance + before.variance};
}

}  // namespace

absl::StatusOr<std::vector<StatisticDiff>> ComputeDiff(const Profile& profile, const Profile& old,
                                                       const StatisticsOptions& options) {
  if (absl::Status status = CheckOptions(profile, options); !status.ok()) return status;
  if (absl::Status status = CheckOptions(old, options); !status.ok()) return status;
  GroupIndex index(options.by, /*across_runs=*/true);
  std::vector<GroupId> groups = index.Add(profile.stacks());
  std::vector<GroupId> old_groups = index.Add(old.stacks());
  std::vector<GroupSum> now = SumGroups(profile, groups, index.size(), options);
  std::vector<GroupSum> before = SumGroups(old, old_groups, index.size(), options);

  bool with_freed = options.sort == SortBy::kTotal;
  std::vector<GroupId> shown;
  for (GroupId group = 0; group < index.size(); ++group) {
    bool live = now[group].has_live || before[group].has_live;
    if (live || (with_freed && (now[group].has_any || before[group].has_any))) shown.push_back(group);
  }
  std::vector<uint32_t> ranks = index.Ranks(shown);
  std::vector<std::pair<DiffKey, GroupId>> order;
  order.reserve(shown.size());
  for (GroupId group : shown) {
    StatisticDiff diff = DiffOf(now[group], before[group]);
    order.push_back({{FirstKey(diff, options.sort), std::abs(diff.size_diff), diff.size, std::abs(diff.count_diff),
                      diff.count, ranks[group]},
                     group});
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return b.first < a.first; });

  std::vector<StatisticDiff> diffs;
  diffs.reserve(order.size());
  for (const auto& [key, group] : order) {
    diffs.push_back(DiffOf(now[group], before[group]));
    diffs.back().group = index.Describe(group);
  }
  return diffs;
}

absl::StatusOr<std::vector<StatisticDiff>> CompareTo(const Profile& profile, const Profile& old,
                                                     std::string_view key_type, bool cumulative) {
  absl::StatusOr<GroupBy> by = ParseGroupBy(key_type);
  if (!by.ok()) return by.status();
  return ComputeDiff(profile, old, {.by = *by, .cumulative = cumulative, .line_of = LineOf::kInnermost});
}

std::string Str(const StatisticDiff& diff) {
  std::string text =
      fmt::format("{}: size={} ({}), count={} ({:+})", Str(diff.group), SizeText(static_cast<double>(diff.size)),
                  SignedSizeText(static_cast<double>(diff.size_diff)), diff.count, diff.count_diff);
  if (diff.count != 0) text += fmt::format(", average={}", SizeText(diff.average()));
  return text;
}

std::string Repr(const StatisticDiff& diff) {
  return fmt::format("<StatisticDiff traceback={} size={} ({:+}) count={} ({:+})>", Repr(diff.group.traceback()),
                     diff.size, diff.size_diff, diff.count, diff.count_diff);
}

}  // namespace allocline
