// Damage of the header and of the extents: where tables lie. Each kind is refused with its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/recording/damage_fixture.h"

namespace allocline {
namespace {

using absl::StatusCode;
using format::TableKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Stack = std::vector<format::Frame>;

class LayoutDamageTest : public DamageTest {};

TEST_F(LayoutDamageTest, TheUndamagedFileIsRead) { EXPECT_THAT(Read().damage(), IsEmpty()); }

// ---------------------------------------------------------------- the header

TEST_F(LayoutDamageTest, OtherFilesAreNotRecordings) {
  for (std::string other : {"x", "#!/bin/sh\necho hello\n", "\177ELF", "ALLOCLN", "ALLOCLNX"}) {
    other.resize(other.size() + 5000);
    const absl::Status status = Recording::Parse(other, "other").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("other: is not a recording"));
  }
}

TEST_F(LayoutDamageTest, AnEmptyFileIsNoRecording) {
  raw_.bytes().clear();
  ExpectRefused(StatusCode::kInvalidArgument, "is empty");
}

TEST_F(LayoutDamageTest, AFileThatEndsInItsHeaderIsRefused) {
  raw_.bytes().resize(4095);
  ExpectRefused(StatusCode::kDataLoss, "offset 4095: the file ends within its header");
}

TEST_F(LayoutDamageTest, ANewerFormatIsRefusedAndSaysWhatItIs) {
  raw_.header().major = format::kMajorVersion + 1;
  raw_.header().minor = 7;
  ExpectRefused(StatusCode::kFailedPrecondition, "format version 2.7");
}

TEST_F(LayoutDamageTest, AnOlderMajorVersionIsRefusedToo) {
  raw_.header().major = format::kMajorVersion - 1;
  ExpectRefused(StatusCode::kFailedPrecondition, "format version 0.");
}

TEST_F(LayoutDamageTest, ANewerMinorVersionIsRead) {
  raw_.header().minor = 999;
  raw_.AddExtent(TableKind{15}, 0, "a table of tomorrow");
  raw_.header().tables[15].used = 19;
  EXPECT_EQ(Read().live_bytes(), 130u);
}

TEST_F(LayoutDamageTest, AnotherByteOrderIsRefused) {
  raw_.header().byte_order = __builtin_bswap32(format::kByteOrderMark);
  raw_.header().major = 0x0100;  // as it would be
  ExpectRefused(StatusCode::kFailedPrecondition, "byte order");
}

TEST_F(LayoutDamageTest, AByteOrderMarkThatIsNoneIsDamage) {
  raw_.header().byte_order = 0x01020305;
  ExpectRefused(StatusCode::kDataLoss, "offset 12: byte order mark is 0x01020305, not 0x01020304");
}

TEST_F(LayoutDamageTest, AnotherHeaderSizeIsDamage) {
  raw_.header().header_bytes = 8192;
  ExpectRefused(StatusCode::kDataLoss, "header of 8192 bytes");
}

// ---------------------------------------------------------------- the extents

TEST_F(LayoutDamageTest, MoreExtentsThanTheDirectoryHoldsAreDamage) {
  raw_.header().extent_count = format::kMaxExtents + 1;
  ExpectRefused(StatusCode::kDataLoss, "129 extents");
}

TEST_F(LayoutDamageTest, AnExtentOfNoTableIsDamage) {
  raw_.extent(2).kind = 0;
  ExpectRefused(StatusCode::kDataLoss, "offset 4160: extent 2 belongs to table 0");
  raw_.extent(2).kind = format::kTableCount;
  ExpectRefused(StatusCode::kDataLoss, "extent 2 belongs to table 16");
}

TEST_F(LayoutDamageTest, AnExtentThatIsNotOnAPageIsDamage) {
  raw_.extent(1).file_offset += 8;
  ExpectRefused(StatusCode::kDataLoss, "offset 4128: extent 1 lies at");
}

TEST_F(LayoutDamageTest, AnExtentOverTheHeaderIsDamage) {
  for (uint64_t offset : {0, 4096}) {
    raw_.extent(0).file_offset = offset;
    ExpectRefused(StatusCode::kDataLoss, "extent 0 lies at");
  }
}

TEST_F(LayoutDamageTest, AnExtentOfNoWholePagesIsDamage) {
  for (uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{4095}, uint64_t{4097}, ~uint64_t{0}, uint64_t{1} << 63}) {
    raw_.extent(0).bytes = bytes;
    ExpectRefused(StatusCode::kDataLoss, "extent 0 has");
  }
}

