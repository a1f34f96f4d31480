// What does it cost to count an allocation, and a free, for its site, by one thread and by two at once?
//
// Sites are drawn at random from 10, from 10,000 and from a million, as a compiler has. A free is counted for the site
// that allocated, which is looked up just so; what differs is who knows it: the malloc side finds the counter with the
// stack and usually has it at hand (BM_MallocKnownSite), the free side comes with a site's number. The baseline is what
// a tracer without tables per thread would do: one array of counters for all threads, added to atomically.
#include <benchmark/benchmark.h>

#include <atomic>
#include <vector>

#include "base/atomic.h"
#include "bench/scratch_recording.h"
#include "tracer/thread_counters.h"

namespace allocline {
namespace {

constexpr uint64_t kBytes = 48;
constexpr size_t kMostSites = 1'000'000;

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

// A thread's counters for the sites from 1 to `count`, made when they are first asked for.
class CountersOfThread {
 public:
  CountersOfThread(int64_t count, int thread) : count_(static_cast<uint32_t>(count)), counters_(CountersFor(thread)) {
    for (uint32_t site = 1; site <= count_; ++site) {
      if (counters_.At(site, Writer()) == nullptr) abort();
    }
    before_ = Sum();
  }
  format::Counter* At(uint32_t site) { return counters_.At(site, Writer()); }
  void ExpectCounted(benchmark::State& state) const {
    if (Sum() - before_ != static_cast<uint64_t>(state.iterations())) state.SkipWithError("events were lost");
  }

 private:
  // Of all runs, as a program's live as long as the program.
  static RecordingWriter& Writer() {
    static bench::ScratchRecording recording;
    return recording.writer();
  }
  static ThreadCounters& CountersFor(int thread) {
    static ThreadCounters counters[2];
    static bool made[2] = {};
    if (!made[thread]) counters[thread].Init(static_cast<uint32_t>(thread));
    made[thread] = true;
    return counters[thread];
  }
  uint64_t Sum() const {
    uint64_t blocks = 0;
    for (uint32_t site = 1; site <= count_; ++site) {
      const format::Counter& counter = *counters_.Known(site);
      blocks += counter.allocated_blocks + counter.freed_blocks;
    }
    return blocks;
  }

  uint32_t count_;
  ThreadCounters& counters_;
  uint64_t before_ = 0;
};

void BM_Free(benchmark::State& state) {
  CountersOfThread counters(state.range(0), state.thread_index());
  Sites sites(state.range(0), state.thread_index());
  for (auto _ : state) {
    format::Counter* counter = counters.At(sites.Next());
    AddOwned(counter->freed_bytes, kBytes);
    AddOwned(counter->freed_blocks, 1);
  }
  counters.ExpectCounted(state);
}

// The stack is known, and with it where its counter is.
void BM_MallocKnownSite(benchmark::State& state) {
  CountersOfThread counters(state.range(0), state.thread_index());
  format::Counter* counter = counters.At(Sites(state.range(0), state.thread_index()).Next());
  for (auto _ : state) {
    benchmark::DoNotOptimize(counter);
    AddOwned(counter->allocated_bytes, kBytes);
    AddOwned(counter->allocated_blocks, 1);
  }
  counters.ExpectCounted(state);
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

#define ALLOCLINE_SITES ->ArgName("sites")->Arg(10)->Arg(10'000)->Arg(kMostSites)->Threads(1)->Threads(2)
BENCHMARK(BM_MallocKnownSite)->ArgName("sites")->Arg(10)->Threads(1)->Threads(2);
BENCHMARK(BM_Free) ALLOCLINE_SITES;
BENCHMARK(BM_OneTableForAll) ALLOCLINE_SITES;

}  // namespace
}  // namespace allocline

BENCHMARK_MAIN();
