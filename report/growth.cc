#include "report/growth.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "report/trend.h"

namespace allocline {
namespace {

// Without a limit: lines are compared by what they would hold after so many times the work.
constexpr double kWorkAhead = 10;

// The group of every site whose blocks the filters keep.
std::vector<GroupId> GroupsOfSites(const StackTable& stacks, const SiteMap& map, const GrowthOptions& options,
                                   GroupIndex* index) {
  std::vector<Site> sites(map.stacks.size());
  for (size_t i = 0; i < sites.size(); ++i) sites[i] = {.stack = map.stacks[i], .domain = map.domains[i]};
  const std::vector<bool> in_domains = MatchSites(stacks, sites, options.domains, options.line_of);
  const std::vector<bool> in_filters = MatchSites(stacks, sites, options.filters, options.line_of);
  const std::vector<GroupId> groups = index->Add(stacks);
  std::vector<GroupId> of_sites(sites.size(), kNoGroup);
  for (size_t i = 0; i < sites.size(); ++i) {
    const StackId stack = sites[i].stack;
    if (stack == kRootStack || !in_domains[i] || !in_filters[i]) continue;
    const StackId frame = options.line_of == LineOf::kUser ? stacks.nodes()[stack].user : stack;
    of_sites[i] = groups[options.by == GroupBy::kTraceback ? stack : stacks.nodes()[frame].location];
  }
  return of_sites;
}

// The resident set at every checkpoint, if it is known at all of them.
std::optional<LineSeries> ResidentSeries(const std::vector<Checkpoint>& checkpoints) {
  LineSeries series;
  for (const Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.rss_bytes == 0) return std::nullopt;
    series.live_bytes.push_back(static_cast<int64_t>(checkpoint.rss_bytes));
    series.live_blocks.push_back(0);
    series.allocated_bytes.push_back(0);
  }
  return series;
}

void TakeRates(const Verdict& verdict, Outlook* outlook) {
  if (verdict.kind != VerdictKind::kAccumulating) return;
  outlook->bytes_per_checkpoint = verdict.bytes_per_checkpoint;
  outlook->bytes_per_row = verdict.bytes_per_row;
}

// The usage that the limit is compared with: the container's where there is one, else the process's.
uint64_t UsageAt(const Checkpoint& last, bool of_container, const Verdict& total) {
  if (of_container && last.container_usage_bytes != 0) return last.container_usage_bytes;
  return std::max<uint64_t>(last.rss_bytes, static_cast<uint64_t>(std::max<int64_t>(0, total.last)));
}

Outlook LookAhead(const Growth& growth, uint64_t given_limit, uint64_t emulated_limit) {
  Outlook outlook;
  const std::vector<Checkpoint>& checkpoints = growth.checkpoints.chosen;
  if (checkpoints.empty()) return outlook;
  TakeRates(growth.total, &outlook);
  if (const std::optional<LineSeries> resident = ResidentSeries(checkpoints)) {
    // What the allocator needs beside, and what is not traced, counts against the limit too.
    const Verdict verdict = JudgeSeries(*resident, growth.checkpoints.rows);
    if (outlook.bytes_per_checkpoint > 0 && verdict.bytes_per_checkpoint > outlook.bytes_per_checkpoint) {
      TakeRates(verdict, &outlook);
      outlook.by_rss = verdict.kind == VerdictKind::kAccumulating;
    }
  }
  const Checkpoint& last = checkpoints.back();
  outlook.limit_was_given = given_limit != 0;
  // A limit that is given, or was emulated without a container's, is for what the process itself holds.
  const bool of_container = given_limit == 0 && last.container_limit_bytes != 0;
  outlook.limit_bytes = given_limit != 0 ? given_limit : last.container_limit_bytes;
  if (given_limit == 0 && emulated_limit != 0 && (!of_container || emulated_limit < outlook.limit_bytes)) {
    outlook.limit_bytes = emulated_limit;
  }
  if (outlook.limit_bytes == 0) return outlook;
  outlook.usage_bytes = UsageAt(last, of_container, growth.total);
  if (outlook.bytes_per_checkpoint <= 0) return outlook;
  const double left =
      std::max(0.0, static_cast<double>(outlook.limit_bytes) - static_cast<double>(outlook.usage_bytes));
  outlook.checkpoints_left = left / outlook.bytes_per_checkpoint;
  if (outlook.bytes_per_row && *outlook.bytes_per_row > 0) outlook.rows_left = left / *outlook.bytes_per_row;
  return outlook;
}

double CostOf(const Verdict& verdict, double checkpoints_ahead) {
  const double top = static_cast<double>(verdict.top);
  return verdict.kind == VerdictKind::kAccumulating ? top + verdict.bytes_per_checkpoint * checkpoints_ahead : top;
}

}  // namespace

absl::StatusOr<Growth> ComputeGrowth(const Recording& recording, const Profile& profile, const SiteMap& sites,
                                     const GrowthOptions& options) {
  if (options.by == GroupBy::kProcess) {
    return absl::InvalidArgumentError("growth is told of one recording at a time: there is no process to tell it by");
  }
  if (options.by == GroupBy::kThread) {
    return absl::InvalidArgumentError("a snapshot is a sum over threads: growth cannot be told by thread");
  }
  GroupIndex index(options.by, /*across_runs=*/false);
  const std::vector<GroupId> groups = GroupsOfSites(profile.stacks(), sites, options, &index);
  Checkpoints checkpoints = ChooseCheckpoints(recording, options.checkpoints);
  SeriesTable series(recording, checkpoints.chosen, groups, index.size());
  Growth growth{.by = options.by,
                .line_of = options.line_of,
                .checkpoints = std::move(checkpoints),
                .total = {},
                .outlook = {},
                .lines = {},
                .series = std::move(series)};
  growth.total = JudgeSeries(growth.series.total(), growth.checkpoints.rows);
  growth.outlook = LookAhead(growth, options.limit_bytes, recording.header().emulated_limit_bytes);
  const double ahead =
      growth.outlook.checkpoints_left.value_or(kWorkAhead * static_cast<double>(growth.checkpoints.chosen.size()));

  std::vector<GroupId> shown;
  for (GroupId group = 0; group < index.size(); ++group) {
    if (growth.series.Any(group)) shown.push_back(group);
  }
  const std::vector<uint32_t> ranks = index.Ranks(shown);
  for (const GroupId group : shown) {
    GrowthLine line{.group = index.Describe(group),
                    .id = group,
                    .verdict = JudgeSeries(growth.series.Line(group), growth.checkpoints.rows),
                    .live_at_end = growth.series.LiveAtEnd(group)};
    line.cost_bytes = CostOf(line.verdict, ahead);
    growth.lines.push_back(std::move(line));
  }
  std::sort(growth.lines.begin(), growth.lines.end(), [&](const GrowthLine& a, const GrowthLine& b) {
    return std::tuple(b.cost_bytes, b.verdict.allocated_per_checkpoint, ranks[a.id]) <
           std::tuple(a.cost_bytes, a.verdict.allocated_per_checkpoint, ranks[b.id]);
  });
  return growth;
}

}  // namespace allocline
