// How a few blocks stand for all: Poisson sampling by bytes, and what a reader may conclude from it.
//
// Every byte that is allocated is a mark with probability 1/R, independently of all others; R, the *interval*, is 512
// KiB or so. A block with a mark in it is a sample: its stack is taken, all other blocks are only counted. So a block
// of s bytes is a sample with probability
//
//     P(s) = 1 - exp(-s/R)        64 bytes: one block in 8192        R bytes: 63 of 100
//
// and a sample stands for 1/P(s) blocks of s/P(s) bytes. What a line holds is estimated by the sum over its samples
// that are live. That is the Horvitz-Thompson estimator (Journal of the American Statistical Association 47, 1952): a
// block contributes s/P with probability P and else nothing, s in expectation, whatever the sizes are and whichever
// blocks have been freed, because a free takes away exactly what the allocation put in. No line is favoured by its
// sizes, its order or its lifetimes.
//
// Blocks of R bytes and more are all recorded, exactly: they are no more than one per R bytes, and an estimate of few
// large blocks would be a poor one.
//
// How far off is it? The variance is the sum over the live samples of (1 - P) s^2 / P^2, itself estimated without bias
// (the same paper). With x = s/R a term is R^2 (x/2)^2 / sinh^2(x/2), never more than R^2, and never less than 0.92 R^2
// as x < 1. So for n live samples
//
//     95 of 100 times the estimate is within 1.96 R sqrt(n)                (n large enough for the normal law: ~10)
//
// A recording does not say how many samples are live, but their blocks B and bytes S: n is the sum of B-weighted
// P(s), and P is concave, so n <= B P(S/B) (Jensen's inequality), with equality for blocks of one size. The bound a
// report prints errs upward, never downward. With four samples or fewer it is a rough guide; a line that had none is
// not in the report at all, and may hold a few R.
#ifndef ALLOCLINE_RECORDING_SAMPLING_H_
#define ALLOCLINE_RECORDING_SAMPLING_H_

#include <cstdint>

namespace allocline {

inline constexpr uint64_t kDefaultSampleInterval = 512 << 10;
// Below, a sample would be taken for nearly every block, at more than the price of recording exactly.
inline constexpr uint64_t kLeastSampleInterval = 4 << 10;
inline constexpr uint64_t kMostSampleInterval = uint64_t{1} << 40;

// What the tracer can be told to make do with (tracer/tracer_budget.cc).
inline constexpr uint64_t kLeastTracerMemory = 1 << 20;

// P(bytes), for bytes below the interval; 1 from there on. No libm: it runs inside malloc.
constexpr double SampleProbability(double bytes, uint64_t interval) {
  const double x = bytes / static_cast<double>(interval);
  if (x >= 1) return 1;
  // 1 - exp(-x) by Taylor's series, x (1 - x/2 (1 - x/3 (...))): for x < 1 as exact as a double is.
  double sum = 1;
  for (int i = 20; i >= 2; --i) sum = 1 - x / i * sum;
  return x * sum;
}

// What a sample stands for, in whole numbers, because counters are. Rounded up or down by chance, so that the
// expectation is not rounded at all: `chances` are 64 random bits, of which a sample keeps what became of them.
struct SampleWeight {
  uint64_t bytes, blocks;
};
enum SampleRounding : uint32_t { kBytesUp = 1, kBlocksUp = 2 };

constexpr uint32_t RoundSample(uint64_t bytes, uint64_t interval, uint64_t chances) {
  const double p = SampleProbability(static_cast<double>(bytes), interval);
  const double exact_bytes = bytes == 0 ? 0 : static_cast<double>(bytes) / p, exact_blocks = 1 / p;
  constexpr double kScale = 1.0 / (uint64_t{1} << 32);
  uint32_t up = 0;
  if (exact_bytes - static_cast<double>(static_cast<uint64_t>(exact_bytes)) >
      static_cast<double>(chances >> 32) * kScale)
    up |= kBytesUp;
  if (exact_blocks - static_cast<double>(static_cast<uint64_t>(exact_blocks)) >
      static_cast<double>(chances & 0xffffffff) * kScale)
    up |= kBlocksUp;
  return up;
}
constexpr SampleWeight WeightOfSample(uint64_t bytes, uint64_t interval, uint32_t rounding) {
  const double p = SampleProbability(static_cast<double>(bytes), interval);
  return {static_cast<uint64_t>(static_cast<double>(bytes) / p) + ((rounding & kBytesUp) != 0),
          static_cast<uint64_t>(1 / p) + ((rounding & kBlocksUp) != 0)};
}

// A bound of the variance of an estimate of `bytes` in `blocks` that are live: R^2 n, as above.
constexpr double EstimateVariance(int64_t bytes, int64_t blocks, uint64_t interval) {
  if (interval == 0 || bytes <= 0 || blocks <= 0) return 0;
  const double n = static_cast<double>(blocks) *
                   SampleProbability(static_cast<double>(bytes) / static_cast<double>(blocks), interval);
  return static_cast<double>(interval) * static_cast<double>(interval) * n;
}

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_SAMPLING_H_
