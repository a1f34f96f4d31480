#include "report/load_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "recording/sampling.h"
#include "report/frame_resolver.h"
#include "report/inherited.h"
#include "report/profile_builder.h"
#include "report/thread_split.h"

namespace allocline {
namespace {

class ProfileLoader {
 public:
  ProfileLoader(const Recording& recording, Symbolizer* symbolizer, const LoadProfileOptions& options, SiteMap* sites)
      : recording_(recording), options_(options), resolver_(recording, symbolizer, &builder_), site_map_(sites) {
    UserLineOptions& user_line = options_.user_line;
    if (user_line.main_executable.empty()) user_line.main_executable = MainExecutable();
    user_line.python_runtime = PathOf(recording.header().python_runtime, sizeof(format::FileHeader::python_runtime));
    user_line.python_paths = resolver_.python_paths();
  }

  Profile Load() && {
    counters_ = options_.at_peak    ? recording_.CountersAtPeak()
                : options_.snapshot ? recording_.CountersAt(*options_.snapshot)
                                    : recording_.Counters();
    if (options_.without_inherited) inherited_ = TakeOffInherited(recording_, &counters_);
    if (!options_.sites.empty()) KeepOnly(options_.sites);
    ResolveFrames();
    BuildStacks();
    FillSummary();
    if (options_.by_thread) {
      AddSitesByThread();
    } else {
      AddSites();
    }
    return AttributeProblems(WithTotals(std::move(builder_).Build(UserLineRule(options_.user_line))));
  }

 private:
  // What a recorded node becomes: the stack of its locations, and the domain its outermost frame names.
  struct BuiltNode {
    StackId stack = kRootStack;
    uint32_t domain = format::kDomainMalloc;
    enum : uint8_t { kUnused, kUsed, kBuilt } state = kUnused;
    bool truncated = false;  // the stack goes on further out, unseen
  };

  // A path of the header may be cut; the modules' are not.
  std::string PathOf(std::string path, size_t capacity) const {
    if (path.size() + 1 < capacity) return path;
    for (const RecordedModule& module : recording_.modules()) {
      if (module.path.starts_with(path)) return module.path;
    }
    return path;
  }
  std::string MainExecutable() const {
    return PathOf(recording_.header().program, sizeof(format::FileHeader::program));
  }

  NodeId NodeOf(SiteId site) const {
    NodeId node = recording_.sites()[site];
    return node < recording_.nodes().size() ? node : 0;
  }

  void KeepOnly(const std::vector<SiteId>& sites) {
    std::vector<SiteCounters> kept(counters_.size());
    for (const SiteId site : sites) {
      if (site < kept.size()) kept[site] = counters_[site];
    }
    counters_ = std::move(kept);
  }

  // Only frames that a site in use needs are worth resolving.
  void ResolveFrames() {
    const std::vector<RecordedNode>& nodes = recording_.nodes();
    built_.resize(std::max<size_t>(nodes.size(), 1));
    std::vector<format::Frame> frames;
    for (SiteId site = 1; site < counters_.size(); ++site) {
      if (!counters_[site].any()) continue;
      for (NodeId node = NodeOf(site); node != 0 && node < nodes.size() && nodes[node].frame != 0;
           node = nodes[node].parent) {
        if (built_[node].state == BuiltNode::kUsed) break;
        built_[node].state = BuiltNode::kUsed;
        frames.push_back(nodes[node].frame);
      }
    }
    resolver_.Resolve(std::move(frames));
  }

  void BuildStacks() {
    built_[0].state = BuiltNode::kBuilt;
    for (NodeId node = 1; node < built_.size(); ++node) {
      if (built_[node].state == BuiltNode::kUsed) BuildNode(node);
    }
  }

  // Stacks of one frame, made by a handler inside the tracer, are told apart: nested_events.
  static bool IsTruncation(format::Frame frame) {
    return format::IsVirtual(frame) && format::KindOf(frame) == format::VirtualKind::kTruncated &&
           format::PayloadOf(frame) != static_cast<uint64_t>(format::TruncationReason::kNested);
  }

