// Memory over checkpoints whose shape is known: what the verdicts of report/verdict.h are tried on, as numbers
// (verdict_test.cc) and as the allocations of a real program (tests/e2e/programs/grows.cc).
//
// Every shape is drawn anew from a seed: its length, its sizes, its noise. The sizes are such that a real program can
// follow: multiples of 4 KiB, some MiB.
#ifndef ALLOCLINE_TESTS_REPORT_SHAPES_H_
#define ALLOCLINE_TESTS_REPORT_SHAPES_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace allocline::testing {

inline constexpr double kShapeBlock = 4096;

// What happens until a checkpoint is taken.
struct ShapeStep {
  double live = 0;         // bytes, when it is taken
  double tooth = 0;        // bytes that were held meanwhile, all at once
  double turnover = 0;     // bytes that were allocated and freed meanwhile, block by block
  bool one_block = false;  // all of `live` is one block
};
using ShapeSteps = std::vector<ShapeStep>;

// Random numbers of one shape. Half are spent on its form, so that a seed means something else for each.
class Dice {
 public:
  Dice(uint64_t seed, std::string_view shape) : random_(seed * 1000003 + std::hash<std::string_view>()(shape)) {}
  double Between(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
  size_t Count(size_t low, size_t high) { return std::uniform_int_distribution<size_t>(low, high)(random_); }
  double Normal() { return std::normal_distribution<double>()(random_); }
  bool Chance(double p) { return Between(0, 1) < p; }

 private:
  std::mt19937_64 random_;
};

struct Shape {
  std::string_view name;
  std::string_view verdict;  // VerdictName()
  ShapeSteps (*draw)(Dice& dice);
};

namespace shapes {

inline constexpr double kMiB = 1 << 20;

// n steps whose live bytes are f(i).
template <typename F>
ShapeSteps Live(size_t n, F f) {
  ShapeSteps steps;
  for (size_t i = 0; i < n; ++i) steps.push_back({.live = std::max(0.0, f(static_cast<double>(i)))});
  return steps;
}

inline ShapeSteps SteadyLeak(Dice& dice) {
  const double base = dice.Between(0, 4) * kMiB, leak = dice.Between(8, 64) * kShapeBlock;
  return Live(dice.Count(6, 60), [&](double i) { return base + leak * i; });
}
inline ShapeSteps UnevenLeak(Dice& dice) {  // batches differ, and each leaves something
  double live = dice.Between(0, 2) * kMiB;
  const double leak = dice.Between(16, 64) * kShapeBlock;
  return Live(dice.Count(8, 60), [&](double) { return live += leak * dice.Between(0.2, 1.8); });
}
inline ShapeSteps RareLeak(Dice& dice) {  // one batch of three
  double live = kMiB;
  const double leak = dice.Between(16, 64) * kShapeBlock;
  return Live(dice.Count(30, 80),
              [&](double) { return live += dice.Chance(0.33) ? leak * dice.Between(0.5, 1.5) : 0; });
}
// Rises by six times the noise from beginning to end.
inline ShapeSteps DriftUnderNoise(Dice& dice) {
  const double base = 6 * kMiB, noise = dice.Between(0.1, 0.3) * kMiB;
  const size_t n = dice.Count(40, 100);
  return Live(n, [&](double i) { return base + 6 * noise * i / static_cast<double>(n) + noise * dice.Normal(); });
}
// A batch is full at one checkpoint and gone at the next, and leaves 1 % of itself behind.
inline ShapeSteps LeakUnderFullAndEmpty(Dice& dice) {
  const double batch = dice.Between(2, 4) * kMiB;
  return Live(dice.Count(30, 80), [&](double i) {
    const bool full = static_cast<size_t>(i) % 2 == 0;
    return 0.01 * batch * std::floor(i / 2) + kMiB / 4 + (full ? batch * dice.Between(0.8, 1.2) : 0);
  });
}
// Checkpoints come at any time of a batch, and each batch leaves 1 % of itself behind.
inline ShapeSteps LeakUnderSaw(Dice& dice) {
  const double batch = dice.Between(2, 4) * kMiB;
  return Live(dice.Count(110, 150), [&](double i) { return 0.01 * batch * i + batch * dice.Between(0, 1); });
}
// Most of it comes at the start, which is no leak; the rest is one.
inline ShapeSteps LeakAfterTheStart(Dice& dice) {
  const double start = dice.Between(4, 8) * kMiB, leak = dice.Between(0.02, 0.05) * start, warm = dice.Between(0.5, 2);
  return Live(dice.Count(16, 60), [&](double i) { return start * (1 - std::exp(-i / warm)) + leak * i; });
}
inline ShapeSteps Accelerating(Dice& dice) {
  const double end = dice.Between(4, 10) * kMiB, power = dice.Between(1.4, 2.5);
  const size_t n = dice.Count(10, 60);
  return Live(n, [&](double i) { return end * std::pow((i + 1) / static_cast<double>(n), power); });
}
// A vector that is appended to for ever: one block, twice as large whenever it is full.
inline ShapeSteps DoublingBuffer(Dice& dice) {
  double capacity = dice.Between(8, 16) * kShapeBlock;
  const double per_batch = capacity * dice.Between(0.5, 1.5);
  ShapeSteps steps = Live(dice.Count(12, 80), [&](double i) {
    while (capacity < per_batch * (i + 1)) capacity *= 2;
    return capacity;
  });
  for (ShapeStep& step : steps) step.one_block = true;
  return steps;
}
inline ShapeSteps FillingCache(Dice& dice) {  // new keys become ever rarer
  const double size = dice.Between(3, 8) * kMiB;
  const size_t n = dice.Count(20, 80);
  const double filling = static_cast<double>(n) / dice.Between(4.5, 9);
  return Live(n, [&](double i) { return size * (1 - std::exp(-(i + 1) / filling)); });
}
inline ShapeSteps CacheFullAt80(Dice& dice) {
  const double size = dice.Between(3, 8) * kMiB;
  const size_t n = dice.Count(20, 80);
  return Live(n, [&](double i) { return size * std::min(1.0, (i + 1) / (0.8 * static_cast<double>(n))); });
}
inline ShapeSteps NoisyCacheFullAt60(Dice& dice) {
  const double size = dice.Between(3, 8) * kMiB;
  const size_t n = dice.Count(30, 80);
  return Live(n, [&](double i) {
    return size * (std::min(1.0, (i + 1) / (0.6 * static_cast<double>(n))) + 0.02 * dice.Normal());
  });
}
// Full early; from then on what is new takes the place of something old.
inline ShapeSteps CacheThatEvicts(Dice& dice) {
  const double size = dice.Between(3, 8) * kMiB;
  const size_t n = dice.Count(14, 60);
  const double full = dice.Between(0.3, 0.5) * static_cast<double>(n);
  return Live(n, [&](double i) { return size * std::min((i + 1) / full, 1 - 0.01 * dice.Between(0, 1)); });
}
inline ShapeSteps TableLoadedOnce(Dice& dice) {
  const double before = dice.Between(0.1, 1) * kMiB, table = dice.Between(3, 8) * kMiB;
  const size_t n = dice.Count(10, 60);
  const double at = std::floor(dice.Between(0.1, 0.8) * static_cast<double>(n)) + 1;
  return Live(n, [&](double i) {
    return before * (1 + 0.05 * dice.Normal()) + (i >= at ? table * (1 + 0.01 * dice.Normal()) : 0);
  });
}
inline ShapeSteps OneBuffer(Dice& dice) {
  const double size = dice.Between(8, 16) * kMiB;
  ShapeSteps steps = Live(dice.Count(6, 60), [&](double) { return size; });
  for (ShapeStep& step : steps) step.one_block = true;
  return steps;
}
inline ShapeSteps FileReadWhole(Dice& dice) {
  const double size = dice.Between(8, 16) * kMiB;
  const size_t n = dice.Count(8, 60);
  const double at = std::floor(dice.Between(0.1, 0.8) * static_cast<double>(n)) + 1;
  ShapeSteps steps = Live(n, [&](double i) { return i >= at ? size : 0; });
  for (ShapeStep& step : steps) step.one_block = true;
  return steps;
}
inline ShapeSteps Saw(Dice& dice) {
  const double base = dice.Between(0, 1) * kMiB, batch = dice.Between(2, 6) * kMiB;
  return Live(dice.Count(14, 80), [&](double) { return base + batch * dice.Between(0, 1); });
}
// Batches that take many checkpoints each, and are sent when they are full: it rises nearly always, and does not grow.
inline ShapeSteps SawOfLongTeeth(Dice& dice) {
  const double base = dice.Between(0, 1) * kMiB, batch = dice.Between(3, 6) * kMiB;
  const size_t tooth = dice.Count(6, 30);
  return Live(tooth * dice.Count(4, 6), [&](double i) {
    return base + batch * static_cast<double>(static_cast<size_t>(i) % tooth) / static_cast<double>(tooth);
  });
}
inline ShapeSteps AlternatingBuffers(Dice& dice) {
  const double size = dice.Between(4, 8) * kMiB;
  ShapeSteps steps = Live(dice.Count(10, 60), [&](double i) { return static_cast<size_t>(i) % 2 == 0 ? size : 0; });
  for (ShapeStep& step : steps) step.one_block = true;
  return steps;
}
// Every checkpoint comes when its batch is gone. Only the peak saw one.
inline ShapeSteps SawAtItsFeet(Dice& dice) {
  const double base = dice.Between(1, 8) * kShapeBlock, batch = dice.Between(2, 6) * kMiB;
  ShapeSteps steps = Live(dice.Count(10, 60), [&](double) { return base; });
  for (ShapeStep& step : steps) step.tooth = batch * dice.Between(0.85, 1.15);
  return steps;
}
inline ShapeSteps SpikeAtThePeak(Dice& dice) {
  const double base = dice.Between(0.1, 0.5) * kMiB;
  ShapeSteps steps = Live(dice.Count(10, 60), [&](double) { return base * (1 + 0.05 * dice.Normal()); });
  steps[dice.Count(1, steps.size() - 1)].tooth = dice.Between(6, 12) * kMiB;
  return steps;
}
inline ShapeSteps SpikeAtACheckpoint(Dice& dice) {
  const double base = dice.Between(0.1, 0.5) * kMiB;
  ShapeSteps steps = Live(dice.Count(10, 60), [&](double) { return base * (1 + 0.05 * dice.Normal()); });
  steps[dice.Count(1, steps.size() - 2)].live = dice.Between(6, 12) * kMiB;
  return steps;
}
inline ShapeSteps Churn(Dice& dice) {
  const double base = dice.Between(4, 16) * kShapeBlock;
  ShapeSteps steps = Live(dice.Count(8, 60), [&](double) { return base * (1 + 0.1 * dice.Normal()); });
  for (ShapeStep& step : steps) step.turnover = dice.Between(2, 6) * kMiB;
  return steps;
}
inline ShapeSteps Noise(Dice& dice) {
  const double base = dice.Between(2, 8) * kMiB;
  return Live(dice.Count(8, 100), [&](double) { return base * (1 + 0.04 * dice.Normal()); });
}
// A queue that is longer at times and returns to what it was: no line that leaks, though it may rise for a while.
inline ShapeSteps WanderingQueue(Dice& dice) {
  const double base = dice.Between(4, 8) * kMiB;
  double off = 0;
  return Live(dice.Count(20, 100), [&](double) {
    off = 0.8 * off + 0.04 * dice.Normal();
    return base * (1 + off);
  });
}
inline ShapeSteps Shrinking(Dice& dice) {
  const double start = dice.Between(4, 8) * kMiB;
  const size_t n = dice.Count(8, 60);
  return Live(n, [&](double i) { return start * (1 - 0.8 * i / static_cast<double>(n)); });
}

}  // namespace shapes

inline constexpr Shape kShapes[] = {
    {"a steady leak", "accumulating", shapes::SteadyLeak},
    {"an uneven leak", "accumulating", shapes::UnevenLeak},
    {"a leak in one batch of three", "accumulating", shapes::RareLeak},
    {"a slow drift under noise", "accumulating", shapes::DriftUnderNoise},
    {"a leak of 1 % of a batch, full and empty", "accumulating", shapes::LeakUnderFullAndEmpty},
    {"a leak of 1 % of a saw, anywhere in it", "accumulating", shapes::LeakUnderSaw},
    {"a leak after a large start", "accumulating", shapes::LeakAfterTheStart},
    {"growth that gets faster", "accumulating", shapes::Accelerating},
    {"a buffer that doubles", "accumulating", shapes::DoublingBuffer},
    {"a cache that fills", "levels_off", shapes::FillingCache},
    {"a cache full at 80 % of the run", "levels_off", shapes::CacheFullAt80},
    {"a noisy cache full at 60 %", "levels_off", shapes::NoisyCacheFullAt60},
    {"a cache that evicts", "levels_off", shapes::CacheThatEvicts},
    {"a table loaded once", "step", shapes::TableLoadedOnce},
    {"one buffer", "one_buffer", shapes::OneBuffer},
    {"a file read whole", "one_buffer", shapes::FileReadWhole},
    {"a saw", "sawtooth", shapes::Saw},
    {"a saw of long teeth", "sawtooth", shapes::SawOfLongTeeth},
    {"two buffers by turns", "sawtooth", shapes::AlternatingBuffers},
    {"a saw seen at its feet", "sawtooth", shapes::SawAtItsFeet},
    {"a spike between checkpoints", "spike", shapes::SpikeAtThePeak},
    {"a spike at a checkpoint", "spike", shapes::SpikeAtACheckpoint},
    {"churn", "churn", shapes::Churn},
    {"noise", "stable", shapes::Noise},
    {"a queue that wanders", "stable", shapes::WanderingQueue},
    {"a table that is given back", "shrinking", shapes::Shrinking},
};

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_REPORT_SHAPES_H_
