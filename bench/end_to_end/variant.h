// The ways a program is run: as it is, under allocline, under heaptrack.
//
// heaptrack is run as its own script runs it: its preload writes to a fifo, and heaptrack_interpret and a compressor
// read the other end. Only the profiled process counts as "CPU"; what the helpers used is kept apart, since on a
// machine with a core to spare nobody waits for them.
#ifndef ALLOCLINE_BENCH_END_TO_END_VARIANT_H_
#define ALLOCLINE_BENCH_END_TO_END_VARIANT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bench/end_to_end/process.h"

namespace allocline::bench {

enum class Variant { kUntraced, kAllocline, kHeaptrack };
const char* Name(Variant variant);

// What is installed, and where.
struct Tools {
  std::string programs;           // directory of the benchmark programs
  std::string sources;            // directory of the checkout
  std::string tracer;             // liballocline.so
  std::string command;            // bin/allocline; "" if it was not built
  std::string heaptrack_preload;  // "" if heaptrack is not installed
  std::string heaptrack_interpreter;
  std::string scratch;  // a directory of our own

  std::vector<Variant> variants() const;
};

struct Run {
  Usage usage;                // of the profiled process
  Usage helpers;              // of heaptrack's interpreter and compressor: CPU added up, memory of the larger
  uint64_t output_bytes = 0;  // what the profiler left on disk
  uint64_t allocations = 0;   // recorded by allocline
  double work_s = 0;          // of `during`, if there was one
  std::string text;           // what the program printed
};

// Runs `command` to its end. `during` runs while the process does, and has to see to it that it ends (a server).
// Dies if the program fails, or if a profiler recorded nothing.
Run RunAs(Variant variant, Command command, const Tools& tools, const std::function<void()>& during = nullptr);

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_VARIANT_H_
