#include "recording/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "tests/recording/random_recording.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using Stack = std::vector<format::Frame>;

Recording Parsed(const RecordingBuilder& builder) {
  absl::StatusOr<Recording> recording = Recording::Parse(builder.Build(), "built");
  EXPECT_TRUE(recording.ok()) << recording.status();
  return *std::move(recording);
}

TEST(BuilderTest, WhateverIsAddedIsFoundByTheReader) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const RandomRecording made(seed);
    const Recording read = Parsed(made.builder);
    EXPECT_THAT(read.damage(), IsEmpty());
    EXPECT_EQ(read.modules(), made.modules);
    EXPECT_EQ(read.snapshots(), made.snapshots);
    EXPECT_EQ(read.codes(), made.codes);
    EXPECT_EQ(read.symbols(), made.symbols);
    EXPECT_EQ(read.differences(), made.differences);
    EXPECT_EQ(read.timeline(), made.timeline);
    EXPECT_EQ(read.peak_copy(), made.peak_copy);
    for (const auto& [site, stack] : made.stacks) ASSERT_EQ(read.Stack(site), stack);

    ASSERT_EQ(read.threads().size(), made.threads.size());
    std::vector<SiteCounters> sum(read.sites().size());
    for (size_t i = 0; i < made.threads.size(); ++i) {
      RecordedThread expected = made.threads[i];
      expected.counters.assign(made.counted[i].begin(), made.counted[i].end());
      EXPECT_EQ(read.threads()[i], expected);
      for (const auto& [site, counters] : made.counted[i]) sum[site] += counters;
    }
    EXPECT_EQ(read.Counters(), sum);

    std::vector<SiteCounters> at(read.sites().size());
    for (size_t i = 0; i < made.snapshots.size(); ++i) {
      for (const auto& [site, growth] : made.snapshots[i].growth) at[site] += growth;
      EXPECT_EQ(read.CountersAt(i), at);
    }
  }
}

TEST(BuilderTest, ACopyOfARecordingIsTheSameBytes) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const RandomRecording made(seed);
    EXPECT_EQ(RecordingBuilder(Parsed(made.builder)).Build(), made.builder.Build()) << "seed " << seed;
  }
}

TEST(BuilderTest, ACopyInternsStacksAsTheOriginalDid) {
  RecordingBuilder original;
  const SiteId known = original.AddSite(Stack{0x30, 0x20, 0x10});
  RecordingBuilder copy(Parsed(original));
  EXPECT_EQ(copy.AddSite(Stack{0x30, 0x20, 0x10}), known);
  EXPECT_EQ(copy.AddSite(Stack{0x31, 0x20, 0x10}), known + 1);
}

TEST(BuilderTest, OneStackIsOneSiteAndCallersAreShared) {
  RecordingBuilder builder;
  const SiteId leaf = builder.AddSite(Stack{0x30, 0x20, 0x10});
  EXPECT_EQ(builder.AddSite(Stack{0x30, 0x20, 0x10}), leaf);
  const SiteId caller = builder.AddSite(Stack{0x20, 0x10});
  EXPECT_NE(caller, leaf);
  const Recording recording = Parsed(builder);
  EXPECT_EQ(recording.Stack(leaf), (Stack{0x30, 0x20, 0x10}));
  EXPECT_EQ(recording.Stack(caller), (Stack{0x20, 0x10}));
  EXPECT_EQ(recording.nodes().size(), 1u + 1u + 3u);  // the root, the overflow site's, and three frames
}

TEST(BuilderTest, SiteOneIsTheOneOfWhatCouldNotBeAttributed) {
  const Recording recording = Parsed(RecordingBuilder());
  EXPECT_THAT(recording.Stack(format::kOverflowSite),
              ElementsAre(format::MakeVirtualFrame(format::VirtualKind::kOverflow, 0)));
  EXPECT_EQ(RecordingBuilder().AddSite(std::array{format::MakeVirtualFrame(format::VirtualKind::kOverflow, 0)}),
            format::kOverflowSite);
}

TEST(BuilderTest, CountersOfOneSiteAddUpInAThreadAndStayApartBetweenThreads) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(Stack{0x10});
  const size_t first = builder.AddThread({.name = "first", .counters = {{site, {100, 1, 0, 0}}}});
  const size_t second = builder.AddThread({.name = "second"});
  builder.AddCounters(first, site, {200, 2, 100, 1});
  builder.AddCounters(second, site, {0, 0, 50, 1});
  const Recording recording = Parsed(builder);
  EXPECT_THAT(recording.threads()[first].counters, ElementsAre(Pair(site, SiteCounters{300, 3, 100, 1})));
  EXPECT_THAT(recording.threads()[second].counters, ElementsAre(Pair(site, SiteCounters{0, 0, 50, 1})));
  EXPECT_EQ(recording.Counters()[site], (SiteCounters{300, 3, 150, 2}));
  EXPECT_EQ(recording.live_bytes(), 150u);
}

TEST(BuilderTest, ASnapshotOfNowHoldsTheGrowthSinceTheSnapshotBefore) {
  RecordingBuilder builder;
  const SiteId a = builder.AddSite(Stack{0xa});
  const SiteId b = builder.AddSite(Stack{0xb});
  const size_t thread = builder.AddThread({});
  builder.AddCounters(thread, a, {100, 1, 0, 0});
  builder.AddSnapshotOfNow({.label = "first"});
  builder.AddCounters(thread, a, {0, 0, 100, 1});
  builder.AddCounters(thread, b, {7, 1, 0, 0});
  builder.AddSnapshotOfNow({.label = "second"});
  const Recording recording = Parsed(builder);
  ASSERT_EQ(recording.snapshots().size(), 2u);
  EXPECT_THAT(recording.snapshots()[0].growth, ElementsAre(Pair(a, SiteCounters{100, 1, 0, 0})));
  EXPECT_THAT(recording.snapshots()[1].growth,
              ElementsAre(Pair(a, SiteCounters{0, 0, 100, 1}), Pair(b, SiteCounters{7, 1, 0, 0})));
  EXPECT_EQ(recording.CountersAt(1), recording.Counters());
}

TEST(BuilderTest, ALabelThatIsTooLongIsCut) {
  RecordingBuilder builder;
  builder.AddSnapshot({.label = std::string(format::kMaxLabelBytes + 5, 'x')});
  EXPECT_EQ(Parsed(builder).snapshots()[0].label, std::string(format::kMaxLabelBytes, 'x'));
}

TEST(BuilderTest, TheHeaderIsKeptButForWhatBuildKnowsBetter) {
  RecordingBuilder builder;
  builder.header().pid = 4711;
  builder.header().peak_bytes = 12345;
  builder.header().major = 99;
  builder.header().extent_count = 99;
  const Recording recording = Parsed(builder);
  EXPECT_EQ(recording.header().pid, 4711u);
  EXPECT_EQ(recording.peak_bytes(), 12345u);
  EXPECT_EQ(recording.header().major, format::kMajorVersion);
  EXPECT_EQ(recording.header().file_bytes, recording.file_bytes());
}

}  // namespace
}  // namespace allocline
