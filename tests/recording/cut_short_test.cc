// Files that end too early are read as far as they go; damage at random places is read or refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/recording/damage_fixture.h"
#include "tests/recording/random_recording.h"

namespace allocline {
namespace {

using format::TableKind;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class CutShortTest : public DamageTest {};

TEST_F(CutShortTest, WithoutItsCountersOnlyTheNumbersAreMissing) {
  raw_.header().live_bytes = 130;
  CutOffFrom(TableKind::kCounters);
  const Recording recording = Read();
  EXPECT_THAT(recording.Stack(2), ElementsAre(0x1010, 0x1020, 0x3030));
  EXPECT_EQ(recording.live_bytes(), 130u);
  EXPECT_THAT(recording.damage(),
              Contains(HasSubstr("2048 of 2048 bytes of the table of counters are not in the file")));
  EXPECT_THAT(recording.snapshots(), IsEmpty());
}

TEST_F(CutShortTest, CountersWithoutTheirOwnersAreChargedToNoLine) {
  MoveToTheEnd(TableKind::kChunkOwners, /*kept_bytes=*/sizeof(format::ChunkOwner));
  const Recording recording = Read();
  EXPECT_EQ(recording.live_bytes(), 130u);
  EXPECT_EQ(recording.Counters()[format::kOverflowSite], (SiteCounters{50, 2, 20, 1}));
}

TEST_F(CutShortTest, AThreadWhoseRecordIsLostKeepsItsCounters) {
  MoveToTheEnd(TableKind::kThreads, /*kept_bytes=*/sizeof(format::ThreadRecord));
  const Recording recording = Read();
  ASSERT_THAT(recording.threads(), SizeIs(2));
  EXPECT_EQ(recording.threads()[1].name, "");
  EXPECT_THAT(recording.threads()[1].counters, ElementsAre(Pair(3, SiteCounters{50, 2, 20, 1})));
}

TEST_F(CutShortTest, AStackWhoseOuterFramesAreLostKeepsItsInnerOnes) {
  // The outermost frame of site 3 moves to the end of its table, and is cut off.
  auto& outer = raw_.record<format::NodeRecord>(TableKind::kNodes, 6);
  outer = {.parent = 0, .site = 0, .frame = 0x3030};
  raw_.record<format::NodeRecord>(TableKind::kNodes, 5).parent = 6;
  raw_.head(TableKind::kNodes).used += sizeof(format::NodeRecord);
  MoveToTheEnd(TableKind::kNodes, /*kept_bytes=*/6 * sizeof(format::NodeRecord));
  const Recording recording = Read();
  EXPECT_THAT(recording.Stack(3), ElementsAre(0x1011));
  EXPECT_THAT(recording.Stack(2), ElementsAre(0x1010, 0x1020, 0x3030));
  EXPECT_THAT(recording.damage(), Contains("1 stacks have lost their outer frames"));
}

TEST_F(CutShortTest, ARecordBeyondTheEndOfTheFileEndsItsTable) {
  const auto first = raw_.record<format::SnapshotRecord>(TableKind::kSnapshots).record_bytes;
  for (uint64_t kept : {uint64_t{first}, first + sizeof(format::SnapshotRecord) / 2}) {
    raw_ = RawRecording(Small());
    MoveToTheEnd(TableKind::kSnapshots, kept);
    const Recording recording = Read();
    ASSERT_THAT(recording.snapshots(), SizeIs(1));
    EXPECT_EQ(recording.snapshots()[0].label, "first");
  }
}

TEST_F(CutShortTest, AnExtentWhoseEntryIsBeyondTheEndOfTheFileIsLostWithItsTable) {
  raw_.bytes().resize(format::kHeaderBytes + sizeof(format::Extent) + 5);
  const Recording recording = Read();
  EXPECT_THAT(recording.damage(), Contains(HasSubstr("96 of 96 bytes of the table of nodes are not in the file")));
}

TEST_F(CutShortTest, WhatHungOnALostTableIsChargedToNoLineAndTheTotalStays) {
  MoveToTheEnd(TableKind::kSites, /*kept_bytes=*/3 * sizeof(format::SiteRecord));  // site 3 is lost
  const Recording recording = Read();
  EXPECT_EQ(recording.live_bytes(), 130u);
  EXPECT_EQ(recording.Counters()[2], (SiteCounters{100, 1, 0, 0}));
  EXPECT_EQ(recording.Counters()[format::kOverflowSite], (SiteCounters{50, 2, 20, 1}));
  EXPECT_EQ(recording.CountersAt(1), recording.Counters());
  EXPECT_THAT(recording.damage(), Contains(HasSubstr("30 live bytes in 1 blocks belong to stacks that are missing")));
}

// ---------------------------------------------------------------- damage of any kind

// Whatever is read can be walked from end to end.
void WalkAll(const Recording& recording) {
  const std::vector<SiteCounters> counters = recording.Counters();
  EXPECT_EQ(counters.size(), recording.sites().size());
  for (SiteId site = 0; site < recording.sites().size(); ++site) {
    for (format::Frame frame : recording.Stack(site)) recording.FindModule(frame);
  }
  for (size_t i = 0; i < recording.snapshots().size(); ++i) recording.CountersAt(i);
}

TEST_F(CutShortTest, AFileCutAtAnyByteIsReadOrRefusedButNeverCrashes) {
  const RandomRecording made(11);
  const RawRecording raw(made.builder);
  const std::string whole = RawRecording(raw).bytes();
  const Recording complete = raw.Parse().value();
  for (size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly this size, so that the address sanitizer sees the first byte too far.
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const absl::StatusOr<Recording> recording = Recording::Parse(std::string_view(cut.data(), cut.size()), "cut");
    ASSERT_EQ(recording.ok(), size >= format::kHeaderBytes) << size << ": " << recording.status();
    if (!recording.ok()) continue;
    WalkAll(*recording);
    // What is there is right, or the damage is told.
    ASSERT_TRUE(!recording->damage().empty() || recording->Counters() == complete.Counters()) << size;
  }
}

TEST_F(CutShortTest, BytesChangedAtRandomAreReadOrRefusedButNeverCrash) {
  std::mt19937_64 random(20240502);
  uint64_t read = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    static const std::string originals[] = {RawRecording(Small()).bytes(),
                                            RawRecording(RandomRecording(11).builder).bytes(),
                                            RawRecording(RandomRecording(12).builder).bytes()};
    std::string bytes = originals[round % 3];
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      // Half of them where something is: the header and the directory.
      const size_t at = random() % (random() % 2 == 0 ? 4096 + 512 : bytes.size());
      bytes[at] = static_cast<char>(random() % 3 == 0 ? 0xff : random());
    }
    const absl::StatusOr<Recording> recording = Recording::Parse(bytes, "flipped");
    if (recording.ok()) WalkAll(*recording);
    ++(recording.ok() ? read : refused);
  }
  EXPECT_GT(read, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace allocline
