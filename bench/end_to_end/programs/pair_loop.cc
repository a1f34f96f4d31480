// What one malloc+free pair costs under a stack of a given depth: prints CPU nanoseconds per pair.
//
//   pair_loop DEPTH [THREADS [one|256|4096 [BATCHES]]]
//
// DEPTH counts every frame from the one that calls malloc out to the first of the thread; it is checked with
// backtrace(). With THREADS 2 the same loop runs on two threads at once. With 256 or 4096, each pair is reached through
// one of so many paths, drawn at random, that differ in the innermost four frames; else the stack stands still, which
// is the best case for whoever remembers the last one.
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

// ---- the four innermost frames, each in so many variants

template <int variants, int level, int variant>
NEVER_MERGED void Step(unsigned path, Task task);

using Ways = void (*const*)(unsigned, Task);
template <int level, int... variant>
Ways Steps(std::integer_sequence<int, variant...>) {
  static constexpr std::array<void (*)(unsigned, Task), sizeof...(variant)> kSteps = {
      &Step<sizeof...(variant), level, variant>...};
  return kSteps.data();
}

template <int variants, int level, int variant>
void Step(unsigned path, Task task) {
  if constexpr (level == 1) {
    Do(task);
  } else {
    Steps<level - 1>(std::make_integer_sequence<int, variants>{})[path % variants](path / variants, task);
  }
  KeepFrame<(variants * 4 + level) * variants + variant>();
}

template <int variants>
void TakeWay(unsigned path, Task task) {
  Steps<4>(std::make_integer_sequence<int, variants>{})[path % variants](path / variants, task);
}

// ---- the loop

size_t g_batches = 0;  // how many to run; 0: for kRunNs

struct Loop {
  int paths = 1;                 // 1, 256 or 4096
  std::vector<int64_t> batches;  // ns each

  void Batch(unsigned* random) const {
    if (paths == 256) {
      for (int i = 0; i < kPairsPerBatch; ++i) TakeWay<4>(Draw(random) >> 24, Task::kPair);
    } else if (paths == 4096) {
      for (int i = 0; i < kPairsPerBatch; ++i) TakeWay<8>(Draw(random) >> 20, Task::kPair);
    } else {
      for (int i = 0; i < kPairsPerBatch; ++i) Do(Task::kPair);
    }
  }

  static unsigned Draw(unsigned* random) { return *random = *random * 1664525u + 1013904223u; }

  void MeasureDepth() const {
    if (paths > 1) {
      TakeWay<4>(0, Task::kMeasureDepth);
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

int g_paths = 1;
pthread_barrier_t g_start;

void* ThreadMain(void* result) {
  Loop loop{g_paths, {}};
  pthread_barrier_wait(&g_start);
  *static_cast<double*>(result) = RunAtDepth(&loop);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  g_depth = argc > 1 ? atoi(argv[1]) : 16;
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  g_paths = argc > 3 && strcmp(argv[3], "one") != 0 ? atoi(argv[3]) : 1;
  if (g_paths != 1 && g_paths != 256 && g_paths != 4096) return 2;
  if (argc > 4) g_batches = strtoull(argv[4], nullptr, 10);
  if (threads == 1) {
    Loop loop{g_paths, {}};
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
