// The ways a program is run: as it is, under allocline, under heaptrack; and under a preload that only passes calls on,
// the least that sampling can cost.
//
// heaptrack is run as its own script runs it with -r: its preload writes to a fifo, and a compressor reads the other
// end. What it recorded is then still to be interpreted; that time is not counted. Only the profiled process counts as
// "CPU"; what the helper used is kept apart, since on a machine with a core to spare nobody waits for it.
#ifndef ALLOCLINE_BENCH_END_TO_END_VARIANT_H_
#define ALLOCLINE_BENCH_END_TO_END_VARIANT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bench/end_to_end/process.h"

namespace allocline::bench {

enum class Variant { kUntraced, kAllocline, kHeaptrack, kPassThrough, kSampled };
const char* Name(Variant variant);

// What is installed, and where.
struct Tools {
  std::string programs;           // directory of the benchmark programs
  std::string sources;            // directory of the checkout
  std::string tracer;             // liballocline.so
  std::string command;            // bin/allocline; "" if it was not built
  std::string heaptrack_preload;  // "" if heaptrack is not installed
  std::string scratch;            // a directory of our own

  std::vector<Variant> variants() const;  // those of exact tracing
};

struct Run {
  Usage usage;                // of the profiled process
  Usage helpers;              // of heaptrack's compressor
  uint64_t output_bytes = 0;  // what the profiler left on disk
  uint64_t allocations = 0;   // recorded by allocline
  uint64_t contexts = 0;      // frames with all their callers, of the stacks it recorded
  double work_s = 0;          // of `during`, if there was one
  std::string text;           // what the program printed
};

// Runs `command` to its end. `during` runs while the process does, and has to see to it that it ends (a server).
// Dies if the program fails, or if a profiler recorded nothing.
Run RunAs(Variant variant, Command command, const Tools& tools, const std::function<void()>& during = nullptr);

// Runs `command` under allocline, watched (process.h), and gives the size of the recording it left.
uint64_t RunWatched(Command command, const Tools& tools, const std::function<void()>& during,
                    const std::function<void(pid_t)>& at_peak, const std::function<void(pid_t)>& at_end);

// How many bytes apart blocks are sampled in Variant::kSampled.
inline constexpr const char* kSampleBytes = "524288";

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_VARIANT_H_
