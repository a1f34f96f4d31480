// What does it cost to count an allocation for its site, by one thread and by two at once?
//
// Sites are drawn at random from 10 and from 10,000. The baseline is what a tracer without tables per thread would do:
// one array of counters for all threads, added to atomically.
#include <benchmark/benchmark.h>

#include <atomic>
#include <vector>

#include "base/atomic.h"
#include "bench/scratch_recording.h"
#include "tracer/thread_counters.h"

namespace allocline {
namespace {

constexpr uint64_t kBytes = 48;
constexpr size_t kMostSites = 10'000;

// A cheap sequence of sites from 1 on, another one for each thread.
class Sites {
 public:
  Sites(int64_t count, int thread) : count_(static_cast<uint64_t>(count)), state_(static_cast<uint64_t>(thread) + 1) {}
  uint32_t Next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return 1 + static_cast<uint32_t>((state_ >> 32) * count_ >> 32);
  }

 private:
  uint64_t count_, state_;
};

void BM_TablePerThread(benchmark::State& state) {
  static bench::ScratchRecording* const recording = new bench::ScratchRecording;  // of all threads and runs
  RecordingWriter& writer = recording->writer();
  ThreadCounters counters;
  counters.Init(static_cast<uint32_t>(state.thread_index()));
  Sites sites(state.range(0), state.thread_index());
  for (auto _ : state) {
    format::Counter* counter = counters.At(sites.Next(), writer);
    AddOwned(counter->allocated_bytes, kBytes);
    AddOwned(counter->allocated_blocks, 1);
  }
  uint64_t counted = 0;
  for (uint32_t site = 1; site <= state.range(0); ++site) counted += counters.At(site, writer)->allocated_blocks;
  if (counted != static_cast<uint64_t>(state.iterations())) state.SkipWithError("events were lost");
}

struct SharedCounter {
  std::atomic<uint64_t> bytes, blocks;
};
std::vector<SharedCounter> g_shared(kMostSites + 1);

void BM_OneTableForAll(benchmark::State& state) {
  Sites sites(state.range(0), state.thread_index());
  for (auto _ : state) {
    SharedCounter& counter = g_shared[sites.Next()];
    counter.bytes.fetch_add(kBytes, std::memory_order_relaxed);
    counter.blocks.fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t counted = 0;
  for (const SharedCounter& counter : g_shared) counted += counter.blocks.load(std::memory_order_relaxed);
  if (counted < static_cast<uint64_t>(state.iterations())) state.SkipWithError("events were lost");
}

#define ALLOCLINE_SITES ->ArgName("sites")->Arg(10)->Arg(kMostSites)->Threads(1)->Threads(2)
BENCHMARK(BM_TablePerThread) ALLOCLINE_SITES;
BENCHMARK(BM_OneTableForAll) ALLOCLINE_SITES;

}  // namespace
}  // namespace allocline

BENCHMARK_MAIN();
