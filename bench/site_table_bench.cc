// What does it cost to find the site of a stack, of which some innermost frames are new since the last?
//
// The stacks are those of call_walk.h: of a parser, whose contexts fit a cache, and of a compiler, whose contexts do
// not. The baseline is the same calling-context tree over absl::flat_hash_map, by one thread, without the atomics that
// make ours usable from all threads and in signal handlers.
#include <benchmark/benchmark.h>

#include "absl/container/flat_hash_map.h"
#include "bench/call_walk.h"
#include "bench/scratch_recording.h"
#include "tracer/site_table.h"

namespace allocline {
namespace {

using bench::MakeWalk;
using bench::ScratchRecording;
using bench::Walk;
using bench::WalkShape;
using bench::WalkStep;

constexpr size_t kEvents = 1'000'000;

const Walk& WalkOf(int64_t which) {
  static const Walk parser = MakeWalk(bench::Parser(), kEvents);
  static const Walk compiler = MakeWalk(bench::Compiler(), kEvents);
  return which == 0 ? parser : compiler;
}
const char* NameOf(int64_t which) { return which == 0 ? "parser" : "compiler"; }

// Walks all stacks, calling child(parent, frame) -> node for what changed; gives the sum of the sites.
template <typename Child, typename SiteOf>
uint64_t Replay(const Walk& walk, Child child, SiteOf site_of) {
  NodeId stack[256] = {};
  uint64_t sum = 0;
  for (const WalkStep& step : walk.steps) {
    NodeId node = stack[step.keep];
    for (uint32_t i = 0; i < step.added; ++i) {
      node = child(node, walk.frames[step.first + i]);
      stack[step.keep + i + 1] = node;
    }
    sum += site_of(node);
  }
  return sum;
}

void Report(benchmark::State& state, const Walk& walk, uint64_t contexts) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kEvents));
  state.counters["contexts"] = static_cast<double>(contexts);
  state.counters["changed"] = static_cast<double>(walk.frames.size()) / static_cast<double>(kEvents);
  state.SetLabel(NameOf(state.range(0)));
}

// Everything is known already: what a program costs that has been running for a while. Time is per event.
void BM_SiteTableKnown(benchmark::State& state) {
  const Walk& walk = WalkOf(state.range(0));
  ScratchRecording recording;
  SiteTable sites;
  if (!sites.Init(&recording.writer())) abort();
  const auto child = [&](NodeId parent, uint64_t frame) { return sites.Child(parent, frame); };
  const auto site_of = [&](NodeId node) { return sites.SiteOf(node); };
  const uint64_t expected = Replay(walk, child, site_of);
  for (auto _ : state) {
    if (Replay(walk, child, site_of) != expected) state.SkipWithError("another site for a known stack");
  }
  Report(state, walk, recording.writer().used(format::TableKind::kNodes) / sizeof(format::NodeRecord));
}

// Everything is new at first: what a compiler costs from its start, growth of the table included.
void BM_SiteTableFromEmpty(benchmark::State& state) {
  const Walk& walk = WalkOf(state.range(0));
  uint64_t contexts = 0;
  for (auto _ : state) {
    ScratchRecording recording;
    SiteTable sites;
    if (!sites.Init(&recording.writer())) abort();
    Replay(
        walk, [&](NodeId parent, uint64_t frame) { return sites.Child(parent, frame); },
        [&](NodeId node) { return sites.SiteOf(node); });
    contexts = recording.writer().used(format::TableKind::kNodes) / sizeof(format::NodeRecord);
  }
  Report(state, walk, contexts);
}

// The baseline: (parent, frame) -> node, and the node is the site.
class MapOfContexts {
 public:
  NodeId Child(NodeId parent, uint64_t frame) {
    const auto [it, fresh] = children_.try_emplace({parent, frame}, static_cast<NodeId>(children_.size() + 1));
    return it->second;
  }
  uint64_t size() const { return children_.size(); }

 private:
  absl::flat_hash_map<std::pair<NodeId, uint64_t>, NodeId> children_;
};

void BM_FlatHashMapKnown(benchmark::State& state) {
  const Walk& walk = WalkOf(state.range(0));
  MapOfContexts map;
  const auto child = [&](NodeId parent, uint64_t frame) { return map.Child(parent, frame); };
  const auto site_of = [](NodeId node) { return node; };
  const uint64_t expected = Replay(walk, child, site_of);
  for (auto _ : state) {
    if (Replay(walk, child, site_of) != expected) state.SkipWithError("another site for a known stack");
  }
  Report(state, walk, map.size());
}

void BM_FlatHashMapFromEmpty(benchmark::State& state) {
  const Walk& walk = WalkOf(state.range(0));
  uint64_t contexts = 0;
  for (auto _ : state) {
    MapOfContexts map;
    Replay(
        walk, [&](NodeId parent, uint64_t frame) { return map.Child(parent, frame); },
        [](NodeId node) { return node; });
    contexts = map.size();
  }
  Report(state, walk, contexts);
}

#define ALLOCLINE_WALKS ->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)
BENCHMARK(BM_SiteTableKnown) ALLOCLINE_WALKS;
BENCHMARK(BM_FlatHashMapKnown) ALLOCLINE_WALKS;
BENCHMARK(BM_SiteTableFromEmpty) ALLOCLINE_WALKS;
BENCHMARK(BM_FlatHashMapFromEmpty) ALLOCLINE_WALKS;

}  // namespace
}  // namespace allocline

BENCHMARK_MAIN();
