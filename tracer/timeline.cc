#include "tracer/timeline.h"

#include <limits>

#include "base/atomic.h"

namespace allocline {
namespace {

using format::TableKind;
using format::TimelineRecord;

constexpr float kInfinite = std::numeric_limits<float>::infinity();

// Twice the area of the triangle over the stretch from `a` to `c`. As differences, which are exact to 2^53; what they
// multiply to (2^47 bytes, 2^63 ns) fits a float.
double Area(const TimelineRecord& a, const TimelineRecord& b, const TimelineRecord& c,
            uint64_t TimelineRecord::*value) {
  const auto time_b = static_cast<double>(b.monotonic_ns - a.monotonic_ns);
  const auto time_c = static_cast<double>(c.monotonic_ns - a.monotonic_ns);
  const auto rise_b = static_cast<double>(static_cast<int64_t>(b.*value - a.*value));
  const auto rise_c = static_cast<double>(static_cast<int64_t>(c.*value - a.*value));
  const double area = time_b * rise_c - time_c * rise_b;
  return area < 0 ? -area : area;
}

}  // namespace

bool Timeline::Init(RecordingWriter* recording) {
  recording_ = recording;
  places_ = static_cast<Place*>(MapPages(private_bytes()));
  return places_ != nullptr;
}

void Timeline::InitAfterFork() {
  count_ = 0;
  first_ = last_ = kNone;
  full_ = false;
  sequence_ = 0;
}

void Timeline::Add(const Point& point) {
  const Slot slot = FreeSlot();
  if (slot == kNone) return;
  TimelineRecord& record = records()[slot];
  uint64_t now = point.monotonic_ns;
  if (last_ != kNone && now < records()[last_].monotonic_ns) now = records()[last_].monotonic_ns;
  StoreRelaxed(record.sequence, uint64_t{0});
  // Before anything of the point changes. Pairs with the reader, which looks at the sequence before and after.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  StoreRelaxed(record.monotonic_ns, now);
  StoreRelaxed(record.live_bytes, point.live_bytes);
  StoreRelaxed(record.rss_bytes, point.rss_bytes);
  StoreRelaxed(record.container_usage_bytes, point.container_usage_bytes);
  StoreRelaxed(record.container_limit_bytes, point.container_limit_bytes);
  StoreRelease(record.sequence, ++sequence_);  // the tag

  places_[slot] = {.before = last_, .after = kNone, .weight = kInfinite};
  if (last_ == kNone) {
    first_ = slot;
  } else {
    places_[last_].after = slot;
  }
  const Slot second_last = last_;
  last_ = slot;
  if (second_last != kNone) Weigh(second_last);
  AddRelaxed(recording_->header().timeline_points, uint64_t{1});
}

// A record that nobody uses, or the one that shows least.
Timeline::Slot Timeline::FreeSlot() {
  if (!full_ && count_ < format::kMaxTimelinePoints) {
    if (recording_->Reserve(TableKind::kTimeline, sizeof(TimelineRecord)) != nullptr) return count_++;
    full_ = true;
  }
  const Slot slot = Lightest();
  if (slot != kNone) Unlink(slot);
  return slot;
}

Timeline::Slot Timeline::Lightest() const {
  Slot lightest = kNone;
  float least = kInfinite;
  for (Slot slot = 0; slot < count_; ++slot) {
    if (places_[slot].weight >= least) continue;
    least = places_[slot].weight;
    lightest = slot;
  }
  return lightest;
}

// Of a slot with neighbours: the first and the last weigh too much to get here.
void Timeline::Unlink(Slot slot) {
  const Place place = places_[slot];
  places_[place.before].after = place.after;
  places_[place.after].before = place.before;
  Weigh(place.before);
  Weigh(place.after);
}

void Timeline::Weigh(Slot slot) {
  Place& place = places_[slot];
  if (place.before == kNone || place.after == kNone) {
    place.weight = kInfinite;
    return;
  }
  const TimelineRecord& a = records()[place.before];
  const TimelineRecord& b = records()[slot];
  const TimelineRecord& c = records()[place.after];
  double most = 0;
  for (auto value : {&TimelineRecord::live_bytes, &TimelineRecord::rss_bytes, &TimelineRecord::container_usage_bytes,
                     &TimelineRecord::container_limit_bytes}) {
    const double area = Area(a, b, c, value);
    if (area > most) most = area;
  }
  place.weight = static_cast<float>(most);
}

}  // namespace allocline
