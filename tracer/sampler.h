// Which allocations of a thread are samples: the marks of recording/sampling.h, placed one at a time.
//
// A thread's blocks, in the order of their allocation, lie end to end on a line of bytes; its counter of allocated
// bytes is where the line ends by now. Between two marks lie bytes by an exponential distribution of mean R, which has
// no memory: from the end of any block on, the distance to the next mark is distributed alike. So the thread compares
// its counter with the position of the next mark, and nothing else has to be counted. It looks up at least every 64
// KiB, and every R bytes: so its share of the totals is published in time, and a block of R bytes, which is recorded
// exactly and has no place on the line, is noticed by the same comparison.
//
// A block of no bytes is never a sample. It adds nothing to what a line holds but its count.
//
// Threads: the owning one. A signal handler that comes in the middle of an event uses it too; at worst one mark is
//          placed anew, which changes no probability but of what is allocated at that very instruction.
// Context: inside malloc.
#ifndef ALLOCLINE_TRACER_SAMPLER_H_
#define ALLOCLINE_TRACER_SAMPLER_H_

#include <bit>
#include <cstdint>

namespace allocline {

// xorshift64* (Marsaglia; Vigna 2016): 8 bytes of state, and the high bits pass the usual tests.
class SampleRandom {
 public:
  // SplitMix64 of the seed: threads seeded by neighbouring numbers have nothing in common.
  void Seed(uint64_t seed) {
    seed += 0x9E3779B97F4A7C15u;
    seed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9u;
    seed = (seed ^ (seed >> 27)) * 0x94D049BB133111EBu;
    state_ = (seed ^ (seed >> 31)) | 1;
  }
  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1Du;
  }
  // Of mean 1. The logarithm of a uniform number in (0, 1]: no libm, for it may allocate when it is first bound.
  double NextExponential() { return -Log(static_cast<double>((Next() >> 11) + 1) * 0x1p-53); }

 private:
  // x = m 2^e with m in [2/3, 4/3); ln m = 2 artanh t = 2 (t + t^3/3 + ...), |t| <= 1/5: 12 terms are exact in a
  // double.
  static double Log(double x) {
    const uint64_t bits = std::bit_cast<uint64_t>(x);
    int exponent = static_cast<int>(bits >> 52) - 1023;
    double m = std::bit_cast<double>((bits & 0xfffffffffffff) | uint64_t{1023} << 52);
    if (m >= 4.0 / 3) {
      m /= 2;
      ++exponent;
    }
    const double t = (m - 1) / (m + 1), t2 = t * t;
    double sum = 0;
    for (int k = 23; k >= 1; k -= 2) sum = sum * t2 + 1.0 / k;
    return 2 * t * sum + exponent * 0.693147180559945309417;
  }

  uint64_t state_ = 1;
};

class Sampler {
 public:
  // From `position` on, the bytes the thread has counted so far. `interval` 0: no samples any more.
  void Start(uint64_t interval, uint64_t seed, uint64_t position) {
    interval_ = interval;
    random_.Seed(seed);
    PlaceMark(position);
    LookAgain(position);
  }

  // Whether a block that ends at `position` needs a second look: it may be a sample, or have R bytes, or the thread's
  // share of the totals may be due.
  bool MustLook(uint64_t position) const { return position >= look_at_; }
  // After that, for a block below R: whether it is a sample. The next mark is placed.
  bool Pass(uint64_t position) {
    const bool is_sample = position >= mark_;
    if (is_sample) PlaceMark(position);
    LookAgain(position);
    return is_sample;
  }
  // `bytes` were counted that are no block's, or one's that could not be recorded: the mark is as far off as before.
  void Skip(uint64_t bytes) {
    if (mark_ < kNever - bytes) mark_ += bytes;
    look_at_ += bytes;
  }

  uint64_t interval() const { return interval_; }
  uint64_t Chances() { return random_.Next(); }

 private:
  static constexpr uint64_t kNever = ~uint64_t{0};
  static constexpr uint64_t kFarthestLook = 64 << 10;

  void PlaceMark(uint64_t position) {
    // Rounded up: a block of s bytes reaches it if s is no less than the real number.
    mark_ = interval_ == 0
                ? kNever
                : position + 1 + static_cast<uint64_t>(random_.NextExponential() * static_cast<double>(interval_));
  }
  void LookAgain(uint64_t position) {
    look_at_ = position + (interval_ != 0 && interval_ < kFarthestLook ? interval_ : kFarthestLook);
    if (mark_ < look_at_) look_at_ = mark_;
  }

  uint64_t look_at_ = 0;
  uint64_t mark_ = 0;
  uint64_t interval_ = 0;
  SampleRandom random_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SAMPLER_H_
