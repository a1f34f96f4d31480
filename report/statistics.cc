#include "report/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "report/group_index.h"
#include "report/group_sums.h"
#include "report/python_repr.h"
#include "report/size_text.h"

namespace allocline {
namespace {

struct Key {
  std::string_view name;
  GroupBy by;
};
// The first name of a key is the one messages use; tracemalloc's names stand beside ours.
constexpr Key kKeys[] = {
    {"line", GroupBy::kLine},     {"lineno", GroupBy::kLine},     {"function", GroupBy::kFunction},
    {"file", GroupBy::kFile},     {"filename", GroupBy::kFile},   {"module", GroupBy::kModule},
    {"thread", GroupBy::kThread}, {"process", GroupBy::kProcess}, {"traceback", GroupBy::kTraceback}};

// What a statistic is sorted by, compared as a tuple: the requested key, then tracemalloc's three.
struct SortKey {
  double first;
  int64_t size, count;
  uint32_t rank;
  auto operator<=>(const SortKey&) const = default;
};

double FirstKey(const Statistic& statistic, SortBy sort) {
  switch (sort) {
    case SortBy::kSize:
      return 0;  // it is the second key anyway, and exact there
    case SortBy::kCount:
      return static_cast<double>(statistic.count);
    case SortBy::kAverage:
      return statistic.average();
    case SortBy::kTotal:
      return static_cast<double>(statistic.total_bytes);
  }
  return 0;
}

}  // namespace

absl::StatusOr<GroupBy> ParseGroupBy(std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.name == name) return key.by;
  }
  return absl::InvalidArgumentError(fmt::format("unknown key_type: {}", PythonRepr(name)));
}

std::string_view GroupByName(GroupBy by) {
  return std::find_if(std::begin(kKeys), std::end(kKeys), [by](const Key& key) { return key.by == by; })->name;
}

absl::StatusOr<SortBy> ParseSortBy(std::string_view name) {
  if (name == "size") return SortBy::kSize;
  if (name == "count") return SortBy::kCount;
  if (name == "average") return SortBy::kAverage;
  if (name == "total") return SortBy::kTotal;
  return absl::InvalidArgumentError(
      fmt::format("unknown sort key: {}; it is one of size, count, average, total", PythonRepr(name)));
}

Traceback Group::traceback() const {
  if (by == GroupBy::kTraceback) return Traceback(*stacks, stack);
  return Traceback({frame});
}

absl::StatusOr<std::vector<Statistic>> ComputeStatistics(const Profile& profile, const StatisticsOptions& options) {
  if (absl::Status status = CheckOptions(profile, options); !status.ok()) return status;
  GroupIndex index(options.by, /*across_runs=*/false);
  std::vector<GroupId> groups = index.Add(profile.stacks());
  std::vector<GroupSum> sums = SumGroups(profile, groups, index.size(), options);

  std::vector<GroupId> shown;
  for (GroupId group = 0; group < sums.size(); ++group) {
    if (sums[group].has_live || (sums[group].has_any && options.sort == SortBy::kTotal)) shown.push_back(group);
  }
  std::vector<uint32_t> ranks = index.Ranks(shown);
  std::vector<std::pair<SortKey, GroupId>> order;
  order.reserve(shown.size());
  auto statistic_of = [&](GroupId group) {
    const GroupSum& sum = sums[group];
    return Statistic{.size = sum.live_bytes,
                     .count = sum.live_blocks,
                     .total_bytes = sum.total_bytes,
                     .total_blocks = sum.total_blocks,
                     .variance = sum.variance};
  };
  for (GroupId group : shown) {
    const GroupSum& sum = sums[group];
    double first = FirstKey(statistic_of(group), options.sort);
    order.push_back({{first, sum.live_bytes, sum.live_blocks, ranks[group]}, group});
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return b.first < a.first; });

  std::vector<Statistic> statistics;
  statistics.reserve(order.size());
  for (const auto& [key, group] : order) {
    statistics.push_back(statistic_of(group));
    statistics.back().group = index.Describe(group);
  }
  return statistics;
}

absl::StatusOr<std::vector<Statistic>> Statistics(const Profile& profile, std::string_view key_type, bool cumulative) {
  absl::StatusOr<GroupBy> by = ParseGroupBy(key_type);
  if (!by.ok()) return by.status();
  return ComputeStatistics(profile, {.by = *by, .cumulative = cumulative, .line_of = LineOf::kInnermost});
}

std::string Str(const Statistic& statistic) {
  std::string text = fmt::format("{}: size={}, count={}", Str(statistic.group),
                                 SizeText(static_cast<double>(statistic.size)), statistic.count);
  if (statistic.count != 0) text += fmt::format(", average={}", SizeText(statistic.average()));
  return text;
}

std::string Repr(const Statistic& statistic) {
  return fmt::format("<Statistic traceback={} size={} count={}>", Repr(statistic.group.traceback()), statistic.size,
                     statistic.count);
}

std::string Str(const Group& group) {
  switch (group.by) {
    case GroupBy::kFunction:
      return std::string(group.frame.function.empty() ? group.frame.file : group.frame.function);
    case GroupBy::kModule:
    case GroupBy::kThread:
    case GroupBy::kProcess:
      return std::string(group.frame.file);
    default:
      return Str(group.frame);
  }
}

}  // namespace allocline
