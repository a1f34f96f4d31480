#include "tracer/ladder.h"

namespace allocline {
namespace {

constexpr uint64_t kShareOfTime = 1000;  // one part of it may be spent on readings,
constexpr uint64_t kAllowanceNs = 5'000'000;
constexpr int64_t kLeastStepBytes = 64 << 10;  // what a thread publishes at a time
constexpr uint64_t kSoonNs = 50'000'000;       // to look again where the next rung is near,
constexpr uint64_t kLaterNs = 200'000'000;     // and where it is not

}  // namespace

void Ladder::Init(const uint8_t (&percents)[format::kMaxRungs], bool with_top, uint64_t start_ns) {
  for (uint32_t i = 0; i < format::kMaxRungs; ++i) percents_[i] = percents[i];
  with_top_ = with_top;
  start_ns_ = start_ns;
}

void Ladder::InitAfterFork(uint64_t start_ns) {
  began_ = false;
  for (Rung& rung : rungs_) rung = {};
  start_ns_ = start_ns;
  reading_ns_ = 0;
  live_above_.store(INT64_MAX, std::memory_order_relaxed);
  at_ns_.store(UINT64_MAX, std::memory_order_relaxed);
  not_before_ns_.store(0, std::memory_order_relaxed);
  room_.store(INT64_MAX, std::memory_order_relaxed);
}

uint32_t Ladder::Read(uint64_t usage, uint64_t limit, int64_t live, uint64_t now_ns, uint64_t spent_ns) {
  // A clock that was set back (a machine that was restored from an image): the time up to now has passed all the same.
  if (now_ns < reading_ns_) start_ns_ -= start_ns_ < reading_ns_ - now_ns ? start_ns_ : reading_ns_ - now_ns;
  reading_ns_ = now_ns;
  uint32_t passed = 0;
  for (uint32_t i = 0; limit != 0 && i <= kTop; ++i) {
    if (!IsRung(i)) continue;
    Rung& rung = rungs_[i];
    const uint64_t threshold = ThresholdOf(i, limit);
    if (usage >= threshold) {
      if (!rung.passed && began_ && rung.times < kMostTimes) {
        passed |= uint32_t{1} << i;
        ++rung.times;
      }
      // The limit itself is passed by one who began above it, too: there is nothing left to wait for.
      if (!began_ && i == kTop) {
        passed |= uint32_t{1} << i;
        ++rung.times;
      }
      rung.passed = true;
    } else if (rung.passed && threshold - usage > (limit / 10 < threshold / 2 ? limit / 10 : threshold / 2)) {
      rung.passed = false;
    }
  }
  began_ = began_ || limit != 0;
  PlanNext(usage, limit, live, now_ns, spent_ns);
  return passed;
}

void Ladder::PlanNext(uint64_t usage, uint64_t limit, int64_t live, uint64_t now_ns, uint64_t spent_ns) {
  int64_t above = INT64_MAX, room = INT64_MAX;
  uint64_t at = UINT64_MAX, not_before = 0;
  if (limit != 0) {
    room = static_cast<int64_t>(limit) - static_cast<int64_t>(usage);
    // To the next rung; above the last, to the limit: the points over time should lead up to the end.
    uint64_t distance = limit > usage ? limit - usage : UINT64_MAX;
    for (uint32_t i = 0; i <= kTop; ++i) {
      const uint64_t threshold = ThresholdOf(i, limit);
      if (IsRung(i) && threshold > usage && threshold - usage < distance) distance = threshold - usage;
    }
    at = now_ns + (distance < limit / 10 ? kSoonNs : kLaterNs);
    if (distance != UINT64_MAX) {
      auto step = static_cast<int64_t>(distance / 2);
      if (step < static_cast<int64_t>(limit / 512)) step = static_cast<int64_t>(limit / 512);
      if (step < kLeastStepBytes) step = kLeastStepBytes;
      above = live + step;
    }
    if (spent_ns > kAllowanceNs) not_before = start_ns_ + (spent_ns - kAllowanceNs) * kShareOfTime;
  }
  live_above_.store(above, std::memory_order_relaxed);
  at_ns_.store(at, std::memory_order_relaxed);
  not_before_ns_.store(not_before, std::memory_order_relaxed);
  room_.store(room, std::memory_order_relaxed);
}

}  // namespace allocline
