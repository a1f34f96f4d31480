#include "report/merge_profiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "report/path_text.h"
#include "report/string_pool.h"

namespace allocline {
namespace {

// Interned texts are equal exactly if they begin at the same byte.
auto KeyOf(const Location& location) {
  return std::make_tuple(location.where.data(), location.file.data(), location.function.data(), location.module.data(),
                         location.line, static_cast<uint32_t>(location.level), static_cast<uint32_t>(location.role),
                         location.inlined, location.python);
}
using LocationKey = decltype(KeyOf(Location{}));

}  // namespace

// Builds the table of all parts' stacks.
class StackMerger {
 public:
  StackMerger() { table_->nodes_.push_back({}); }  // the root

  // Gives the ids that the stacks of `part` have in the table.
  std::vector<StackId> Add(const StackTable& part) {
    std::vector<LocationId> locations;
    locations.reserve(part.locations().size());
    for (const Location& location : part.locations()) locations.push_back(AddLocation(location));
    // What a program's own line is depends on the program: the roles of the locations, and the line that was chosen,
    // are taken over. Equal frames with another user's line are another stack.
    std::vector<StackId> ids(part.nodes().size(), kRootStack);
    for (StackId id = 1; id < part.nodes().size(); ++id) {
      const StackNode& node = part.nodes()[id];
      ids[id] = Push(ids[node.parent], locations[node.location], node.user == id ? kThisOne : ids[node.user]);
    }
    return ids;
  }
  void AddProcess(const ProcessShare& process) {
    const std::string_view name = strings_->Intern(Basename(process.program));
    table_->threads_.push_back(
        {.tid = process.pid, .name = name, .label = strings_->Intern(fmt::format("{} (pid {})", name, process.pid))});
  }
  std::shared_ptr<const StackTable> Finish() && {
    table_->strings_ = strings_;
    return std::move(table_);
  }

 private:
  static constexpr StackId kThisOne = ~StackId{0};

  LocationId AddLocation(const Location& given) {
    Location location = given;
    for (std::string_view* text : {&location.where, &location.file, &location.function, &location.module}) {
      *text = strings_->Intern(*text);
    }
    const auto [entry, is_new] =
        location_ids_.try_emplace(KeyOf(location), static_cast<LocationId>(table_->locations_.size()));
    if (is_new) table_->locations_.push_back(location);
    return entry->second;
  }
  StackId Push(StackId caller, LocationId location, StackId user) {
    std::vector<StackNode>& nodes = table_->nodes_;
    const auto [entry, is_new] =
        stack_ids_.try_emplace(std::tuple(caller, location, user), static_cast<StackId>(nodes.size()));
    if (is_new) {
      nodes.push_back({.parent = caller, .location = location, .user = user == kThisOne ? entry->second : user});
    }
    return entry->second;
  }