  void BuildNode(NodeId innermost) {
    const std::vector<RecordedNode>& nodes = recording_.nodes();
    std::vector<NodeId>& path = path_;
    path.clear();
    NodeId caller = innermost;
    // A parent that is out of range or not written ends the stack: it counts as the root.
    for (; caller < nodes.size() && built_[caller].state == BuiltNode::kUsed; caller = nodes[caller].parent) {
      path.push_back(caller);
    }
    BuiltNode current = caller < nodes.size() && built_[caller].state == BuiltNode::kBuilt ? built_[caller] : built_[0];
    for (; !path.empty(); path.pop_back()) {
      format::Frame frame = nodes[path.back()].frame;
      if (format::IsVirtual(frame) && format::KindOf(frame) == format::VirtualKind::kDomain) {
        current.domain = static_cast<uint32_t>(format::PayloadOf(frame));
      }
      current.truncated = current.truncated || IsTruncation(frame);
      std::span<const LocationId> locations = resolver_.LocationsOf(frame);
      for (auto location = locations.rbegin(); location != locations.rend(); ++location) {
        current.stack = builder_.Push(current.stack, *location);
      }
      built_[path.back()] = current;
    }
  }

  Site SiteOf(SiteId id) const {
    const BuiltNode& node = built_[NodeOf(id)];
    return {.stack = node.stack, .domain = node.domain};
  }

  void AddSites() {
    if (site_map_ != nullptr)
      *site_map_ = {.stacks = std::vector<StackId>(counters_.size(), kRootStack),
                    .domains = std::vector<uint32_t>(counters_.size())};
    for (SiteId id = 1; id < counters_.size(); ++id) {
      const SiteCounters& counters = counters_[id];
      if (!counters.any()) continue;
      Site site = SiteOf(id);
      site.live_bytes = counters.live_bytes();
      site.live_blocks = counters.live_blocks();
      site.total_bytes = counters.allocated_bytes;
      site.total_blocks = counters.allocated_blocks;
      site.variance = EstimateVariance(site.live_bytes, site.live_blocks, recording_.SampleInterval(id));
      const StackId stack = builder_.AddSite(site);
      if (site_map_ == nullptr) continue;
      site_map_->stacks[id] = stack;
      site_map_->domains[id] = site.domain;
    }
  }

  void AddSitesByThread() {
    AddThreads();
    // Each thread's counters are in the order of sites, so one step of every thread at a time visits site by site.
    std::vector<size_t> next(recording_.threads().size(), 0);
    std::vector<ThreadCounters> of_site;
    for (const auto& [id, threads] : ThreadsBySite()) {
      of_site.clear();
      for (uint32_t thread : threads) {
        of_site.push_back({thread, recording_.threads()[thread].counters[next[thread]++].second});
      }
      if (id == 0) continue;  // blocks without a stack
      ThreadSplit split = SplitByThread(of_site);
      Site site = SiteOf(id);
      for (const ThreadShare& share : split.shares) {
        if (share.live_bytes == 0 && share.live_blocks == 0 && share.total_blocks == 0) continue;  // it only freed
        site.thread = share.thread;
        site.live_bytes = share.live_bytes;
        site.live_blocks = share.live_blocks;
        site.total_bytes = share.total_bytes;
        site.total_blocks = share.total_blocks;
        site.variance = EstimateVariance(site.live_bytes, site.live_blocks, recording_.SampleInterval(id));
        builder_.AddSite(site);
      }
      if (!split.exact) builder_.summary().shared_bytes += counters_[id].live_bytes();
    }
  }

  // The threads that counted something for each site, by rising site.
  std::vector<std::pair<SiteId, std::vector<uint32_t>>> ThreadsBySite() const {
    std::vector<std::pair<SiteId, std::vector<uint32_t>>> sites;
    std::vector<uint32_t> index_of(counters_.size(), 0);
    for (SiteId id = 0; id < counters_.size(); ++id) {
      if (!counters_[id].any()) continue;
      index_of[id] = static_cast<uint32_t>(sites.size());
      sites.push_back({id, {}});
    }
    for (uint32_t thread = 0; thread < recording_.threads().size(); ++thread) {
      for (const auto& [id, counters] : recording_.threads()[thread].counters) {
        sites[index_of[id]].second.push_back(thread);
      }
    }
    return sites;
  }

