#include "tests/recording/random_recording.h"

#include <random>
#include <string>

namespace allocline {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }
  // Small numbers are as likely as huge ones.
  uint64_t Magnitude() { return random_() >> Below(64); }
  std::vector<format::Frame> Stack() {
    std::vector<format::Frame> stack(Below(6));
    for (format::Frame& frame : stack) frame = Magnitude();
    return stack;
  }
  std::string Text(size_t limit) {
    std::string text(Below(limit), '\0');
    for (char& c : text) c = static_cast<char>(Below(256));
    return text;
  }
  // No more is freed than allocated, and sums of a thousand do not overflow.
  SiteCounters Counters() {
    const uint64_t bytes = Magnitude() >> 11, blocks = Magnitude() >> 11;
    return {bytes, blocks, Below(bytes + 1), Below(blocks + 1)};
  }

 private:
  std::mt19937_64 random_;
};

RecordedModule RandomModule(Dice& dice, uint64_t start) {
  RecordedModule module{.start = start,
                        .end = start + 1 + dice.Below(0x10000),
                        .load_bias = dice.Magnitude(),
                        .generation = static_cast<uint32_t>(dice.Below(4)),
                        .loaded_ns = dice.Magnitude(),
                        .unloaded_ns = dice.Magnitude(),
                        .build_id = dice.Text(21),
                        .path = dice.Text(300),
                        .segments = {}};
  for (uint64_t i = dice.Below(4); i > 0; --i) {
    module.segments.push_back({dice.Magnitude(), dice.Magnitude(), dice.Magnitude()});
  }
  return module;
}

RecordedSnapshot RandomSnapshot(Dice& dice, SiteId sites) {
  RecordedSnapshot snapshot{.label = dice.Text(40),
                            .monotonic_ns = dice.Magnitude(),
                            .live_bytes = dice.Magnitude(),
                            .peak_bytes = dice.Magnitude(),
                            .rss_bytes = dice.Magnitude(),
                            .container_usage_bytes = dice.Magnitude(),
                            .container_limit_bytes = dice.Magnitude(),
                            .rows = dice.Magnitude(),
                            .kind = format::SnapshotKind{static_cast<uint32_t>(dice.Below(7))},
                            .growth = {}};
  for (SiteId site = 1; site < sites; ++site) {
    const SiteCounters growth = dice.Counters();
    if (dice.Below(3) == 0 && growth.any()) snapshot.growth.emplace_back(site, growth);
  }
  return snapshot;
}

RecordedSymbol RandomSymbol(Dice& dice) {
  RecordedSymbol symbol{.frame = dice.Magnitude(), .level = static_cast<uint32_t>(dice.Below(5)), .locations = {}};
  for (uint64_t i = dice.Below(5); i > 0; --i) {
    symbol.locations.push_back({.function = dice.Text(60),
                                .file = dice.Text(60),
                                .line = static_cast<uint32_t>(dice.Magnitude()),
                                .inlined = dice.Below(2) == 0});
  }
  return symbol;
}

}  // namespace

RandomRecording::RandomRecording(uint64_t seed) {
  Dice dice(seed);
  for (uint64_t i = dice.Below(6); i > 0; --i) {
    modules.push_back(RandomModule(dice, 0x1000 + dice.Magnitude() / 2));
    builder.AddModule(modules.back());
  }
  // Few distinct frames, so that stacks share callers.
  SiteId sites = format::kOverflowSite + 1;
  for (uint64_t i = dice.Below(200); i > 0; --i) {
    std::vector<format::Frame> stack(1 + dice.Below(12));
    for (format::Frame& frame : stack) frame = 1 + dice.Below(8);
    const SiteId site = builder.AddSite(stack);
    stacks[site] = stack;
    sites = std::max(sites, site + 1);
  }
  for (uint64_t i = dice.Below(5); i > 0; --i) {
    threads.push_back({.kind = dice.Below(2) == 0 ? format::ThreadKind::kThread : format::ThreadKind::kInherited,
                       .tid = static_cast<uint32_t>(dice.Magnitude()),
                       .threads_served = static_cast<uint32_t>(dice.Magnitude()),
                       .name = std::string("thread") + std::to_string(i),
                       .python_small_bytes = static_cast<int64_t>(dice.Magnitude()),
                       .timed_allocations = {dice.Magnitude(), static_cast<int64_t>(dice.Magnitude())},
                       .timed_frees = {dice.Magnitude(), -static_cast<int64_t>(dice.Magnitude() >> 1)},
                       .counters = {}});
    const size_t thread = builder.AddThread(threads.back());
    counted.emplace_back();
    for (uint64_t k = dice.Below(100); k > 0; --k) {
      const auto site = static_cast<SiteId>(1 + dice.Below(sites - 1));
      const SiteCounters counters = dice.Counters();
      builder.AddCounters(thread, site, counters);
      counted.back()[site] += counters;
    }
    std::erase_if(counted.back(), [](const auto& entry) { return !entry.second.any(); });
  }
  for (uint64_t i = dice.Below(4); i > 0; --i) {
    snapshots.push_back(RandomSnapshot(dice, sites));
    builder.AddSnapshot(snapshots.back());
  }
  for (uint64_t i = dice.Below(6); i > 0; --i) {
    codes.push_back({.first_line = static_cast<int32_t>(dice.Magnitude()),
                     .line_table_kind = format::LineTableKind{static_cast<uint32_t>(dice.Below(5))},
                     .file = dice.Text(60),
                     .name = dice.Text(60),
                     .line_table = dice.Text(200)});
    codes.back().id = builder.AddCode(codes.back());
  }
  for (uint64_t i = dice.Below(4); i > 0; --i) {
    symbols.push_back(RandomSymbol(dice));
    builder.AddSymbol(symbols.back());
  }
  if (dice.Below(2) == 0) {
    peak_copy = {.monotonic_ns = dice.Magnitude(), .live_bytes = dice.Magnitude(), .live = {}};
    for (SiteId site = 1; site < sites; ++site) {
      const SiteCounters live{.allocated_bytes = dice.Magnitude(), .allocated_blocks = dice.Magnitude()};
      if (dice.Below(3) == 0 && live.any()) peak_copy->live.emplace_back(site, live);
    }
    builder.SetPeakCopy(*peak_copy);
  }
  uint64_t moment = 0;
  for (uint64_t i = dice.Below(20); i > 0; --i) {
    timeline.push_back({.monotonic_ns = moment += dice.Magnitude() >> 5,
                        .live_bytes = dice.Magnitude(),
                        .rss_bytes = dice.Magnitude(),
                        .container_usage_bytes = dice.Magnitude(),
                        .container_limit_bytes = dice.Magnitude()});
    builder.AddTimelinePoint(timeline.back());
  }
  for (uint64_t i = dice.Below(3); i > 0; --i) {
    differences.push_back({.ours = dice.Stack(), .theirs = dice.Stack()});
    builder.AddDifference(differences.back());
  }
}

}  // namespace allocline
