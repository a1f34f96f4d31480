// The timeline: what is kept of many points, and that a reader beside the writer sees none that never was.
#include "tracer/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "tests/tracer/recording_fixture.h"

namespace allocline {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kStep = 20'000'000;

class WrittenTimeline {
 public:
  WrittenTimeline() { EXPECT_TRUE(timeline_->Init(&recording_.writer())); }

  void Add(uint64_t time, uint64_t live) {
    timeline_->Add({.monotonic_ns = time,
                    .live_bytes = live,
                    .rss_bytes = live + 1,
                    .container_usage_bytes = live + 2,
                    .container_limit_bytes = 1000 * kMebibyte});
  }
  std::vector<TimelinePoint> Read() const { return recording_.Read().timeline(); }
  testing::WrittenRecording& recording() { return recording_; }

 private:
  testing::WrittenRecording recording_;
  std::unique_ptr<Timeline> timeline_ = std::make_unique<Timeline>();
};

// What a drawing shows at `time`: a straight line between the points around it.
double LiveAt(const std::vector<TimelinePoint>& points, uint64_t time) {
  const auto after = std::lower_bound(points.begin(), points.end(), time,
                                      [](const TimelinePoint& point, uint64_t at) { return point.monotonic_ns < at; });
  if (after == points.begin()) return static_cast<double>(points.front().live_bytes);
  if (after == points.end()) return static_cast<double>(points.back().live_bytes);
  const TimelinePoint &a = *(after - 1), &b = *after;
  const double part = static_cast<double>(time - a.monotonic_ns) / static_cast<double>(b.monotonic_ns - a.monotonic_ns);
  return static_cast<double>(a.live_bytes) +
         part * (static_cast<double>(b.live_bytes) - static_cast<double>(a.live_bytes));
}

TEST(TimelineTest, FewPointsAreAllKept) {
  WrittenTimeline timeline;
  EXPECT_TRUE(timeline.Read().empty());
  for (uint64_t i = 1; i <= format::kMaxTimelinePoints; ++i) timeline.Add(i * kStep, i * kMebibyte);
  const std::vector<TimelinePoint> points = timeline.Read();
  ASSERT_EQ(points.size(), format::kMaxTimelinePoints);
  for (uint64_t i = 1; i <= points.size(); ++i) {
    EXPECT_EQ(points[i - 1],
              (TimelinePoint{i * kStep, i * kMebibyte, i * kMebibyte + 1, i * kMebibyte + 2, 1000 * kMebibyte}));
  }
}

TEST(TimelineTest, TheTableNeverTakesMoreThan64KiB) {
  WrittenTimeline timeline;
  std::mt19937_64 random(1);
  for (uint64_t i = 0; i < 20'000; ++i) timeline.Add(i * kStep, random() % (1000 * kMebibyte));
  EXPECT_EQ(timeline.Read().size(), format::kMaxTimelinePoints);
  const auto& head = timeline.recording().writer().header().tables[static_cast<uint32_t>(format::TableKind::kTimeline)];
  EXPECT_LE(head.capacity, 64u << 10);
  EXPECT_EQ(timeline.recording().writer().header().timeline_points, 20'000u);
}

TEST(TimelineTest, TheFirstAndTheLastPointAreAlwaysThere) {
  WrittenTimeline timeline;
  std::mt19937_64 random(2);
  for (uint64_t i = 0; i < 5'000; ++i) timeline.Add(7 + i * kStep, 5 + random() % kMebibyte);
  timeline.Add(7 + 5'000 * kStep, 4711);
  EXPECT_EQ(timeline.Read().front().monotonic_ns, 7u);
  EXPECT_EQ(timeline.Read().back().live_bytes, 4711u);
}

// A long life: a slow rise, with a spike of one point now and then, and in the end a limit. Ten times the points there
// is room for.
TEST(TimelineTest, SpikesOutlastWhatIsSteady) {
  WrittenTimeline timeline;
  const uint64_t count = 10 * format::kMaxTimelinePoints;
  std::vector<uint64_t> spikes;
  for (uint64_t i = 0; i < count; ++i) {
    const bool is_spike = i % 1000 == 500;
    if (is_spike) spikes.push_back(i * kStep);
    timeline.Add(i * kStep, i * 1000 + (is_spike ? 300 * kMebibyte : 0));
  }
  const std::vector<TimelinePoint> points = timeline.Read();
  for (const uint64_t spike : spikes) {
    EXPECT_GT(LiveAt(points, spike), 300.0 * kMebibyte) << "the spike at " << spike / kStep;
    EXPECT_LT(LiveAt(points, spike - 2 * kStep), 30.0 * kMebibyte) << "before the spike at " << spike / kStep;
    EXPECT_LT(LiveAt(points, spike + 2 * kStep), 30.0 * kMebibyte) << "after the spike at " << spike / kStep;
  }
}

TEST(TimelineTest, WhatIsDrawnOfANoisyLifeIsNearWhatItWas) {
  WrittenTimeline timeline;
  std::mt19937_64 random(3);
  std::vector<uint64_t> truth;
  double live = 200.0 * kMebibyte;
  for (uint64_t i = 0; i < 8 * format::kMaxTimelinePoints; ++i) {  // walks by up to 1 MiB a step
    live += (static_cast<double>(random() % 2001) - 1000) / 1000 * kMebibyte;
    live = std::max(live, 0.0);
    truth.push_back(static_cast<uint64_t>(live));
    timeline.Add(i * kStep, truth.back());
  }
  const std::vector<TimelinePoint> points = timeline.Read();
  double worst = 0;
  for (uint64_t i = 0; i < truth.size(); ++i) {
    worst = std::max(worst, std::abs(LiveAt(points, i * kStep) - static_cast<double>(truth[i])));
  }
  EXPECT_LT(worst, 8.0 * kMebibyte);  // every eighth point kept at regular intervals: some 4
  EXPECT_EQ(LiveAt(points, 0), static_cast<double>(truth[0]));
}

TEST(TimelineTest, AClockThatGoesBackStandsStill) {
  WrittenTimeline timeline;
  timeline.Add(5'000'000'000, 1);
  timeline.Add(1'000'000'000, 2);  // four seconds back
  timeline.Add(6'000'000'000, 3);
  const std::vector<TimelinePoint> points = timeline.Read();
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[1].monotonic_ns, 5'000'000'000u);
  EXPECT_EQ(points[1].live_bytes, 2u);
  EXPECT_EQ(points[2].monotonic_ns, 6'000'000'000u);
  for (uint64_t i = 0; i < 3 * format::kMaxTimelinePoints; ++i) timeline.Add(1, 1);  // never on again
  EXPECT_LE(timeline.Read().size(), format::kMaxTimelinePoints);
  EXPECT_EQ(timeline.Read().back().monotonic_ns, 6'000'000'000u);
}

TEST(TimelineTest, AClockThatLeapsAheadIsDrawnAsItIs) {
  WrittenTimeline timeline;
  timeline.Add(1'000, 1);
  timeline.Add(uint64_t{1} << 62, 2);
  for (uint64_t i = 1; i < 2 * format::kMaxTimelinePoints; ++i) timeline.Add((uint64_t{1} << 62) + i, i * kMebibyte);
  EXPECT_EQ(timeline.Read().front().monotonic_ns, 1'000u);
  EXPECT_EQ(timeline.Read().size(), format::kMaxTimelinePoints);
}

// Every point carries its number four times over: one that is not all of one piece shows.
TEST(TimelineTest, AReaderBesideTheWriterSeesWholePointsAndMissesNextToNone) {
  WrittenTimeline timeline;
  std::atomic<bool> done{false};
  std::atomic<uint64_t> written{0};
  std::thread writer([&] {
    std::mt19937_64 random(4);
    for (uint64_t i = 1; !done.load(std::memory_order_relaxed); ++i) {
      timeline.Add(i, i * 1000 + random() % 1000);
      written.store(i, std::memory_order_release);
    }
  });
  for (int looks = 0; looks < 300;) {
    const uint64_t before = written.load(std::memory_order_acquire);
    if (before < 2 * format::kMaxTimelinePoints) continue;
    ++looks;
    const std::vector<TimelinePoint> points = timeline.Read();
    uint64_t last = 0;
    for (const TimelinePoint& point : points) {
      ASSERT_GT(point.monotonic_ns, last);
      last = point.monotonic_ns;
      ASSERT_EQ(point.live_bytes / 1000, point.monotonic_ns);
      ASSERT_EQ(point.rss_bytes, point.live_bytes + 1);
      ASSERT_EQ(point.container_usage_bytes, point.live_bytes + 2);
    }
    ASSERT_GT(points.size(), 0u);
  }
  done = true;
  writer.join();
}

}  // namespace
}  // namespace allocline
