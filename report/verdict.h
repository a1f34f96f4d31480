// What a line's memory does from checkpoint to checkpoint: the verdict, and the figures it rests on.
//
//   accumulating   rises, and goes on rising at the last checkpoint       |      /'      |    _/'|  (a saw whose
//                                                                         |   _/'        | _/|/    feet rise)
//   levelling off  rose, and has stood still since: a cache that is full  |  /'''''      |
//   step           rose once, between two neighbours, and holds it        | ___|'''      |
//   one buffer     few blocks hold it all: a file read whole, an arena    | '''''''      |
//   sawtooth       rises and falls, batch by batch                        | /|/|/|/|     |
//   spike          was high once, and is low again                        | ____|'|___   |
//   churn          holds little, and allocates and frees much             | ________     |
//   shrinking      falls                                                  | '\_          |
//   stable         none of these                                          | ~~~~~~~~     |
//
// They are tried in an order in which the costlier comes first, so that a leak under a saw is a leak. Each rule
// compares the series with itself, in ratios; only kHugeBlock is a number of bytes. trend.h has the statistics.
#ifndef ALLOCLINE_REPORT_VERDICT_H_
#define ALLOCLINE_REPORT_VERDICT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace allocline {

// One line's figures at every checkpoint, all vectors of one length.
struct LineSeries {
  std::vector<int64_t> live_bytes, live_blocks;
  std::vector<uint64_t> allocated_bytes;  // since the start
  std::vector<double> error_bytes;        // 95 % bound of live_bytes while sampling; empty where all is exact
  std::optional<int64_t> peak_bytes;      // live at the process's peak, if a copy was made before the last checkpoint
};

enum class VerdictKind {
  kTooFew,
  kAccumulating,
  kLevelling,
  kStep,
  kBuffer,
  kSawtooth,
  kSpike,
  kChurn,
  kShrinking,
  kStable,
};
// "accumulating", "levels off", ... as reports call it; "levels_off" for machines.
std::string_view VerdictText(VerdictKind kind);
std::string_view VerdictName(VerdictKind kind);

// A verdict needs so many checkpoints; with fewer it is kTooFew.
inline constexpr size_t kLeastCheckpoints = 5;

struct Verdict {
  VerdictKind kind = VerdictKind::kTooFew;
  int64_t first = 0, last = 0, least = 0, most = 0;  // live bytes, over the checkpoints
  int64_t last_blocks = 0;
  int64_t top = 0;                      // the most that is known of: at a checkpoint or at the peak
  std::optional<int64_t> peak_bytes;    // of the series
  size_t rises = 0, falls = 0, of = 0;  // of the `of` intervals judged: between checkpoints, or between low points
  double p = 1;                         // Mann and Kendall's, of the direction; 1 if there is none
  bool low_points = false;              // the direction is that of the low points of a saw
  size_t begin = 0, end = 0;            // checkpoints: where a ramp or a step begins and ends, a spike's interval
  double bytes_per_checkpoint = 0;      // accumulating, shrinking: Theil and Sen's slope since it began
  std::optional<double> bytes_per_row;  // the same over rows of work, where they are known
  double swing = 0;                     // sawtooth: from the lower to the upper tenth
  double allocated_per_checkpoint = 0;  // median
  bool doubles = false;                 // accumulating: one buffer that is replaced by a larger one
};

// `rows`: of work done up to each checkpoint; empty where that is not known.
Verdict JudgeSeries(const LineSeries& series, const std::vector<double>& rows);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_VERDICT_H_
