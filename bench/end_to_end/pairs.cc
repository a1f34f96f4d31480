// Nanoseconds of CPU per malloc+free pair: programs/pair_loop.cc under each variant.
#include <fmt/core.h>

#include "bench/end_to_end/goals.h"
#include "bench/end_to_end/measurements.h"
#include "bench/end_to_end/pair_shape.h"

namespace allocline::bench {
namespace {

// `most_added_ns` 0: nothing is asked.
void MeasureShape(const PairShape& shape, double most_added_ns, const Tools& tools, const Extent& extent,
                  Scores* scores) {
  const Rounds rounds =
      Alternate(tools.variants(), extent.rounds, [&](Variant variant) { return RunPairs(shape, variant, tools); });
  const std::vector<Run>&plain = rounds.at(Variant::kUntraced), &ours = rounds.at(Variant::kAllocline);
  const double added = MedianAdded(ours, plain);
  fmt::print("{:<48}{:>10.1f}{:>11.1f}{:>9.1f}", What(shape), MedianOf(plain, Nanoseconds), MedianOf(ours, Nanoseconds),
             added);
  if (most_added_ns != 0) scores->AtMost("added to a pair: " + What(shape), most_added_ns, added, " ns");
  const auto heaptrack = rounds.find(Variant::kHeaptrack);
  if (heaptrack == rounds.end()) {
    fmt::print("\n");
    scores->NotMeasured("added, to what heaptrack adds: " + What(shape), "heaptrack is not installed");
    return;
  }
  const double share = added / MedianAdded(heaptrack->second, plain);
  fmt::print("{:>14.1f}{:>9.1f}{:>11.3f}\n", MedianOf(heaptrack->second, Nanoseconds),
             MedianAdded(heaptrack->second, plain), share);
  if (shape.tops == 1)
    scores->AtMost("added, to what heaptrack -r adds: " + What(shape), goals::kShareOfHeaptrack, share, "x");
  if (share > 1) scores->BehindHeaptrack("a malloc+free pair, " + What(shape), share);
}

// The same program with one thread and with two: what each thread pays for its pairs.
void MeasureTwoThreads(int tops, const Tools& tools, const Extent& extent, Scores* scores) {
  const PairShape one = {16, 1, tops}, two = {16, 2, tops};
  Rounds alone, together;
  for (int round = 0; round < extent.rounds; ++round) {
    for (const Variant variant : tools.variants()) {
      alone[variant].push_back(RunPairs(one, variant, tools));
      together[variant].push_back(RunPairs(two, variant, tools));
    }
  }
  fmt::print("{:<48}", What(one) + ": alone");
  for (const auto& [variant, runs] : alone)
    fmt::print("{:>{}.1f}", MedianOf(runs, Nanoseconds), variant == Variant::kUntraced ? 10 : 14);
  fmt::print("\n{:<48}", "  each of two threads");
  for (const auto& [variant, runs] : together)
    fmt::print("{:>{}.1f}", MedianOf(runs, Nanoseconds), variant == Variant::kUntraced ? 10 : 14);
  fmt::print("\n{:<48}", "  ratio");
  for (const auto& [variant, runs] : together)
    fmt::print("{:>{}.2f}", MedianRatio(runs, alone.at(variant), Nanoseconds), variant == Variant::kUntraced ? 10 : 14);
  fmt::print("\n");
  scores->AtMost("each of two threads, to one thread: " + What(one), goals::kTwoThreads,
                 MedianRatio(together.at(Variant::kAllocline), alone.at(Variant::kAllocline), Nanoseconds), "x");
}

}  // namespace

void MeasurePairs(const Tools& tools, const Extent& extent, Scores* scores) {
  fmt::print(
      "Nanoseconds of CPU per malloc+free pair, of the thread that makes them: 20th percentile of batches of 1000 in\n"
      "a run of 0.4 s; variants by turns, median of {} rounds; 'added' is to the untraced run of the same round.\n"
      "Random tops: for each pair the four innermost frames are drawn anew from so many ways.\n\n",
      extent.rounds);
  fmt::print("{:<48}{:>10}{:>11}{:>9}{:>14}{:>9}{:>11}\n", "", "untraced", "allocline", "added", "heaptrack -r",
             "added", "added/its");
  for (const auto& goal : goals::kSameStack) MeasureShape({goal.depth, 1, 1}, goal.ns, tools, extent, scores);
  for (const auto& goal : goals::kRandomTops) MeasureShape({goal.depth, 1, 256}, goal.ns, tools, extent, scores);
  MeasureShape({16, 1, 4096}, 0, tools, extent, scores);
  fmt::print("\n{:<48}{:>10}{:>14}{:>14}\n", "", "untraced", "allocline", "heaptrack -r");
  for (const int tops : {1, 256}) MeasureTwoThreads(tops, tools, extent, scores);
  fmt::print("\n");
}

}  // namespace allocline::bench
