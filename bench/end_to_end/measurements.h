// The questions `compare` answers; each prints a table of its own.
#ifndef ALLOCLINE_BENCH_END_TO_END_MEASUREMENTS_H_
#define ALLOCLINE_BENCH_END_TO_END_MEASUREMENTS_H_

#include <string>

#include "bench/end_to_end/scores.h"
#include "bench/end_to_end/variant.h"

namespace allocline::bench {

struct Extent {
  int rounds;          // how often each variant is run
  int startup_rounds;  // the same, for programs that last milliseconds
  double scale;        // of the programs' work: 1 in full
};

// What does a program that does nothing pay for being run traced?
void MeasureStartup(const Tools& tools, const Extent& extent, Scores* scores);
// What does one malloc+free pair cost as stacks deepen, when stacks vary, and on two threads?
void MeasurePairs(const Tools& tools, const Extent& extent, Scores* scores);
// What do whole programs cost? `only`: a part of the name of those to run, "" for all.
void MeasurePrograms(const Tools& tools, const Extent& extent, const std::string& only, Scores* scores);
// What is left of the cost when only a sample is recorded?
void MeasureSampled(const Tools& tools, const Extent& extent, Scores* scores);
// How much memory is the tracer's, in each of the programs, and how much the pointer map's?
void MeasureMemory(const Tools& tools, const Extent& extent, const std::string& only, Scores* scores);

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_MEASUREMENTS_H_