  void AddThreads() {
    for (const RecordedThread& thread : recording_.threads()) {
      std::string name = thread.name;
      if (thread.kind == format::ThreadKind::kOrphans) name = "[threads without a state]";
      if (thread.kind == format::ThreadKind::kInherited) name = "[inherited from the parent process]";
      std::string label = name;
      if (thread.kind == format::ThreadKind::kThread) label = fmt::format("{} (tid {})", name, thread.tid);
      if (thread.threads_served > 1) {
        label =
            fmt::format("{} ({} threads, one after another, the last tid {})", name, thread.threads_served, thread.tid);
      }
      builder_.AddThread({.tid = thread.tid, .name = name, .label = label, .threads_served = thread.threads_served});
    }
    builder_.summary().by_thread = true;
  }

  // The snapshot that the profile is of, if it is of one: asked for, or the one a file that stands alone was made for.
  const RecordedSnapshot* Moment() const {
    const std::vector<RecordedSnapshot>& snapshots = recording_.snapshots();
    if (options_.at_peak) return nullptr;
    if (options_.snapshot) return &snapshots[*options_.snapshot];
    const bool stands_alone = (recording_.header().flags & format::kFlagSnapshot) != 0;
    return stands_alone && !snapshots.empty() ? &snapshots.back() : nullptr;
  }

  static void FillSampling(const format::FileHeader& header, ProfileSummary* summary) {
    const auto after_start = [&](uint64_t ns) {
      return ns > header.start_monotonic_ns ? ns - header.start_monotonic_ns : 0;
    };
    summary->sample_interval_bytes = header.sample_interval_bytes;
    summary->sampled_after_ns = after_start(header.sampled_ns);
    summary->totals_after_ns = after_start(header.totals_ns);
    summary->sampled_live_bytes = header.sampled_live_bytes;
    summary->totals_live_bytes = header.totals_live_bytes;
    summary->tracer_budget_bytes = header.tracer_budget_bytes;
  }

  void FillPython(ProfileSummary* summary) const {
    const format::FileHeader& header = recording_.header();
    summary->python_version = header.python_version;
    summary->python_state = header.python_state;
    summary->python_runtime = header.python_runtime;
    if (options_.at_peak || options_.snapshot) return;  // of the arenas only the present is known
    summary->python_arena_bytes = header.python_arena_bytes;
    summary->python_small_bytes = recording_.python_small_bytes();
  }

  void FillSummary() {
    const format::FileHeader& header = recording_.header();
    ProfileSummary& summary = builder_.summary();
    summary.recording = recording_.path();
    summary.program = header.program;
    summary.host = header.host;
    summary.allocator = header.allocator;
    summary.pid = header.pid;
    summary.flags = header.flags;
    summary.state = header.state;
    summary.first_errno = header.first_errno;
    summary.peak_bytes = recording_.peak_bytes();
    summary.rss_bytes = header.rss_bytes;
    summary.container_usage_bytes = header.container_usage_bytes;
    summary.container_limit_bytes = header.container_limit_bytes;
    summary.ledger = recording_.ledger();
    uint64_t end_ns = header.end_monotonic_ns;
    if (const RecordedSnapshot* snapshot = Moment()) {
      summary.label = snapshot->label;
      summary.peak_bytes = snapshot->peak_bytes;
      summary.rss_bytes = snapshot->rss_bytes;
      summary.container_usage_bytes = snapshot->container_usage_bytes;
      summary.container_limit_bytes = snapshot->container_limit_bytes;
      summary.rows = snapshot->rows;
      summary.ledger = snapshot->ledger;
      end_ns = snapshot->monotonic_ns;
    }
    if (options_.at_peak) {
      summary.at_peak = true;
      summary.rss_bytes = summary.container_usage_bytes = 0;  // not known of that moment
      summary.ledger.reset();
      end_ns = recording_.peak_copy()->monotonic_ns;
    }
    if (end_ns > header.start_monotonic_ns) summary.elapsed_ns = end_ns - header.start_monotonic_ns;
    if (summary.ledger && summary.ledger->figures.monotonic_ns > header.start_monotonic_ns) {
      summary.ledger_after_ns = summary.ledger->figures.monotonic_ns - header.start_monotonic_ns;
    }
    // One thread flushes its own peak exactly; of more, each may hide up to K bytes from the total.
    uint64_t threads = 0;
    for (const RecordedThread& thread : recording_.threads()) threads += !thread.counters.empty();
    const bool sampled = header.sample_interval_bytes != 0;
    if (threads > 1 || sampled) summary.peak_slack_bytes = threads * header.peak_slack_bytes;
    FillSampling(header, &summary);
    summary.tracer_bytes = header.tracer_private_bytes;
    summary.nested_events = header.nested_events;
    for (SiteId id = 1; id < counters_.size(); ++id) {
      if (counters_[id].any() && built_[NodeOf(id)].truncated)
        summary.truncated_blocks += counters_[id].allocated_blocks;
    }
    summary.verified_stacks = header.verified_stacks;
    summary.different_stacks = header.different_stacks;
    std::copy(std::begin(header.drops), std::end(header.drops), summary.drops.begin());
    if (counters_.size() > format::kOverflowSite) {
      summary.overflow_bytes = counters_[format::kOverflowSite].live_bytes();
    }
    FillPython(&summary);
    summary.inherited_bytes = inherited_.live_bytes();
    summary.inherited_blocks = inherited_.live_blocks();
    summary.damage = recording_.damage();
  }