TEST_F(LayoutDamageTest, AnExtentThatDoesNotContinueItsTableIsDamage) {
  raw_.extent(0).table_offset = format::kPageBytes;
  ExpectRefused(StatusCode::kDataLoss, "extent 0 continues its table at 4096, expected 0");
}

TEST_F(LayoutDamageTest, ExtentsThatOverlapAreDamage) {
  raw_.extent(TableKind::kSites).file_offset = raw_.extent(TableKind::kNodes).file_offset;
  ExpectRefused(StatusCode::kDataLoss, "extents of the tables of nodes and of sites overlap");
}

TEST_F(LayoutDamageTest, ExtentsThatOverlapInPartAreDamage) {
  raw_.extent(TableKind::kNodes).bytes = 2 * format::kPageBytes;
  ExpectRefused(StatusCode::kDataLoss, "overlap");
}

TEST_F(LayoutDamageTest, ATableLargerThanItsExtentsIsReadAsFarAsTheyGo) {
  for (uint64_t used : {uint64_t{4112}, ~uint64_t{0}, ~uint64_t{0} / 16 * 16}) {
    raw_.head(TableKind::kNodes).used = used;
    const Recording recording = Read();
    EXPECT_THAT(recording.nodes(), SizeIs(4096 / sizeof(format::NodeRecord)));
    EXPECT_THAT(recording.Stack(2), ElementsAre(0x1010, 0x1020, 0x3030));
    EXPECT_THAT(recording.damage(), ElementsAre(HasSubstr(" bytes of the table of nodes are not in the file")));
  }
}

TEST_F(LayoutDamageTest, ATableThatEndsWithinARecordIsDamage) {
  for (TableKind kind :
       {TableKind::kNodes, TableKind::kSites, TableKind::kThreads, TableKind::kChunkOwners, TableKind::kCounters}) {
    RawRecording raw(Small());
    raw.head(kind).used += 1;
    ExpectRefused(raw, StatusCode::kDataLoss, "ends within a record");
  }
}

TEST_F(LayoutDamageTest, ATableInSeveralExtentsIsJoined) {
  RecordingBuilder builder;
  std::vector<std::pair<SiteId, SiteCounters>> counters;
  for (uint64_t i = 0; i < 3000; ++i) counters.push_back({builder.AddSite(Stack{0x1000 + i}), {i + 1, 1, 0, 0}});
  builder.AddThread({.name = "main", .counters = counters});
  RawRecording raw(builder);
  // Moves the counters behind their first page to the end of the file, in two more extents.
  const format::Extent whole = raw.extent(TableKind::kCounters);
  const std::string rest = raw.bytes().substr(whole.file_offset + 4096, whole.bytes - 4096);
  raw.AddExtent(TableKind::kCounters, 4096, rest.substr(0, 8192));
  raw.AddExtent(TableKind::kCounters, 4096 + 8192, rest.substr(8192));
  raw.extent(TableKind::kCounters).bytes = 4096;
  memset(raw.bytes().data() + whole.file_offset + 4096, 0xee, whole.bytes - 4096);
  const absl::StatusOr<Recording> recording = raw.Parse();
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->threads()[0].counters, counters);
}

}  // namespace
}  // namespace allocline
