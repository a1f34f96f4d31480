#include "report/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/status_macros.h"
#include "recording/sampling.h"
#include "report/escape.h"
#include "report/group_index.h"
#include "report/line_facts.h"
#include "report/series.h"

namespace allocline {
namespace {

// Lines that hold less are left out.
constexpr double kLeastShare = 0.01;
constexpr int64_t kLeastBytes = 64 << 10;
constexpr size_t kMostLines = 100;
// docs/explain.md gives the reasons for these.
constexpr double kExplainedWork = 10;  // times what was seen: how far ahead growth is looked at
constexpr int64_t kBufferBytes = 1 << 20;
constexpr int64_t kLargeBlockBytes = 64 << 10;

struct FactNaming {
  FactKind kind;
  std::string_view name;
};
constexpr FactNaming kFactNames[] = {
    {FactKind::kShare, "share"},
    {FactKind::kOfLimit, "of_limit"},
    {FactKind::kDominates, "dominates"},
    {FactKind::kKept, "kept"},
    {FactKind::kGivenBack, "given_back"},
    {FactKind::kAccumulates, "accumulates"},
    {FactKind::kLevelsOff, "levels_off"},
    {FactKind::kBuiltEarly, "built_early"},
    {FactKind::kGrewBetween, "grew_between"},
    {FactKind::kAcrossWork, "across_work"},
    {FactKind::kGoneLater, "gone_later"},
    {FactKind::kOneBuffer, "one_buffer"},
    {FactKind::kLargeBlocks, "large_blocks"},
    {FactKind::kSeveralLarge, "several_large"},
    {FactKind::kManyThreads, "many_threads"},
    {FactKind::kHandedOver, "handed_over"},
    {FactKind::kWholeResult, "whole_result"},
    {FactKind::kDatabase, "database"},
    {FactKind::kProgramDatabase, "program_database"},
    {FactKind::kWholeFile, "whole_file"},
    {FactKind::kFile, "file"},
    {FactKind::kCsv, "csv"},
    {FactKind::kDocument, "document"},
    {FactKind::kDocumentOfFile, "document_of_file"},
    {FactKind::kBinary, "binary"},
    {FactKind::kSequence, "sequence"},
    {FactKind::kKeyed, "keyed"},
    {FactKind::kQueue, "queue"},
    {FactKind::kProgramNetwork, "program_network"},
    {FactKind::kPaged, "paged"},
    {FactKind::kMemoized, "memoized"},
    {FactKind::kLookedUp, "looked_up"},
    {FactKind::kNamedCache, "named_cache"},
    {FactKind::kNamedJoin, "named_join"},
    {FactKind::kNamedRow, "named_row"},
    {FactKind::kNamedPage, "named_page"},
    {FactKind::kNamedQuery, "named_query"},
    {FactKind::kNamedFile, "named_file"},
    {FactKind::kNamedBinary, "named_binary"},
    {FactKind::kNamedQueue, "named_queue"},
};
static_assert(std::size(kFactNames) == static_cast<size_t>(FactKind::kCount));

bool HasLine(const Location& location) { return !location.file.empty() && location.line > 0; }

class EvidenceGatherer {
 public:
  EvidenceGatherer(const Recording& recording, const Profile& profile, const SiteMap& map,
                   const EvidenceOptions& options)
      : recording_(recording), stacks_(profile.stacks()), map_(map), options_(options) {}

  absl::StatusOr<Evidence> Gather(const Growth& growth) {
    TakeProgram(growth);
    GroupSites();
    ChooseMoment();
    AddSites();
    const std::vector<GroupId> chosen = ChooseLines(growth);
    AddThreads(chosen);

    SeriesTable series(recording_, points_.chosen, groups_, index_.size());
    FileNames names;
    names.Add(stacks_);
    names.Finish();
    StatementReader statements(recording_.header().start_realtime_ns);
    const FactContext context{.stacks = stacks_,
                              .names = names,
                              .evidence = evidence_,
                              .growth = growth,
                              .points = points_.chosen,
                              .points_before = points_before_,
                              .program_calls = program_calls_,
                              .function_calls = std::move(function_calls_),
                              .statements = options_.read_sources ? &statements : nullptr};
    std::vector<LineEvidence> lines;
    for (const GroupId group : chosen) {
      LineEvidence line = Figures(group);
      const GrowthLine* grown = growth_lines_[group];
      line.cost_bytes = CostOfLine(growth, group);
      if (grown != nullptr) {
        line.is_accumulating = grown->verdict.kind == VerdictKind::kAccumulating;
      }
      FindFacts(context, lines_[group], grown != nullptr ? grown->verdict : Verdict(), series.Line(group), &line);
      lines.push_back(std::move(line));
    }
    evidence_.lines = std::move(lines);
    return std::move(evidence_);
  }

