#include "report/group_sums.h"

#include <fmt/format.h>

#include <numeric>
#include <string>

namespace allocline {
namespace {

GroupSum SumOf(const Site& site) {
  return {.live_bytes = site.live_bytes,
          .live_blocks = site.live_blocks,
          .total_bytes = site.total_bytes,
          .total_blocks = site.total_blocks,
          .variance = site.variance,
          .has_live = site.live_bytes != 0 || site.live_blocks != 0,
          .has_any = true};
}

void AddTo(GroupSum& sum, const GroupSum& more) {
  sum.live_bytes += more.live_bytes;
  sum.live_blocks += more.live_blocks;
  sum.total_bytes += more.total_bytes;
  sum.total_blocks += more.total_blocks;
  sum.variance += more.variance;
  sum.has_live |= more.has_live;
  sum.has_any |= more.has_any;
}

// What the sites at and below each node hold. A node's frame is charged this much for its one place in all the stacks
// that pass through it, so adding it to the group of every node charges a frame as often as it occurs.
std::vector<GroupSum> SubtreeSums(const Profile& profile) {
  const std::vector<StackNode>& nodes = profile.stacks().nodes();
  std::vector<GroupSum> sums(nodes.size());
  for (const Site& site : profile.sites()) AddTo(sums[site.stack], SumOf(site));
  for (StackId id = static_cast<StackId>(nodes.size()); id-- > 1;) AddTo(sums[nodes[id].parent], sums[id]);
  return sums;
}

// How many callers of each node have its group.
std::vector<uint32_t> FindRepeats(const std::vector<StackNode>& nodes, const std::vector<GroupId>& groups,
                                  size_t group_count) {
  std::vector<uint32_t> first_callee(nodes.size() + 1, 0), callees(nodes.size());
  for (StackId id = 1; id < nodes.size(); ++id) ++first_callee[nodes[id].parent + 1];
  std::partial_sum(first_callee.begin(), first_callee.end(), first_callee.begin());
  std::vector<uint32_t> next = first_callee;
  for (StackId id = 1; id < nodes.size(); ++id) callees[next[nodes[id].parent]++] = id;

  std::vector<uint32_t> repeats(nodes.size(), 0);
  std::vector<uint32_t> on_path(group_count, 0);
  next = first_callee;  // now: the callee to visit next
  for (StackId at = kRootStack;;) {
    if (next[at] < first_callee[at + 1]) {
      at = callees[next[at]++];
      repeats[at] = on_path[groups[nodes[at].location]]++;
    } else if (at != kRootStack) {
      --on_path[groups[nodes[at].location]];
      at = nodes[at].parent;
    } else {
      return repeats;
    }
  }
}

void SumCumulative(const Profile& profile, const std::vector<GroupId>& groups, bool once_per_stack,
                   std::vector<GroupSum>& sums) {
  const std::vector<StackNode>& nodes = profile.stacks().nodes();
  const std::vector<uint32_t> repeats = FindRepeats(nodes, groups, sums.size());
  std::vector<GroupSum> subtrees = SubtreeSums(profile);
  for (StackId id = 1; id < nodes.size(); ++id) {
    if (once_per_stack && repeats[id] > 0) continue;
    // What is charged k times over has k^2 times the variance: 1 + 3 + 5 + ...
    subtrees[id].variance *= 2 * repeats[id] + 1;
    AddTo(sums[groups[nodes[id].location]], subtrees[id]);
  }
}

}  // namespace

absl::Status CheckOptions(const Profile& profile, const StatisticsOptions& options) {
  if (options.cumulative &&
      (options.by == GroupBy::kTraceback || options.by == GroupBy::kThread || options.by == GroupBy::kProcess)) {
    return absl::InvalidArgumentError(
        fmt::format("cumulative mode cannot by used with key type '{}'", GroupByName(options.by)));
  }
  if (options.by == GroupBy::kThread && !profile.summary().by_thread) {
    return absl::FailedPreconditionError("the profile was not split by thread when it was loaded");
  }
  if (options.by == GroupBy::kProcess && !profile.summary().by_process) {
    return absl::FailedPreconditionError("the profile is of one process, and not the sum of several");
  }
  return absl::OkStatus();
}

std::vector<GroupSum> SumGroups(const Profile& profile, const std::vector<GroupId>& groups, size_t group_count,
                                const StatisticsOptions& options) {
  std::vector<GroupSum> sums(group_count);
  if (options.cumulative) {
    SumCumulative(profile, groups, options.once_per_stack, sums);
    return sums;
  }
  const std::vector<StackNode>& nodes = profile.stacks().nodes();
  for (const Site& site : profile.sites()) {
    StackId frame = options.line_of == LineOf::kUser ? nodes[site.stack].user : site.stack;
    const bool by_owner = options.by == GroupBy::kThread || options.by == GroupBy::kProcess;
    uint32_t id = by_owner ? site.thread : options.by == GroupBy::kTraceback ? site.stack : nodes[frame].location;
    AddTo(sums[groups[id]], SumOf(site));
  }
  return sums;
}

}  // namespace allocline
