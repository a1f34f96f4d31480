// What is asked of the tracer, all in one place. The benchmarks say what was met and what was not; nothing fails by it.
//
// Ratios of CPU are to the untraced program. The goals are for the full work: a --quick run is compared with the same.
#ifndef ALLOCLINE_BENCH_END_TO_END_GOALS_H_
#define ALLOCLINE_BENCH_END_TO_END_GOALS_H_

namespace allocline::bench::goals {

// Nanoseconds added to a malloc+free pair.
struct AddedToPair {
  int depth;
  double ns;
};
inline constexpr AddedToPair kSameStack[] = {{8, 12}, {16, 15}, {32, 20}, {64, 30}};
inline constexpr AddedToPair kRandomTops[] = {{16, 45}, {64, 60}};
inline constexpr double kShareOfHeaptrack = 0.1;  // of what heaptrack -r adds to the same pair

inline constexpr double kTwoThreads = 1.15;   // per thread, to one thread
inline constexpr double kPassBlocks = 0.6;    // of the untraced throughput, at least
inline constexpr double kStartupMs = 20;      // of `allocline run`
inline constexpr double kSampledPairNs = 2;   // over a preload that only passes calls on
inline constexpr double kSampledJson = 1.02;  // CPU

// CPU of whole programs.
inline constexpr double kGrowContainer = 1.35;
inline constexpr double kParseJson = 1.12;
inline constexpr double kSqlite = 1.35;
inline constexpr double kCompiler = 1.4;
inline constexpr double kRedis = 1.3;

// Memory. The pointer map is counted apart, as a share of the heap's resident memory.
inline constexpr double kTracerMiB = 8;
inline constexpr double kTracerMiBCompiler = 96;
inline constexpr double kMapShare16 = 0.25;
inline constexpr double kMapShare128 = 0.12;
inline constexpr double kMapShareJson = 0.13;
inline constexpr double kRecordingMiB = 1;  // but the compiler's

}  // namespace allocline::bench::goals

#endif  // ALLOCLINE_BENCH_END_TO_END_GOALS_H_