 private:
  void TakeProgram(const Growth& growth) {
    const format::FileHeader& header = recording_.header();
    evidence_.limit_bytes = growth.outlook.limit_bytes != 0 ? growth.outlook.limit_bytes : header.container_limit_bytes;
    evidence_.limit_was_given = options_.limit_bytes != 0;
    evidence_.sampled = header.sample_interval_bytes != 0;
    evidence_.totals_only = (header.state & format::kStateTotalsOnly) != 0;
    evidence_.checkpoints = growth.checkpoints.chosen.size();
  }

  // The group of every site: its user's line.
  void GroupSites() {
    const std::vector<GroupId> of_locations = index_.Add(stacks_);
    groups_.assign(map_.stacks.size(), kNoGroup);
    for (size_t site = 0; site < groups_.size(); ++site) {
      const StackId stack = map_.stacks[site];
      if (stack != kRootStack) groups_[site] = of_locations[stacks_.nodes()[stacks_.nodes()[stack].user].location];
    }
    lines_.resize(index_.size());
    growth_lines_.resize(index_.size());
    locations_.resize(index_.size());
    for (LocationId id = 0; id < of_locations.size(); ++id) {
      const Location*& location = locations_[of_locations[id]];
      if (location == nullptr || stacks_.locations()[id].role == FrameRole::kUser) location = &stacks_.locations()[id];
    }
    kinds_.reserve(stacks_.locations().size());
    for (const Location& location : stacks_.locations()) kinds_.push_back(KindsOfCall(location));
  }

  // When the program held most: at the end if it did not give most of that back until then, or was ended; else at the
  // peak.
  void ChooseMoment() {
    CheckpointOptions all{.labels = "*", .last = options_.moment.snapshot, .present = options_.present};
    points_ = ChooseCheckpoints(recording_, all);
    const std::vector<Checkpoint>& points = points_.chosen;
    const std::optional<RecordedPeak>& peak = recording_.peak_copy();
    JudgedMoment& moment = evidence_.moment;
    if (options_.moment.snapshot) {
      const size_t snapshot = *options_.moment.snapshot;
      held_ = recording_.CountersAt(snapshot);
      moment.text = fmt::format("at \"{}\"", Printable(recording_.snapshots()[snapshot].label));
      moment.elapsed_ns = SinceStart(recording_.snapshots()[snapshot].monotonic_ns);
      points_before_ = points.empty() ? 0 : points.size() - 1;
    } else if (peak && (options_.moment.at_peak || PeakSaysMore(*peak))) {
      moment.at_peak = true;
      moment.text = "at the peak";
      moment.elapsed_ns = SinceStart(peak->monotonic_ns);
      held_ = recording_.CountersAtPeak();
      while (points_before_ < points.size() && points[points_before_].snapshot &&
             points[points_before_].monotonic_ns < peak->monotonic_ns) {
        ++points_before_;
      }
    } else {
      held_ = recording_.Counters();
      const bool running = options_.present.has_value();
      moment.text = running ? "now" : "at the end";
      if (!running) moment.elapsed_ns = SinceStart(recording_.header().end_monotonic_ns);
      points_before_ = points.size();
      if (!points.empty() && !points.back().snapshot) --points_before_;
    }
    // Estimates are no part of the total.
    moment.live_bytes = std::max<int64_t>(0, recording_.Totals(held_).live_bytes());
    if (moment.at_peak && evidence_.sampled) moment.live_bytes = static_cast<int64_t>(peak->live_bytes);
    ever_ = recording_.Counters();
    held_.resize(groups_.size());
    ever_.resize(groups_.size());
  }

  uint64_t SinceStart(uint64_t monotonic_ns) const {
    const uint64_t start = recording_.header().start_monotonic_ns;
    return monotonic_ns > start ? monotonic_ns - start : 0;
  }

  bool PeakSaysMore(const RecordedPeak& peak) const {
    const bool ended_by_itself = (recording_.header().state & format::kStateEndedByItself) != 0;
    return ended_by_itself ? peak.live_bytes > recording_.live_bytes() : peak.live_bytes / 2 > recording_.live_bytes();
  }

