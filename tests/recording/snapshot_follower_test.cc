// Snapshots seen as they come, without reading the recording.
#include "recording/snapshot_follower.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "recording/builder.h"
#include "recording/reader.h"
#include "tests/support/temp_dir.h"

namespace allocline {
namespace {

using format::SnapshotKind;
using format::TableKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SnapshotFollowerTest : public ::testing::Test {
 protected:
  // A recording with these snapshots.
  std::string Make(const std::vector<RecordedSnapshot>& snapshots) {
    RecordingBuilder builder;
    const SiteId site = builder.AddSite(std::vector<format::Frame>{0x1000});
    builder.AddCounters(builder.AddThread({.tid = 1}), site, {.allocated_bytes = 100, .allocated_blocks = 1});
    for (const RecordedSnapshot& snapshot : snapshots) builder.AddSnapshot(snapshot);
    const std::string path = directory_ / "made.allocline";
    EXPECT_TRUE(builder.WriteFile(path, /*replace=*/true).ok());
    return path;
  }
  static SnapshotFollower Follow(const std::string& path, int flags = O_RDONLY) {
    return SnapshotFollower(UniqueFd(open(path.c_str(), flags | O_CLOEXEC)));
  }
  static std::vector<std::string> Labels(const std::vector<SnapshotHead>& heads) {
    std::vector<std::string> labels;
    for (const SnapshotHead& head : heads) labels.push_back(head.label);
    return labels;
  }
  // Where the table of snapshots lies in the file, and how much of it is used.
  static format::Extent Extent(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY));
    format::Extent extents[format::kMaxExtents];
    EXPECT_EQ(pread(fd.get(), extents, sizeof extents, format::kHeaderBytes), static_cast<ssize_t>(sizeof extents));
    for (const format::Extent& extent : extents) {
      if (extent.kind == static_cast<uint32_t>(TableKind::kSnapshots)) return extent;
    }
    ADD_FAILURE() << "no snapshots";
    return {};
  }
  static off_t UsedOffset() {
    return static_cast<off_t>(offsetof(format::FileHeader, tables) +
                              static_cast<size_t>(TableKind::kSnapshots) * sizeof(format::TableHead));
  }
  template <typename T>
  static void Poke(const std::string& path, off_t offset, const T& value) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY));
    ASSERT_EQ(pwrite(fd.get(), &value, sizeof value, offset), static_cast<ssize_t>(sizeof value));
  }

  testing::TempDir directory_;
};

TEST_F(SnapshotFollowerTest, EachSnapshotIsSeenOnceWithWhatTheReaderSaysOfIt) {
  const std::string path = Make({{.label = "limit-50%",
                                  .monotonic_ns = 5,
                                  .live_bytes = 7,
                                  .rss_bytes = 8,
                                  .container_usage_bytes = 9,
                                  .container_limit_bytes = 10,
                                  .kind = SnapshotKind::kRung,
                                  .growth = {{2, {.allocated_bytes = 100, .allocated_blocks = 1}}}},
                                 {.label = "", .kind = SnapshotKind::kCheckpoint}});
  SnapshotFollower follower = Follow(path);
  const std::vector<SnapshotHead> heads = follower.TakeNew();
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_EQ(heads[0].index, 0u);
  EXPECT_EQ(heads[0].label, "limit-50%");
  EXPECT_EQ(heads[0].kind, SnapshotKind::kRung);
  EXPECT_EQ(heads[0].monotonic_ns, 5u);
  EXPECT_EQ(heads[0].live_bytes, 7u);
  EXPECT_EQ(heads[0].rss_bytes, 8u);
  EXPECT_EQ(heads[0].container_usage_bytes, 9u);
  EXPECT_EQ(heads[0].container_limit_bytes, 10u);
  EXPECT_EQ(heads[1].index, 1u);
  EXPECT_EQ(heads[1].label, "");
  EXPECT_EQ(heads[1].kind, SnapshotKind::kCheckpoint);
  EXPECT_THAT(follower.TakeNew(), IsEmpty());
}

TEST_F(SnapshotFollowerTest, WhatComesLaterIsSeenWhenItIsWritten) {
  const std::string path = Make({{.label = "first"}, {.label = "second"}, {.label = "third"}});
  uint64_t whole = 0;
  const UniqueFd fd(open(path.c_str(), O_RDONLY));
  ASSERT_EQ(pread(fd.get(), &whole, sizeof whole, UsedOffset()), static_cast<ssize_t>(sizeof whole));
  ASSERT_EQ(whole % 3, 0u);

  Poke(path, UsedOffset(), uint64_t{0});
  SnapshotFollower follower = Follow(path);
  EXPECT_THAT(follower.TakeNew(), IsEmpty());
  Poke(path, UsedOffset(), whole / 3);
  EXPECT_THAT(Labels(follower.TakeNew()), ElementsAre("first"));
  // Reserved, but the writer has not stored the tag yet.
  const auto second = static_cast<off_t>(Extent(path).file_offset + whole / 3);
  Poke(path, second, uint32_t{0});
  Poke(path, UsedOffset(), whole);
  EXPECT_THAT(follower.TakeNew(), IsEmpty());
  Poke(path, second, static_cast<uint32_t>(whole / 3));
  EXPECT_THAT(Labels(follower.TakeNew()), ElementsAre("second", "third"));
}

TEST_F(SnapshotFollowerTest, DamageEndsItAndNothingElse) {
  const std::string path = Make({{.label = "first"}, {.label = "second"}});
  const format::Extent extent = Extent(path);
  const auto at = static_cast<off_t>(extent.file_offset);
  for (const uint32_t bytes : {1u, 8u, 72u, 81u, 0xfffffff8u}) {  // too small, odd, larger than the table
    Poke(path, at, bytes);
    EXPECT_THAT(Follow(path).TakeNew(), IsEmpty()) << bytes;
  }
  Poke(path, at, uint32_t{88});
  Poke(path, at + 4, uint32_t{0xffffffff});  // the label
  EXPECT_THAT(Follow(path).TakeNew(), IsEmpty());
  Poke(path, UsedOffset(), ~uint64_t{0});
  EXPECT_THAT(Follow(path).TakeNew(), IsEmpty());
  ASSERT_EQ(truncate(path.c_str(), 100), 0);
  EXPECT_THAT(Follow(path).TakeNew(), IsEmpty());
  EXPECT_THAT(SnapshotFollower(UniqueFd()).TakeNew(), IsEmpty());
}

TEST_F(SnapshotFollowerTest, AnExitIsSeen) {
  const std::string path = Make({{.label = "first"}});
  Poke(path, offsetof(format::FileHeader, state), uint32_t{format::kStateActive});
  EXPECT_FALSE(Follow(path).HasExited());
  for (const uint32_t ended : {format::kStateExited, format::kStateLeft}) {
    Poke(path, offsetof(format::FileHeader, state), format::kStateActive | ended);
    EXPECT_TRUE(Follow(path).HasExited());
  }
  EXPECT_TRUE(SnapshotFollower(UniqueFd()).HasExited()) << "a file that cannot be read has nothing more to say";
}

}  // namespace
}  // namespace allocline
