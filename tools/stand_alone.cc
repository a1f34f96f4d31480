#include "tools/stand_alone.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "report/python_frames.h"
#include "report/resolve_frames.h"

namespace allocline {
namespace {

// Copies sites on demand, and remembers which frames their stacks are made of.
class SiteCopier {
 public:
  SiteCopier(const Recording& recording, RecordingBuilder* builder) : recording_(recording), builder_(builder) {}

  SiteId Copy(SiteId site) {
    if (site == 0) return 0;  // blocks without a stack
    const auto [entry, inserted] = copies_.try_emplace(site, format::kOverflowSite);
    if (inserted) {
      std::vector<format::Frame> stack = recording_.Stack(site);
      frames_.insert(stack.begin(), stack.end());
      for (format::Frame& frame : stack) frame = CopyCode(frame);
      if (!stack.empty()) entry->second = builder_->AddSite(stack);
    }
    return entry->second;
  }

  std::vector<format::Frame> TakeFrames() { return {frames_.begin(), frames_.end()}; }

 private:
  // A frame of Python names its code by where it is, which is elsewhere in the copy.
  format::Frame CopyCode(format::Frame frame) {
    const RecordedCode* code = recording_.FindCode(frame);
    if (code == nullptr) return frame;
    const auto [entry, inserted] = codes_.try_emplace(code->id, 0);
    if (inserted) {
      RecordedCode copy = *code;
      copy.file = PythonFileName(recording_, *code);
      entry->second = builder_->AddCode(copy);
    }
    return format::MakeVirtualFrame(format::VirtualKind::kPython,
                                    format::PythonPayload(entry->second, format::CodeOffsetOf(frame)));
  }

  const Recording& recording_;
  RecordingBuilder* const builder_;
  absl::flat_hash_map<SiteId, SiteId> copies_;
  absl::flat_hash_map<uint64_t, uint64_t> codes_;
  absl::flat_hash_set<format::Frame> frames_;
};

// The counters to copy, as threads. At a snapshot or at the peak they are known only in sum: one thread stands for all.
std::vector<RecordedThread> ThreadsAt(const Recording& recording, const LabelledMoment& at) {
  if (!at.snapshot && !at.at_peak) return recording.threads();
  RecordedThread all{.tid = recording.header().pid, .threads_served = 1, .name = "all threads"};
  const std::vector<SiteCounters> counters =
      at.at_peak ? recording.CountersAtPeak() : recording.CountersAt(*at.snapshot);
  for (SiteId site = 0; site < counters.size(); ++site) {
    if (counters[site].any()) all.counters.emplace_back(site, counters[site]);
  }
  return {all};
}

RecordedSymbol SymbolOf(format::Frame frame, const ResolvedAddress& resolved) {
  RecordedSymbol symbol{.frame = frame, .level = static_cast<uint32_t>(resolved.level)};
  for (const SourceLocation& source : resolved.locations) {
    symbol.locations.push_back(
        {.function = source.function, .file = source.file, .line = source.line, .inlined = source.inlined});
  }
  return symbol;
}

}  // namespace

RecordingBuilder MakeStandAlone(const Recording& recording, const LabelledMoment& at, RecordedSnapshot moment,
                                Symbolizer* symbolizer) {
  RecordingBuilder builder;
  builder.header() = recording.header();
  builder.header().flags |= format::kFlagSnapshot;
  moment.live_bytes = at.at_peak    ? recording.peak_copy()->live_bytes
                      : at.snapshot ? recording.snapshots()[*at.snapshot].live_bytes
                                    : recording.live_bytes();
  moment.peak_bytes = at.snapshot ? recording.snapshots()[*at.snapshot].peak_bytes : recording.peak_bytes();
  if (at.snapshot) moment.ledger = recording.snapshots()[*at.snapshot].ledger;
  if (!at.snapshot && !at.at_peak && recording.ledger()) moment.ledger = *recording.ledger();
  builder.header().live_bytes = moment.live_bytes;
  builder.header().peak_bytes = moment.peak_bytes;
  builder.header().rss_bytes = moment.rss_bytes;
  builder.header().container_usage_bytes = moment.container_usage_bytes;
  builder.header().container_limit_bytes = moment.container_limit_bytes;

  if (at.snapshot || at.at_peak) builder.header().python_arena_bytes = 0;  // of them only the present is known

  SiteCopier sites(recording, &builder);
  std::vector<RecordedThread> threads = ThreadsAt(recording, at);
  for (RecordedThread& thread : threads) {
    for (auto& [site, counters] : thread.counters) site = sites.Copy(site);
    builder.AddThread(thread);
  }
  builder.AddSnapshotOfNow(std::move(moment));

  absl::flat_hash_set<const RecordedModule*> modules;
  ResolveFrames(recording, symbolizer, sites.TakeFrames(),
                [&](format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved) {
                  if (module == nullptr) return;
                  if (modules.insert(module).second) builder.AddModule(*module);
                  if (resolved.level >= ResolutionLevel::kDynamic) builder.AddSymbol(SymbolOf(frame, resolved));
                });
  return builder;
}

}  // namespace allocline