  void AddSites() {
    for (size_t site = 0; site < groups_.size(); ++site) {
      const SiteCounters& held = held_[site];
      if (groups_[site] == kNoGroup || !(held.any() || ever_[site].any())) continue;
      const Location& user = stacks_.UserLine(map_.stacks[site]);
      int64_t& sum = user.role != FrameRole::kUser ? evidence_.library_bytes
                     : HasLine(user)               ? evidence_.own_bytes
                                                   : evidence_.no_line_bytes;
      sum += std::max<int64_t>(0, held.live_bytes());
      AddFigures(site, &lines_[groups_[site]]);
      AddCalls(site, user, &lines_[groups_[site]]);
    }
  }

  void AddFigures(size_t site, LineSums* line) const {
    const SiteCounters &held = held_[site], &ever = ever_[site];
    const int64_t bytes = held.live_bytes(), blocks = held.live_blocks();
    line->size += bytes;
    line->count += blocks;
    line->variance += EstimateVariance(bytes, blocks, recording_.SampleInterval(static_cast<SiteId>(site)));
    line->total_bytes += ever.allocated_bytes;
    line->total_blocks += ever.allocated_blocks;
    if (bytes <= 0 || blocks <= 0) return;
    line->paths[stacks_.nodes()[map_.stacks[site]].user] += bytes;
    if (bytes / blocks >= kLargeBlockBytes) line->large_bytes += bytes, line->large_blocks += blocks;
    if (bytes / blocks < kBufferBytes) return;
    line->buffer_bytes += bytes;
    line->buffers += blocks;
    line->buffers_total_bytes += ever.allocated_bytes;
    line->buffers_total_blocks += ever.allocated_blocks;
  }

  // What is called between the user's line and the allocator, that line included: a library may be part of the program.
  void AddCalls(size_t site, const Location& user, LineSums* line) {
    const StackId stack = map_.stacks[site], own = stacks_.nodes()[stack].user;
    std::array<LocationId, kCallKinds> outermost;
    CallKinds seen, container;
    const StackFrames frames = stacks_.Frames(stack);
    for (auto frame = frames.begin(); frame != frames.end(); ++frame) {
      CallKinds kinds = kinds_[*frame];
      // What the line puts its memory into is the outermost container: a vector of maps is a vector.
      if (kinds.Has(CallKind::kContainer) || !(kinds & kContainers).Empty()) {
        if (frame.stack() != own) container = kinds & kContainers;
        kinds = kinds - kContainers - CallKind::kContainer;
        if (frame.stack() != own) SetExamples(container, *frame, &outermost);
      }
      seen |= kinds;
      SetExamples(kinds, *frame, &outermost);
      if (frame.stack() == own) break;
    }
    seen |= container;
    const int64_t bytes = std::max<int64_t>(0, held_[site].live_bytes());
    const bool is_own = user.role == FrameRole::kUser;
    CallSums* of_function = is_own && !seen.Empty() ? &function_calls_[FunctionKey(user.file, user.function)] : nullptr;
    for (size_t kind = 0; kind < kCallKinds; ++kind) {
      if (!seen.Has(static_cast<CallKind>(kind))) continue;
      line->calls[kind].Add(bytes, outermost[kind]);
      if (of_function == nullptr) continue;
      (*of_function)[kind].Add(bytes, outermost[kind]);
      program_calls_[kind].Add(bytes, outermost[kind]);
    }
  }
  static void SetExamples(CallKinds kinds, LocationId location, std::array<LocationId, kCallKinds>* examples) {
    for (size_t kind = 0; kind < kCallKinds; ++kind) {
      if (kinds.Has(static_cast<CallKind>(kind))) (*examples)[kind] = location;
    }
  }

  // What the line will hold when memory runs out, or after ten times the work that was seen, whichever comes first.
  double CostOfLine(const Growth& growth, GroupId group) const {
    const double size = static_cast<double>(lines_[group].size);
    if (growth_lines_[group] == nullptr) return size;
    const Verdict& verdict = growth_lines_[group]->verdict;
    const double top = std::max(size, static_cast<double>(verdict.top));
    if (verdict.kind != VerdictKind::kAccumulating) return top;
    const double most_ahead = kExplainedWork * static_cast<double>(growth.checkpoints.chosen.size());
    return top +
           verdict.bytes_per_checkpoint * std::min(most_ahead, growth.outlook.checkpoints_left.value_or(most_ahead));
  }

