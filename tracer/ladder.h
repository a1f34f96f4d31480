// The ladder of the container's limit: which of its rungs a reading of the usage has passed, and when to read again.
//
// Nothing here is asked per event, and there is no thread that asks. A thread that publishes its share of the live
// total (Tracer::Flush, once per 64 KiB of change) compares that total, and a clock of a few nanoseconds, with what the
// last reading left here; most times that is all. A reading (the cgroup's files, some 20 us) is made when
//
//   - the traced bytes have grown by half of what was left to the next rung. So the readings come closer together the
//     nearer it is, five to ten for each rung, and a rung is seen within 1/512 of the limit of where it is;
//   - some time has passed: what is charged to the container and is not ours (page cache, other processes, pages that
//     were taken long ago and are touched now) grows without our total;
//   - a request alone is a good part of what is left;
//
// and then only if all readings together have taken no more than 1/1000 of the time since the start, and 5 ms.
//
// A rung that was passed is passed again only after the usage has been below it by a tenth of the limit, and four times
// at most; so a process takes 4 x 16 snapshots here at the most, however its memory swings. Rungs that the container
// has passed before the process began say nothing about the process, and count as passed.
//
// Threads: one at a time for what changes; IsDue() is asked by any. Context: inside malloc: no allocation, no lock.
#ifndef ALLOCLINE_TRACER_LADDER_H_
#define ALLOCLINE_TRACER_LADDER_H_

#include <atomic>
#include <cstdint>

#include "recording/format.h"

namespace allocline {

class Ladder {
 public:
  static constexpr uint32_t kMostTimes = 4;            // a rung is passed
  static constexpr uint32_t kTop = format::kMaxRungs;  // the rung at the limit itself, where that is emulated

  // Percents, rising, ended by 0 unless full. `with_top`: the limit itself is a rung too.
  void Init(const uint8_t (&percents)[format::kMaxRungs], bool with_top, uint64_t start_ns);
  // The process is in another group now: whatever it is at there, no rung of it has been told.
  void StartOver() {
    for (Rung& rung : rungs_) rung.passed = false;
  }
  // In a forked child: its first reading is one at a start.
  void InitAfterFork(uint64_t start_ns);

  // 100 for kTop.
  uint32_t percent(uint32_t rung) const { return rung == kTop ? 100 : percents_[rung]; }

  // Takes a reading: `usage` of `limit` (0: none) with `live` traced bytes. `spent_ns`: what all readings took
  // together. Gives the rungs that are passed by it, as bits; bit kTop for the limit itself.
  uint32_t Read(uint64_t usage, uint64_t limit, int64_t live, uint64_t now_ns, uint64_t spent_ns);

  // Whether the usage should be read (again). `now_ns` may be some milliseconds late.
  bool IsDue(int64_t live, uint64_t now_ns) const {
    return (live > live_above_.load(std::memory_order_relaxed) || now_ns > at_ns_.load(std::memory_order_relaxed)) &&
           now_ns >= not_before_ns_.load(std::memory_order_relaxed);
  }
  // The same for a request alone.
  bool IsDueFor(uint64_t request_bytes, uint64_t now_ns) const {
    return static_cast<int64_t>(request_bytes) > room_.load(std::memory_order_relaxed) / 2 &&
           now_ns >= not_before_ns_.load(std::memory_order_relaxed);
  }
  // What was left of the limit at the last reading; INT64_MAX without one. Negative above it.
  int64_t room() const { return room_.load(std::memory_order_relaxed); }

 private:
  struct Rung {
    bool passed;
    uint8_t times;
  };
  bool IsRung(uint32_t rung) const { return rung == kTop ? with_top_ : percents_[rung] != 0; }
  uint64_t ThresholdOf(uint32_t rung, uint64_t limit) const { return limit / 100 * percent(rung); }
  void PlanNext(uint64_t usage, uint64_t limit, int64_t live, uint64_t now_ns, uint64_t spent_ns);

  uint8_t percents_[format::kMaxRungs] = {};
  bool with_top_ = false;
  bool began_ = false;  // there was a reading with a limit
  Rung rungs_[format::kMaxRungs + 1] = {};
  uint64_t start_ns_ = 0;    // of the time of which readings may take a part
  uint64_t reading_ns_ = 0;  // of the last
  // Relaxed: hints of when to look, that nothing else hangs on.
  std::atomic<int64_t> live_above_{INT64_MAX};
  std::atomic<uint64_t> at_ns_{UINT64_MAX};
  std::atomic<uint64_t> not_before_ns_{0};
  std::atomic<int64_t> room_{INT64_MAX};
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_LADDER_H_
