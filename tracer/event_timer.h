// Which events of a thread are timed, so that a recording can say what the tracer costs the program it is in.
//
// Reading a clock twice costs more than most events, so few are timed; and those must be a fair sample. The rare exits
// of the main path (another stack, a table that grows) are at hand for nothing, and all of them are slow events. So
// what decides must know nothing of an event's path:
//
//   - A thread's frees are counted down, in the comparison by which a free sees that the thread's gate is open: that
//     costs no instruction. Every 2048 or so, by chance from one to twice as many, the thread becomes attentive.
//   - While memory only grows there are no frees; there it becomes attentive after 8 times that its share of the totals
//     was published, that is after 512 KiB. So it does while blocks are sampled.
//   - An attentive thread (Gate::kTimed) lets by chance 0 to 31 events pass, of either kind, and times the one after
//     them. So it is not an event that made it attentive, nor always the one that follows.
//
// What is left of bias: where memory grows, bytes decide and not events, so phases of large blocks are sampled more
// densely; and a phase of allocations weighs otherwise than one of pairs. Within a phase no path is preferred.
//
// A timed event runs the usual path, by the same code, with its gate open; timed is the tracer's part, without the
// allocator behind us. (A realloc is timed as an allocation, without what taking the old record out took.) What two
// readings of the clock with nothing between them take is taken off: the lesser of two tries, for where one was
// disturbed by a microsecond, a hundred frees of some nanoseconds would come out as nothing. What took longer than
// 100 us is left out: then the kernel had taken the processor away, or served a page.
//
// Timed are malloc and free and what calls them. An event of Python's allocators interrupts the attention, until the
// next free that is none of theirs; so where nearly all events are Python's, few are timed.
//
// Threads: used by its thread only, and signal handlers on it, which at worst make it forget to time one.
#ifndef ALLOCLINE_TRACER_EVENT_TIMER_H_
#define ALLOCLINE_TRACER_EVENT_TIMER_H_

#include <cstdint>

#include "base/atomic.h"
#include "base/clock.h"
#include "recording/format.h"

namespace allocline {

class EventTimer {
 public:
  // In zeroed memory, or again for the next thread that the state is handed to.
  void Start(uint32_t seed) {
    random_ = random_ * 31 + seed;
    passing_ = -1;
  }

  // How many frees pass until the thread is to be attentive.
  int64_t FreesUntilAttentive() { return 1 + Random() % (2 * kMeanFrees - 1); }
  // The thread has published its share. Whether it is to be attentive from now on.
  bool NotePublished() { return ++published_ % kPublishedUntilAttentive == 0; }
  // Begins, or goes on after an interruption.
  void BeAttentive() {
    if (passing_ < 0) passing_ = static_cast<int32_t>(Random() % kMostPassing);
  }
  // Of an attentive thread, at each event: whether this one is to be timed.
  bool IsNow() { return --passing_ < 0; }

  // Calls event(), and adds what it took to the sum of its kind.
  template <typename Event>
  __attribute__((always_inline)) static void Time(uint64_t& events, int64_t& sum_ns, Event event) {
    const uint64_t first = MonotonicNow();
    const uint64_t second = MonotonicNow();
    const uint64_t begin = MonotonicNow();
    event();
    const uint64_t end = MonotonicNow();
    const uint64_t empty = second - first < begin - second ? second - first : begin - second;
    const auto ns = static_cast<int64_t>(end - begin) - static_cast<int64_t>(empty);
    if (ns > kInterruptedNs || ns < -kInterruptedNs) return;
    AddOwned(reinterpret_cast<uint64_t&>(sum_ns), static_cast<uint64_t>(ns));
    AddOwned(events, 1);
  }

 private:
  static constexpr uint32_t kMeanFrees = 2048;
  static constexpr uint32_t kPublishedUntilAttentive = 8;
  static constexpr uint32_t kMostPassing = 32;
  static constexpr int64_t kInterruptedNs = 100'000;

  uint32_t Random() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX; the high bits are the good ones
    return static_cast<uint32_t>(random_ >> 33);
  }

  uint64_t random_;
  uint32_t published_;
  int32_t passing_;  // events until the one that is timed; a handler may have had it
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_EVENT_TIMER_H_