  // Those of the program's own that hold something worth a look, or will.
  std::vector<GroupId> ChooseLines(const Growth& growth) {
    double all_costs = 0;
    for (const GrowthLine& line : growth.lines) {
      // Both indices were made of the same stacks, in the same order.
      if (line.id < growth_lines_.size()) growth_lines_[line.id] = &line;
      all_costs += CostOfLine(growth, line.id);
    }
    const auto cost = [&](GroupId group) { return CostOfLine(growth, group); };
    std::vector<GroupId> chosen;
    for (GroupId group = 0; group < lines_.size(); ++group) {
      const Location* location = locations_[group];
      if (location == nullptr || location->role != FrameRole::kUser || !HasLine(*location)) continue;
      const double size = static_cast<double>(lines_[group].size);
      const bool holds =
          lines_[group].size >= kLeastBytes && size >= kLeastShare * static_cast<double>(evidence_.moment.live_bytes);
      const bool will_hold = lines_[group].size > 0 && cost(group) > size && cost(group) >= kLeastShare * all_costs;
      if (holds || will_hold) chosen.push_back(group);
    }
    std::ranges::sort(chosen, [&](GroupId a, GroupId b) {
      return std::tuple(cost(b), lines_[b].size, a) < std::tuple(cost(a), lines_[a].size, b);
    });
    if (chosen.size() > kMostLines) chosen.resize(kMostLines);
    return chosen;
  }

  void AddThreads(const std::vector<GroupId>& chosen) {
    std::vector<bool> is_chosen(lines_.size());
    for (const GroupId group : chosen) is_chosen[group] = true;
    for (const RecordedThread& thread : recording_.threads()) {
      if (thread.kind != format::ThreadKind::kThread) continue;
      const bool is_first = thread.tid == recording_.header().pid;
      absl::flat_hash_map<GroupId, ThreadBytes> of_lines;
      for (const auto& [site, counters] : thread.counters) {
        if (site >= groups_.size() || groups_[site] == kNoGroup || !is_chosen[groups_[site]]) continue;
        ThreadBytes& bytes = of_lines[groups_[site]];
        bytes.is_first = is_first;
        bytes.allocated += counters.allocated_bytes;
        bytes.freed += counters.freed_bytes;
      }
      for (const auto& [group, bytes] : of_lines) lines_[group].threads.push_back(bytes);
    }
  }

  LineEvidence Figures(GroupId group) const {
    const LineSums& sums = lines_[group];
    return {.group = index_.Describe(group),
            .size = sums.size,
            .count = sums.count,
            .size_error = ErrorBound(sums.variance),
            .total_bytes = sums.total_bytes,
            .total_blocks = sums.total_blocks,
            .cost_bytes = static_cast<double>(sums.size),
            .is_accumulating = false,
            .path = {},
            .keeper = std::nullopt,
            .facts = {},
            .present = {}};
  }

  const Recording& recording_;
  const StackTable& stacks_;
  const SiteMap& map_;
  const EvidenceOptions& options_;
  GroupIndex index_{GroupBy::kLine, /*across_runs=*/false};
  Evidence evidence_;
  Checkpoints points_;
  size_t points_before_ = 0;
  std::vector<SiteCounters> held_, ever_;        // index: SiteId
  std::vector<GroupId> groups_;                  // index: SiteId
  std::vector<LineSums> lines_;                  // index: GroupId
  std::vector<const GrowthLine*> growth_lines_;  // index: GroupId
  std::vector<const Location*> locations_;       // index: GroupId; one of each
  std::vector<CallKinds> kinds_;                 // index: LocationId
  CallSums program_calls_;
  absl::flat_hash_map<std::string, CallSums> function_calls_;
};

}  // namespace

std::string_view FactName(FactKind kind) { return std::ranges::find(kFactNames, kind, &FactNaming::kind)->name; }

const Fact* LineEvidence::Find(FactKind kind) const {
  const auto fact = std::ranges::find(facts, kind, &Fact::kind);
  return fact == facts.end() ? nullptr : &*fact;
}

absl::StatusOr<Evidence> GatherEvidence(const Recording& recording, const Profile& profile, const SiteMap& sites,
                                        const EvidenceOptions& options) {
  GrowthOptions growth_options;
  growth_options.limit_bytes = options.limit_bytes;
  growth_options.checkpoints.last = options.moment.snapshot;
  growth_options.checkpoints.present = options.present;
  ASSIGN_OR_RETURN(const Growth growth, ComputeGrowth(recording, profile, sites, growth_options));
  return EvidenceGatherer(recording, profile, sites, options).Gather(growth);
}

}  // namespace allocline
