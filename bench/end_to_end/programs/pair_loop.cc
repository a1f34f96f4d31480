// What one malloc+free pair costs under a stack of a given depth: prints CPU nanoseconds per pair.
//
//   pair_loop DEPTH [THREADS [PATHS [BATCHES]]]
//
// DEPTH counts every frame from the one that calls malloc out to the first of the thread; it is checked with
// backtrace(). With THREADS 2 the same loop runs on two threads at once. With PATHS "many", each pair is reached
// through one of 256 paths that differ in the innermost four frames, as a program's stacks do; else the stack stands
// still, which is the best case for whoever remembers the last one.
//
// The figure is the 20th percentile over batches of pairs, of the thread's CPU time: what the work costs when nothing
// disturbs it. Page faults, first-seen stacks and other programs on the machine fall into the other batches. Batches
// are run for a fixed time, so that a slow tracer is not measured for longer than a quick one.
#include <execinfo.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

// A frame of its own for every instance: neither inlined nor shared with another.
#if defined(__clang__)
#define NEVER_MERGED __attribute__((noinline))
#else
#define NEVER_MERGED __attribute__((noinline, noclone))
#endif

namespace {

constexpr int kDeepest = 96;
constexpr int kPairsPerBatch = 1000;
constexpr int kVariants = 4;  // of each of the four innermost frames, with many paths
constexpr int64_t kRunNs = 400'000'000;
constexpr size_t kMostBatches = 20'000;

int64_t Now(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// A frame must stay a frame: no tail call, no inlining, no folding of equal functions (`id` makes them differ).
template <int id>
inline __attribute__((always_inline)) void KeepFrame() {
  asm volatile("# frame %c0" : : "i"(id) : "memory");
}

enum class Task { kMeasureDepth, kPair };

thread_local int t_depth = 0;

inline __attribute__((always_inline)) void Do(Task task) {
  if (__builtin_expect(task == Task::kMeasureDepth, 0)) {
    void* frames[256];
    t_depth = backtrace(frames, 256);
    return;
  }
  void* block = malloc(64);
  asm volatile("" : : "r"(block) : "memory");
  free(block);
}

// ---- the four innermost frames, each in four variants

template <int level, int variant>
NEVER_MERGED void Step(unsigned path, Task task);

template <int level, int... variant>
constexpr std::array<void (*)(unsigned, Task), sizeof...(variant)> Steps(std::integer_sequence<int, variant...>) {
  return {&Step<level, variant>...};
}

template <int level, int variant>
void Step(unsigned path, Task task) {
  if constexpr (level == 1) {
    Do(task);
  } else {
    static constexpr auto kNext = Steps<level - 1>(std::make_integer_sequence<int, kVariants>{});
    kNext[path % kVariants](path / kVariants, task);
  }
  KeepFrame<level * kVariants + variant>();
}

constexpr auto kOutermostSteps = Steps<4>(std::make_integer_sequence<int, kVariants>{});

// ---- the loop

size_t g_batches = 0;  // how many to run; 0: for kRunNs

struct Loop {
  bool many_paths = false;
  std::vector<int64_t> batches;  // ns each

  void Batch(unsigned* random) const {
    if (!many_paths) {
      for (int i = 0; i < kPairsPerBatch; ++i) Do(Task::kPair);
      return;
    }
    for (int i = 0; i < kPairsPerBatch; ++i) {
      *random = *random * 1664525u + 1013904223u;
      const unsigned path = *random >> 24;
      kOutermostSteps[path % kVariants](path / kVariants, Task::kPair);
    }
  }

  void MeasureDepth() const {
    if (many_paths) {
      kOutermostSteps[0](0, Task::kMeasureDepth);
    } else {
      Do(Task::kMeasureDepth);
    }
  }

  void Run() {
    unsigned random = 1;
    const int64_t end = Now(CLOCK_MONOTONIC) + kRunNs;
    const auto more = [&] {
      if (g_batches != 0) return batches.size() < g_batches;
      return batches.size() < kMostBatches && (batches.size() < 50 || Now(CLOCK_MONOTONIC) < end);
    };
    while (more()) {
      const int64_t begin = Now(CLOCK_THREAD_CPUTIME_ID);
      Batch(&random);
      batches.push_back(Now(CLOCK_THREAD_CPUTIME_ID) - begin);
    }
  }
};

// ---- descending to the depth

using Body = void (*)(Loop*);

template <int level>
NEVER_MERGED void Descend(int levels, Body body, Loop* loop) {
  if constexpr (level < kDeepest) {
    if (levels > 0) {
      Descend<level + 1>(levels - 1, body, loop);
      KeepFrame<1000 + level>();
      return;
    }
  }
  body(loop);
  KeepFrame<1000 + level>();
}

int g_depth = 0;
double RunAtDepth(Loop* loop) {
  loop->batches.reserve(kMostBatches);
  const auto measure = [](Loop* l) { l->MeasureDepth(); };
  const auto run = [](Loop* l) { l->Run(); };
  Descend<0>(0, measure, loop);
  const int levels = g_depth - t_depth;
  if (levels >= 0 && levels < kDeepest) Descend<0>(levels, measure, loop);
  if (t_depth != g_depth) {
    fprintf(stderr, "pair_loop: a stack of %d frames cannot be made here (nearest: %d)\n", g_depth, t_depth);
    exit(1);
  }
  Descend<0>(levels, run, loop);
  auto& batches = loop->batches;
  const auto p20 = batches.begin() + static_cast<std::ptrdiff_t>(batches.size() / 5);
  std::nth_element(batches.begin(), p20, batches.end());
  return static_cast<double>(*p20) / kPairsPerBatch;
}

bool g_many_paths = false;
pthread_barrier_t g_start;

void* ThreadMain(void* result) {
  Loop loop{g_many_paths, {}};
  pthread_barrier_wait(&g_start);
  *static_cast<double*>(result) = RunAtDepth(&loop);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  g_depth = argc > 1 ? atoi(argv[1]) : 16;
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  g_many_paths = argc > 3 && strcmp(argv[3], "many") == 0;
  if (argc > 4) g_batches = strtoull(argv[4], nullptr, 10);
  if (threads == 1) {
    Loop loop{g_many_paths, {}};
    printf("%.2f\n", RunAtDepth(&loop));
    return 0;
  }
  std::vector<pthread_t> ids(static_cast<size_t>(threads));
  std::vector<double> results(ids.size());
  pthread_barrier_init(&g_start, nullptr, static_cast<unsigned>(threads));
  for (size_t i = 0; i < ids.size(); ++i) pthread_create(&ids[i], nullptr, ThreadMain, &results[i]);
  for (pthread_t id : ids) pthread_join(id, nullptr);
  double sum = 0;
  for (double ns : results) sum += ns;
  printf("%.2f\n", sum / threads);
}
