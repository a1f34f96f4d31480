// Nanoseconds of CPU per malloc+free pair: programs/pair_loop.cc under each variant.
#include <fmt/core.h>
#include <stdlib.h>

#include "bench/end_to_end/measurements.h"
#include "bench/end_to_end/rounds.h"

namespace allocline::bench {
namespace {

struct Shape {
  const char* what;
  int depth;
  int threads;
  const char* paths;
};
constexpr Shape kShapes[] = {
    {"depth 8", 8, 1, "one"},
    {"depth 16", 16, 1, "one"},
    {"depth 32", 32, 1, "one"},
    {"depth 64", 64, 1, "one"},
    {"depth 16, 256 stacks by turns", 16, 1, "many"},
    {"depth 16, two threads at once", 16, 2, "one"},
    {"depth 16, 256 stacks, two threads", 16, 2, "many"},
};

double Nanoseconds(const Run& run) { return strtod(run.text.c_str(), nullptr); }

}  // namespace

void MeasurePairs(const Tools& tools, const Extent& extent, Losses* losses) {
  fmt::print("Nanoseconds of CPU per malloc+free pair (20th percentile of batches; median of {} runs)\n\n",
             extent.rounds);
  fmt::print("{:<36}{:>10}{:>11}{:>11}\n", "", "untraced", "allocline", "heaptrack");
  for (const Shape& shape : kShapes) {
    const Rounds rounds = Alternate(tools.variants(), extent.rounds, [&](Variant variant) {
      Command command;
      command.arguments = {tools.programs + "/pair_loop", std::to_string(shape.depth), std::to_string(shape.threads),
                           shape.paths};
      return RunAs(variant, command, tools);
    });
    fmt::print("{:<36}", shape.what);
    for (const auto& [variant, runs] : rounds)
      fmt::print("{:>{}.1f}", MedianOf(runs, Nanoseconds), variant == Variant::kUntraced ? 10 : 11);
    fmt::print("\n");
    fflush(stdout);
    const auto heaptrack = rounds.find(Variant::kHeaptrack);
    if (heaptrack == rounds.end()) continue;
    const double ratio = MedianRatio(rounds.at(Variant::kAllocline), heaptrack->second, Nanoseconds);
    if (ratio > 1)
      losses->push_back(fmt::format("a malloc+free pair at {}: {:.2f} times heaptrack's", shape.what, ratio));
  }
  fmt::print("\n");
}

}  // namespace allocline::bench