  std::shared_ptr<StringPool> strings_ = std::make_shared<StringPool>();
  std::shared_ptr<StackTable> table_ = std::make_shared<StackTable>();
  absl::flat_hash_map<LocationKey, LocationId> location_ids_;
  absl::flat_hash_map<std::tuple<StackId, LocationId, StackId>, StackId> stack_ids_;
};

namespace {

ProcessShare ShareOf(const ProfileSummary& part) {
  return {.recording = part.recording,
          .program = part.program,
          .pid = part.pid,
          .label = part.label,
          .at_peak = part.at_peak,
          .running = part.running,
          .exited = (part.state & format::kStateEndedByItself) != 0,
          .live_bytes = part.live_bytes,
          .live_blocks = part.live_blocks,
          .inherited_bytes = part.inherited_bytes,
          .inherited_blocks = part.inherited_blocks,
          .peak_bytes = part.peak_bytes,
          .rss_bytes = part.rss_bytes,
          .pss_bytes = part.pss_bytes};
}

void AddDomains(const std::vector<DomainSum>& part, std::vector<DomainSum>* sums) {
  for (const DomainSum& more : part) {
    auto sum = std::ranges::find(*sums, more.domain, &DomainSum::domain);
    if (sum == sums->end()) sum = sums->insert(sums->end(), {.domain = more.domain});
    sum->live_bytes += more.live_bytes;
    sum->live_blocks += more.live_blocks;
    sum->variance += more.variance;
  }
}

void AddProblems(const std::vector<ModuleProblem>& part, std::vector<ModuleProblem>* problems) {
  for (const ModuleProblem& more : part) {
    const auto same = std::ranges::find_if(*problems, [&](const ModuleProblem& problem) {
      return problem.path == more.path && problem.problem == more.problem;
    });
    if (same == problems->end()) {
      problems->push_back(more);
    } else {
      same->live_bytes += more.live_bytes;
    }
  }
}

// Figures of the machine's memory: a sum is known if each of them is.
void AddKnown(uint64_t part, bool is_first, uint64_t* sum) {
  *sum = part == 0 || (!is_first && *sum == 0) ? 0 : *sum + part;
}

void AddPart(const ProfileSummary& part, bool is_first, ProfileSummary* sum) {
  sum->processes.push_back(ShareOf(part));
  sum->running = sum->running || part.running;
  // Whose fork it was, and how it ended, is of each process alone.
  sum->flags |= part.flags & ~uint32_t{format::kFlagForked};
  sum->state |= part.state & ~format::kStateEndedByItself;
  if (sum->first_errno == 0) sum->first_errno = part.first_errno;
  sum->elapsed_ns = std::max(sum->elapsed_ns, part.elapsed_ns);
  sum->live_bytes += part.live_bytes;
  sum->live_blocks += part.live_blocks;
  sum->without_stack_bytes += part.without_stack_bytes;
  sum->without_stack_blocks += part.without_stack_blocks;
  AddDomains(part.domains, &sum->domains);
  sum->peak_bytes += part.peak_bytes;
  sum->peak_slack_bytes += part.peak_slack_bytes;
  AddKnown(part.rss_bytes, is_first, &sum->rss_bytes);
  AddKnown(part.pss_bytes, is_first, &sum->pss_bytes);
  if (part.container_usage_bytes > sum->container_usage_bytes) {  // of one container it is the latest, or nearly
    sum->container_usage_bytes = part.container_usage_bytes;
    sum->container_limit_bytes = part.container_limit_bytes;
  }
  if (sum->sample_interval_bytes == 0) {
    sum->sample_interval_bytes = part.sample_interval_bytes;
    sum->sampled_after_ns = part.sampled_after_ns;
    sum->sampled_live_bytes = part.sampled_live_bytes;
    sum->totals_after_ns = part.totals_after_ns;
    sum->totals_live_bytes = part.totals_live_bytes;
    sum->tracer_budget_bytes = part.tracer_budget_bytes;
  }
  sum->tracer_bytes += part.tracer_bytes;
  sum->nested_events += part.nested_events;
  sum->truncated_blocks += part.truncated_blocks;
  sum->verified_stacks += part.verified_stacks;
  sum->different_stacks += part.different_stacks;
  for (size_t i = 0; i < sum->drops.size(); ++i) {
    sum->drops[i].events += part.drops[i].events;
    sum->drops[i].bytes += part.drops[i].bytes;
  }
  if (sum->python_version == 0) {
    sum->python_version = part.python_version;
    sum->python_runtime = part.python_runtime;
  }
  sum->python_state |= part.python_state;
  sum->python_arena_bytes += part.python_arena_bytes;
  sum->python_small_bytes += part.python_small_bytes;
  sum->overflow_bytes += part.overflow_bytes;
  sum->inherited_bytes += part.inherited_bytes;
  sum->inherited_blocks += part.inherited_blocks;
  AddProblems(part.problems, &sum->problems);
  for (const std::string& damage : part.damage) sum->damage.push_back(fmt::format("{}: {}", part.recording, damage));
}

}  // namespace

Profile MergeProfiles(std::span<const Profile> parts) {
  StackMerger merger;
  std::vector<Site> sites;
  ProfileSummary summary;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Profile& part = parts[i];
    const std::vector<StackId> ids = merger.Add(part.stacks());
    for (const Site& site : part.sites()) {
      sites.push_back(site);
      sites.back().stack = ids[site.stack];
      sites.back().thread = static_cast<uint32_t>(i);
    }
    AddPart(part.summary(), i == 0, &summary);
    merger.AddProcess(summary.processes.back());
  }
  std::ranges::stable_sort(summary.domains, std::ranges::greater{}, &DomainSum::live_bytes);
  // The program that most of it is of, for what is printed of one.
  const auto largest =
      std::ranges::max_element(parts, {}, [](const Profile& part) { return part.summary().live_bytes; });
  const ProfileSummary& main = largest->summary();
  summary.recording = main.recording;
  summary.program = main.program;
  summary.host = main.host;
  summary.allocator = main.allocator;
  summary.pid = main.pid;
  summary.state |= main.state & format::kStateEndedByItself;
  summary.by_process = true;
  return Profile(std::move(merger).Finish(), std::move(sites), std::move(summary));
}

}  // namespace allocline
