// A program's stacks, imitated: a walk that returns from some frames and calls into others before each allocation.
//
// Which function is called depends on where the walk is, as in a program, so the same contexts are met again and again
// while new ones keep coming. Settings are those of two programs that were traced: `Parser()` has a few hundred
// contexts, `Compiler()` about a million, 100 frames deep, with about 7 frames changed from one stack to the next.
#ifndef ALLOCLINE_BENCH_CALL_WALK_H_
#define ALLOCLINE_BENCH_CALL_WALK_H_

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace allocline::bench {

struct WalkShape {
  int base_depth;      // frames that never change
  int deepest;         // frames above them
  double mean_change;  // frames returned from before an event, on average
  int callees;         // functions that one function may call
  double favourite;    // how often the first of them is the one
};
inline WalkShape Parser() { return {12, 6, 2, 3, 0.6}; }
inline WalkShape Compiler() { return {40, 90, 7, 6, 0.95}; }

// Before event i, the stack is cut to `keep` frames and `added` frames are put on it.
struct WalkStep {
  uint32_t keep;
  uint32_t first;  // index into `frames`
  uint32_t added;
};
struct Walk {
  std::vector<WalkStep> steps;
  std::vector<uint64_t> frames;
};

inline Walk MakeWalk(const WalkShape& shape, size_t events, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::geometric_distribution<int> change(1 / (1 + shape.mean_change));
  std::uniform_real_distribution<double> chance;
  Walk walk;
  std::vector<uint64_t> stack;
  for (int i = 0; i < shape.base_depth; ++i) stack.push_back(0x400000 + 64 * static_cast<uint64_t>(i));
  for (size_t i = 0; i < events; ++i) {
    const size_t least = static_cast<size_t>(shape.base_depth);
    const size_t most = least + static_cast<size_t>(shape.deepest);
    const size_t returned = std::min(stack.size() - least, 1 + static_cast<size_t>(change(random)));
    stack.resize(stack.size() - returned);
    WalkStep step{static_cast<uint32_t>(stack.size()), static_cast<uint32_t>(walk.frames.size()), 0};
    for (int calls = 1 + change(random); calls > 0 && stack.size() < most; --calls) {
      const int callee =
          chance(random) < shape.favourite ? 0 : static_cast<int>(random() % static_cast<uint64_t>(shape.callees));
      // The callee's address: a function of the caller's, so that each function has callees of its own.
      const uint64_t caller = stack.back();
      const uint64_t frame =
          0x400000 + ((caller * 2654435761u + static_cast<uint64_t>(callee) * 40503u) >> 7) % 40'000 * 96;
      stack.push_back(frame);
      walk.frames.push_back(frame);
      ++step.added;
    }
    walk.steps.push_back(step);
  }
  if (walk.frames.empty()) walk.frames.push_back(0);
  return walk;
}

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_CALL_WALK_H_