  // What the sites add up to is the total, unless they are estimates.
  Profile WithTotals(Profile profile) const {
    if (recording_.header().sample_interval_bytes == 0) return profile;
    const SiteCounters totals = recording_.Totals(counters_);
    ProfileSummary summary = profile.summary();
    const int64_t bytes_of_sites = summary.live_bytes, blocks_of_sites = summary.live_blocks;
    // Frees of blocks that were never seen count: see format.h.
    summary.live_bytes = std::max<int64_t>(totals.live_bytes(), 0);
    summary.live_blocks = std::max<int64_t>(totals.live_blocks(), 0);
    summary.without_stack_bytes = summary.live_bytes - bytes_of_sites;
    summary.without_stack_blocks = summary.live_blocks - blocks_of_sites;
    return std::move(profile).WithSummary(std::move(summary));
  }

  // Charges each module with a problem the live bytes whose line is unknown because of it.
  Profile AttributeProblems(Profile profile) const {
    if (resolver_.problems().empty()) return profile;
    absl::flat_hash_map<std::string, int64_t> unresolved;
    for (const Site& site : profile.sites()) {
      const Location& location = profile.stacks().UserLine(site.stack);
      if (location.level < ResolutionLevel::kLine) unresolved[std::string(location.module)] += site.live_bytes;
    }
    ProfileSummary summary = profile.summary();
    for (ModuleProblem problem : resolver_.problems()) {
      problem.live_bytes = unresolved[problem.path];
      summary.problems.push_back(std::move(problem));
    }
    return std::move(profile).WithSummary(std::move(summary));
  }

  const Recording& recording_;
  LoadProfileOptions options_;
  ProfileBuilder builder_;
  FrameResolver resolver_;
  SiteMap* const site_map_;             // or null
  std::vector<SiteCounters> counters_;  // index: SiteId
  SiteCounters inherited_;              // what was taken off them
  std::vector<BuiltNode> built_;        // index: NodeId
  std::vector<NodeId> path_;            // scratch of BuildNode
};

}  // namespace

absl::Status CheckPeakCopy(const Recording& recording) {
  if (recording.peak_copy()) return absl::OkStatus();
  return absl::NotFoundError(fmt::format(
      "{}: has no copy of what was live at the peak: no more than {} KiB were live since the start, clear or "
      "reset_peak, or there was no room for it",
      recording.path(), recording.header().peak_slack_bytes / 1024));
}

absl::StatusOr<Profile> LoadProfile(const Recording& recording, Symbolizer* symbolizer,
                                    const LoadProfileOptions& options, SiteMap* sites) {
  if (options.snapshot && *options.snapshot >= recording.snapshots().size()) {
    return absl::OutOfRangeError(fmt::format("{}: has {} snapshots, not one of index {}", recording.path(),
                                             recording.snapshots().size(), *options.snapshot));
  }
  if (options.at_peak) RETURN_IF_ERROR(CheckPeakCopy(recording));
  if (options.without_inherited && options.by_thread) {
    return absl::InvalidArgumentError(
        fmt::format("{}: what a process inherited is of no thread: split one recording by thread, or add up several",
                    recording.path()));
  }
  if ((options.snapshot || options.at_peak) && options.by_thread) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: a snapshot is a sum over threads; only the end of the recording, without @LABEL, can be split by thread",
        recording.path()));
  }
  return ProfileLoader(recording, symbolizer, options, sites).Load();
}

}  // namespace allocline
