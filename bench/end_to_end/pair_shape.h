// One way to run programs/pair_loop.cc, and what it prints: nanoseconds of CPU per malloc+free pair.
#ifndef ALLOCLINE_BENCH_END_TO_END_PAIR_SHAPE_H_
#define ALLOCLINE_BENCH_END_TO_END_PAIR_SHAPE_H_

#include <fmt/core.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "bench/end_to_end/rounds.h"
#include "bench/end_to_end/variant.h"

namespace allocline::bench {

struct PairShape {
  int depth;
  int threads;
  int tops;  // from so many ways through the innermost four frames one is drawn for every pair; 1: the same stack
};

inline std::string What(const PairShape& shape) {
  return fmt::format("depth {}{}{}", shape.depth,
                     shape.tops > 1 ? fmt::format(", random tops of {} stacks", shape.tops) : "",
                     shape.threads == 2 ? ", two threads" : "");
}

inline Run RunPairs(const PairShape& shape, Variant variant, const Tools& tools) {
  Command command;
  command.arguments = {tools.programs + "/pair_loop", std::to_string(shape.depth), std::to_string(shape.threads),
                       shape.tops > 1 ? std::to_string(shape.tops) : "one"};
  return RunAs(variant, command, tools);
}

inline double Nanoseconds(const Run& run) { return strtod(run.text.c_str(), nullptr); }

// The median over the rounds of what a's run took more than b's of the same round.
inline double MedianAdded(const std::vector<Run>& a, const std::vector<Run>& b) {
  std::vector<double> added;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) added.push_back(Nanoseconds(a[i]) - Nanoseconds(b[i]));
  return Median(added);
}

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_PAIR_SHAPE_H_
