// The questions `compare` answers; each prints a table of its own.
#ifndef ALLOCLINE_BENCH_END_TO_END_MEASUREMENTS_H_
#define ALLOCLINE_BENCH_END_TO_END_MEASUREMENTS_H_

#include <string>
#include <vector>

#include "bench/end_to_end/variant.h"

namespace allocline::bench {

struct Extent {
  int rounds;          // how often each variant is run
  int startup_rounds;  // the same, for programs that last milliseconds
  double scale;        // of the programs' work: 1 in full
};

// Where we came out behind heaptrack, one sentence each.
using Losses = std::vector<std::string>;

// What does one malloc+free pair cost as stacks deepen, when stacks vary, and on two threads?
void MeasurePairs(const Tools& tools, const Extent& extent, Losses* losses);
// What do whole programs cost? `only`: a part of the name of those to run, "" for all.
void MeasurePrograms(const Tools& tools, const Extent& extent, const std::string& only, Losses* losses);
// What does a program that does nothing pay for being run traced?
void MeasureStartup(const Tools& tools, const Extent& extent, Losses* losses);

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_MEASUREMENTS_H_
