// The timeline: what the process and its container held over time, in a table of the recording that never has more than
// kMaxTimelinePoints (64 KiB).
//
// Points come when the process's memory has changed by some, so a long life has more than there is room for. Then each
// new one is written over the one whose absence changes the drawing least. What a point shows is the triangle that it
// makes with its neighbours in time, and a straight line between them does not: a point in the middle of a steady rise
// shows nothing, the top of a spike everything. As points of a stretch go, those that stay span more time and weigh
// more; so what is old is coarse, but its peaks are there. (Every second point given up, at regular intervals, would be
// simpler, and lose half of the peaks each time.)
//
//     weight of b = |area of a b c|              b
//     taken in each series, the largest         / \ .                  a b c: weight 0, b goes first
//     of them counts                           /    \   .         a ------- b ------- c
//                                             a       `---- c
//
// Readable at any instant, also one at which the process was killed: a record's sequence is 0 while it is written, and
// is never the same twice (format::TimelineRecord says what a reader does with that). A point that is overwritten is
// given up before the new one is there, so an unlucky reader, or a SIGKILL, finds one point less.
//
// Threads: one at a time may Add(); the caller sees to it, and that no signal handler comes in between.
// Context: inside malloc: no allocation. The order of the points is kept in pages of our own, 12 KiB.
// When full: that is the usual state of a long life; if the recording cannot grow, what it has room for is used alike.
#ifndef ALLOCLINE_TRACER_TIMELINE_H_
#define ALLOCLINE_TRACER_TIMELINE_H_

#include <cstdint>

#include "base/pages.h"
#include "recording/writer.h"

namespace allocline {

class Timeline {
 public:
  // False if there is no memory. Takes private_bytes().
  bool Init(RecordingWriter* recording);
  // In a forked child, whose recording has no point yet.
  void InitAfterFork();

  struct Point {
    uint64_t monotonic_ns;
    uint64_t live_bytes;
    uint64_t rss_bytes;
    uint64_t container_usage_bytes;
    uint64_t container_limit_bytes;
  };
  static constexpr uint64_t private_bytes() { return RoundUpToPage(8 * format::kMaxTimelinePoints); }

  // A clock that went back stands still here: time never falls from one point to the next.
  void Add(const Point& point);

 private:
  using Slot = uint16_t;
  static constexpr Slot kNone = 0xffff;
  static_assert(format::kMaxTimelinePoints < kNone);

  struct Place {
    Slot before, after;
    float weight;  // infinite: the first and the last
  };
  static_assert(sizeof(Place) == 8);

  format::TimelineRecord* records() const {
    return reinterpret_cast<format::TimelineRecord*>(recording_->base(format::TableKind::kTimeline));
  }
  Slot FreeSlot();
  Slot Lightest() const;
  void Unlink(Slot slot);
  void Weigh(Slot slot);

  RecordingWriter* recording_ = nullptr;
  Place* places_ = nullptr;  // by slot
  Slot count_ = 0;
  Slot first_ = kNone, last_ = kNone;
  bool full_ = false;
  uint64_t sequence_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_TIMELINE_H_
