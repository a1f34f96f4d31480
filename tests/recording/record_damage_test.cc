// Damage of records: sizes that cannot be are refused with their place, ids that lead nowhere are read around.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/varint.h"
#include "tests/recording/damage_fixture.h"

namespace allocline {
namespace {

using absl::StatusCode;
using format::TableKind;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

using Stack = std::vector<format::Frame>;

class RecordDamageTest : public DamageTest {};

constexpr TableKind kVariableTables[] = {TableKind::kModules, TableKind::kSnapshots, TableKind::kCodes,
                                         TableKind::kSymbols, TableKind::kDifferences};

// ---------------------------------------------------------------- stacks

// Node ids of Small(): 0 root, 1 overflow, 2 = 0x3030, 3 = 0x1020, 4 = 0x1010 (site 2), 5 = 0x1011 (site 3).
TEST_F(RecordDamageTest, ASiteAtANodeThatIsMissingHasNoStack) {
  raw_.record<format::SiteRecord>(TableKind::kSites, 2).node = 6;
  const Recording recording = Read();
  EXPECT_THAT(recording.Stack(2), IsEmpty());
  EXPECT_EQ(recording.Counters()[2], (SiteCounters{100, 1, 0, 0}));
  EXPECT_THAT(recording.damage(), ElementsAre("1 stacks have lost their outer frames"));
}

TEST_F(RecordDamageTest, ASiteAtANodeThatIsNotWrittenHasNoStack) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 4).frame = 0;
  const Recording recording = Read();
  EXPECT_THAT(recording.Stack(2), IsEmpty());
  EXPECT_THAT(recording.damage(), ElementsAre("1 stacks have lost their outer frames"));
}

TEST_F(RecordDamageTest, ACallerThatIsMissingEndsTheStacksOfAllItCalled) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 3).parent = UINT32_MAX;
  const Recording recording = Read();
  EXPECT_THAT(recording.Stack(2), ElementsAre(0x1010, 0x1020));
  EXPECT_THAT(recording.Stack(3), ElementsAre(0x1011, 0x1020));
  EXPECT_THAT(recording.damage(), ElementsAre("2 stacks have lost their outer frames"));
}

TEST_F(RecordDamageTest, ANodeThatCallsItselfIsRefused) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 3).parent = 3;
  ExpectRefused(StatusCode::kDataLoss, "node 3 is its own caller (table of nodes, byte 48)");
}

TEST_F(RecordDamageTest, ACircleOfCallersIsRefused) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 2).parent = 5;
  ExpectRefused(StatusCode::kDataLoss, "is its own caller");
}

TEST_F(RecordDamageTest, TheErrorNamesTheOffsetInTheFile) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 3).parent = 3;
  const uint64_t offset = raw_.extent(TableKind::kNodes).file_offset + 3 * sizeof(format::NodeRecord);
  ExpectRefused(StatusCode::kDataLoss, "damaged at offset " + std::to_string(offset) + ": ");
}

// ---------------------------------------------------------------- counters

// What can be charged to no site goes where the totals stay right, and is told.
class LostCountersTest : public RecordDamageTest {
 protected:
  void ExpectLost(const SiteCounters& lost, const std::string& told) {
    const Recording recording = Read();
    EXPECT_EQ(recording.live_bytes(), 130u);
    EXPECT_EQ(recording.Counters()[format::kOverflowSite], lost);
    EXPECT_THAT(recording.damage(), Contains(told));
  }
};

TEST_F(LostCountersTest, AChunkWithoutAnOwner) {
  raw_.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).thread_plus_one = 0;
  ExpectLost({50, 2, 20, 1}, "30 live bytes in 1 blocks belong to stacks that are missing");
}

TEST_F(LostCountersTest, AChunkBehindTheLastOwner) {
  raw_.head(TableKind::kChunkOwners).used -= sizeof(format::ChunkOwner);
  ExpectLost({50, 2, 20, 1}, "30 live bytes in 1 blocks belong to stacks that are missing");
}

TEST_F(LostCountersTest, AChunkOfSitesThatAreMissing) {
  raw_.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).group = UINT32_MAX;
  ExpectLost({50, 2, 20, 1}, "30 live bytes in 1 blocks belong to stacks that are missing");
}

TEST_F(LostCountersTest, ASiteThatIsNotWritten) {
  raw_.record<format::SiteRecord>(TableKind::kSites, 2).node = 0;
  raw_.record<format::SiteRecord>(TableKind::kSites, 3).node = 0;
  ExpectLost({150, 3, 20, 1}, "130 live bytes in 2 blocks belong to stacks that are missing");
}

TEST_F(LostCountersTest, SiteZeroWhereEveryBlockHasAStack) {
  raw_.record<format::CounterChunk>(TableKind::kCounters, 0).counters[0].freed_blocks = 1;
  ExpectLost({0, 0, 0, 1}, "0 live bytes in -1 blocks belong to stacks that are missing");
}

TEST_F(LostCountersTest, SnapshotsToo) {
  raw_.record<format::SiteRecord>(TableKind::kSites, 2).node = 0;
  raw_.record<format::SiteRecord>(TableKind::kSites, 3).node = 0;
  const Recording recording = Read();
  EXPECT_EQ(recording.CountersAt(0)[format::kOverflowSite], (SiteCounters{100, 1, 0, 0}));
  EXPECT_EQ(recording.CountersAt(1)[format::kOverflowSite], (SiteCounters{150, 3, 20, 1}));
  EXPECT_THAT(recording.damage(), Contains("2 snapshots count for stacks that are missing"));
}

TEST_F(RecordDamageTest, AThreadWhoseRecordIsMissingKeepsItsCounters) {
  raw_.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).thread_plus_one = 3;
  const Recording recording = Read();
  ASSERT_THAT(recording.threads(), SizeIs(3));
  EXPECT_THAT(recording.threads()[1].counters, IsEmpty());
  EXPECT_EQ(recording.threads()[2].name, "");
  EXPECT_THAT(recording.threads()[2].counters, ElementsAre(Pair(3, SiteCounters{50, 2, 20, 1})));
  EXPECT_THAT(recording.damage(), ElementsAre("the records of 1 threads are missing"));
}

TEST_F(RecordDamageTest, ASiteFreedByMoreThanItAllocatedIsTold) {
  raw_.record<format::CounterChunk>(TableKind::kCounters, 1).counters[3].freed_blocks = 3;
  EXPECT_THAT(Read().damage(), ElementsAre(HasSubstr("1 stacks have freed more than they allocated")));
}

// ---------------------------------------------------------------- records of variable size

TEST_F(RecordDamageTest, ARecordTooSmallForItsKindIsDamage) {
  for (TableKind kind : kVariableTables) {
    RawRecording raw(Small());
    raw.record<uint32_t>(kind) = 8;
    ExpectRefused(raw, StatusCode::kDataLoss, "a record of 8 bytes");
  }
}

TEST_F(RecordDamageTest, ARecordOfAnOddSizeIsDamage) {
  for (TableKind kind : kVariableTables) {
    RawRecording raw(Small());
    raw.record<uint32_t>(kind) += 4;
    ExpectRefused(raw, StatusCode::kDataLoss, "expected a multiple of 8");
  }
}

TEST_F(RecordDamageTest, ARecordLongerThanItsTableIsDamage) {
  for (TableKind kind : kVariableTables) {
    RawRecording raw(Small());
    raw.record<uint32_t>(kind) = 0x7ffffff8;
    ExpectRefused(raw, StatusCode::kDataLoss, "where the table has");
  }
}

TEST_F(RecordDamageTest, AModuleThatClaimsMoreThanItsRecordIsDamage) {
  for (auto claim : {+[](format::ModuleRecord& module) { module.segment_count = UINT16_MAX; },
                     +[](format::ModuleRecord& module) { module.build_id_bytes = UINT16_MAX; },
                     +[](format::ModuleRecord& module) { module.path_bytes = UINT32_MAX; }}) {
    RawRecording raw(Small());
    claim(raw.record<format::ModuleRecord>(TableKind::kModules));
    ExpectRefused(raw, StatusCode::kDataLoss, "claims to hold");
  }
}

TEST_F(RecordDamageTest, AModuleThatEndsBeforeItBeginsIsDamage) {
  raw_.record<format::ModuleRecord>(TableKind::kModules).end = 0x1000;
  ExpectRefused(StatusCode::kDataLoss, "a module from 0x1000 to 0x1000");
}

TEST_F(RecordDamageTest, ASnapshotThatClaimsMoreThanItsRecordIsDamage) {
  for (auto claim : {+[](format::SnapshotRecord& snapshot) { snapshot.label_bytes = UINT32_MAX; },
                     +[](format::SnapshotRecord& snapshot) { snapshot.payload_bytes = UINT32_MAX; }}) {
    RawRecording raw(Small());
    claim(raw.record<format::SnapshotRecord>(TableKind::kSnapshots));
    ExpectRefused(raw, StatusCode::kDataLoss, "claims to hold");
  }
}

TEST_F(RecordDamageTest, ASnapshotOfMoreEntriesThanItHasBytesForIsDamage) {
  raw_.record<format::SnapshotRecord>(TableKind::kSnapshots).entry_count = UINT32_MAX;
  ExpectRefused(StatusCode::kDataLoss, "a snapshot of 4294967295 entries in");
}

RecordedLedger LedgerOfTwo() {
  RecordedLedger ledger;
  ledger.items = {{.bytes = 1, .path = "/a/file"}, {.bytes = 2, .path = "/another"}};
  return ledger;
}

TEST_F(RecordDamageTest, ALedgerThatClaimsMoreThanItsRecordIsDamage) {
  RecordingBuilder builder = Small();
  builder.SetLedger(LedgerOfTwo());
  for (auto claim : {+[](format::LedgerRecord& ledger) { ledger.record_bytes = UINT32_MAX; },
                     +[](format::LedgerRecord& ledger) { ledger.record_bytes = 8; },
                     +[](format::LedgerRecord& ledger) { ledger.item_count = UINT32_MAX; },
                     +[](format::LedgerRecord& ledger) {
                       reinterpret_cast<format::LedgerItem*>(&ledger + 1)->path_bytes = UINT32_MAX;
                     }}) {
    RawRecording raw(builder);
    claim(raw.record<format::LedgerRecord>(TableKind::kLedger));
    ExpectRefused(raw, StatusCode::kDataLoss, "(table of ledger, byte 0)");
  }
}

TEST_F(RecordDamageTest, ASnapshotWhoseLedgerIsLongerThanItsRecordIsDamage) {
  RecordingBuilder builder;
  builder.AddSnapshot({.label = "12345678", .ledger = LedgerOfTwo()});
  RawRecording raw(builder);
  auto& snapshot = raw.record<format::SnapshotRecord>(TableKind::kSnapshots);
  auto* tail = reinterpret_cast<format::SnapshotTail*>(reinterpret_cast<char*>(&snapshot + 1) + 8);
  ASSERT_NE(tail->ledger_bytes, 0);
  tail->ledger_bytes += 8;
  ExpectRefused(raw, StatusCode::kDataLoss, "claims to hold");
}

// A recording whose only snapshot has this payload, of `entries` entries.
RawRecording WithPayload(std::vector<uint64_t> numbers, uint32_t entries, std::string tail = "") {
  RecordingBuilder builder;
  builder.AddSite(Stack{0x10});
  builder.AddSnapshot({.label = "only", .growth = {{2, {~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}}}}});
  RawRecording raw(builder);
  auto& snapshot = raw.record<format::SnapshotRecord>(TableKind::kSnapshots);
  std::string payload;
  for (uint64_t number : numbers) {
    unsigned char bytes[kMaxVarintBytes];
    payload.append(reinterpret_cast<char*>(bytes), EncodeVarint(number, bytes) - bytes);
  }
  payload += tail;
  EXPECT_LE(payload.size(), snapshot.payload_bytes);
  snapshot.entry_count = entries;
  snapshot.payload_bytes = static_cast<uint32_t>(payload.size());
  char* const rest = reinterpret_cast<char*>(&snapshot + 1) + snapshot.label_bytes;
  memset(rest, 0, snapshot.record_bytes - sizeof(snapshot) - snapshot.label_bytes);  // a tail of zeros behind it
  memcpy(rest, payload.data(), payload.size());
  return raw;
}

TEST_F(RecordDamageTest, APayloadIsReadAsItIsDocumented) {
  const absl::StatusOr<Recording> recording = WithPayload({1, 10, 1, 0, 0, 1, 300, 3, 100, 1}, 2).Parse();
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_THAT(recording->snapshots()[0].growth,
              ElementsAre(Pair(1, SiteCounters{10, 1, 0, 0}), Pair(2, SiteCounters{300, 3, 100, 1})));
}

TEST_F(RecordDamageTest, APayloadThatEndsWithinANumberIsDamage) {
  ExpectRefused(WithPayload({2, 10, 1, 0}, 1, "\x80"), StatusCode::kDataLoss, "entry 0 of a snapshot ends within");
}

TEST_F(RecordDamageTest, APayloadWithMoreThanItsEntriesIsDamage) {
  ExpectRefused(WithPayload({2, 10, 1, 0, 0, 5}, 1), StatusCode::kDataLoss, "1 bytes are left behind the last entry");
}

TEST_F(RecordDamageTest, ASiteThatDoesNotRiseIsDamage) {
  ExpectRefused(WithPayload({0, 10, 1, 0, 0, 0, 10, 1, 0, 0}, 2), StatusCode::kDataLoss, "goes from site 0 on by 0");
  ExpectRefused(WithPayload({2, 10, 1, 0, 0, 0, 10, 1, 0, 0}, 2), StatusCode::kDataLoss, "goes from site 2 on by 0");
  ExpectRefused(WithPayload({2, 10, 1, 0, 0, UINT32_MAX - 1, 10, 1, 0, 0}, 2), StatusCode::kDataLoss, "on by");
}

TEST_F(RecordDamageTest, ASnapshotAddsWhatIsLostToWhatCouldNotBeAttributed) {
  const absl::StatusOr<Recording> recording = WithPayload({1, 5, 1, 0, 0, 1, 7, 1, 0, 0, 1, 10, 1, 0, 0}, 3).Parse();
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_THAT(recording->snapshots()[0].growth,
              ElementsAre(Pair(1, SiteCounters{15, 2, 0, 0}), Pair(2, SiteCounters{7, 1, 0, 0})));
}

TEST_F(RecordDamageTest, ACodeThatClaimsMoreThanItsRecordIsDamage) {
  for (auto claim : {+[](format::CodeRecord& code) { code.file_bytes = UINT32_MAX; },
                     +[](format::CodeRecord& code) { code.name_bytes += 8; },
                     +[](format::CodeRecord& code) { code.line_table_bytes = UINT32_MAX; }}) {
    RawRecording raw(Small());
    claim(raw.record<format::CodeRecord>(TableKind::kCodes));
    ExpectRefused(raw, StatusCode::kDataLoss, "claims to hold");
    ExpectRefused(raw, StatusCode::kDataLoss, "(table of codes, byte 0)");
  }
}

// Frames of the two code objects of Small(), and one of none.
RecordingBuilder WithPythonFrames() {
  RecordingBuilder builder = Small();
  for (const uint64_t code : {0, 4, 5}) {
    builder.AddSite(Stack{format::MakeVirtualFrame(format::VirtualKind::kPython, format::PythonPayload(code, 2))});
  }
  return builder;
}

TEST_F(RecordDamageTest, FramesWhoseCodeIsMissingAreCounted) {
  raw_ = RawRecording(WithPythonFrames());
  const Recording recording = Read();
  EXPECT_EQ(recording.FindCode(recording.Stack(4)[0])->file, "a.py");
  EXPECT_EQ(recording.FindCode(recording.Stack(5)[0])->file, "b.py");
  EXPECT_EQ(recording.FindCode(recording.Stack(6)[0]), nullptr);
  EXPECT_THAT(recording.damage(), ElementsAre("the code of 1 frames of Python is missing"));
}

TEST_F(RecordDamageTest, CodeBehindARecordThatIsNotWrittenIsMissing) {
  raw_ = RawRecording(WithPythonFrames());
  raw_.record<uint32_t>(TableKind::kCodes) = 0;
  EXPECT_THAT(Read().damage(), ElementsAre("the code of 3 frames of Python is missing"));
}

TEST_F(RecordDamageTest, ALineTableOfAKindToComeIsKept) {
  raw_.record<format::CodeRecord>(TableKind::kCodes).line_table_kind = 77;
  EXPECT_EQ(static_cast<uint32_t>(Read().codes()[0].line_table_kind), 77u);
}

// A later minor version may append to a record: it is longer than what we know of it.
TEST_F(RecordDamageTest, CodeKeepsItsIdWhenARecordBeforeItIsLongerThanWhatItHolds) {
  RecordingBuilder original = Small();
  const uint64_t third = original.AddCode({.file = "c.py"});
  raw_ = RawRecording(original);
  raw_.record<format::CodeRecord>(TableKind::kCodes).record_bytes *= 2;  // swallows the second
  const absl::StatusOr<Recording> copy = RawRecording(RecordingBuilder(Read())).Parse();
  ASSERT_TRUE(copy.ok()) << copy.status();
  ASSERT_THAT(copy->codes(), SizeIs(2));
  EXPECT_EQ(copy->codes(), Read().codes());
  EXPECT_EQ(copy->codes()[1].id, third);
}

TEST_F(RecordDamageTest, ASymbolThatClaimsMoreThanItsRecordIsDamage) {
  for (auto claim : {+[](format::SymbolRecord& symbol) { symbol.location_count = UINT32_MAX; },
                     +[](format::SymbolRecord& symbol) { symbol.string_bytes = UINT32_MAX; }}) {
    RawRecording raw(Small());
    claim(raw.record<format::SymbolRecord>(TableKind::kSymbols));
    ExpectRefused(raw, StatusCode::kDataLoss, "claims to hold");
  }
}

TEST_F(RecordDamageTest, ADifferenceThatClaimsMoreThanItsRecordIsDamage) {
  for (auto claim : {+[](format::DifferenceRecord& difference) { difference.our_frames = UINT32_MAX; },
                     +[](format::DifferenceRecord& difference) { difference.their_frames = 3; }}) {
    RawRecording raw(Small());
    claim(raw.record<format::DifferenceRecord>(TableKind::kDifferences));
    ExpectRefused(raw, StatusCode::kDataLoss, "claims to hold");
  }
}

TEST_F(RecordDamageTest, NamesOutsideASymbolAreDamage) {
  auto location = [](RawRecording& raw) -> format::SymbolLocation& {
    return *reinterpret_cast<format::SymbolLocation*>(&raw.record<format::SymbolRecord>(TableKind::kSymbols) + 1);
  };
  for (auto claim : {+[](format::SymbolLocation& names) { names.function_offset = 8; },
                     +[](format::SymbolLocation& names) { names.file_bytes = UINT32_MAX; },
                     +[](format::SymbolLocation& names) { names.file_bytes += 1; }}) {
    RawRecording raw(Small());
    claim(location(raw));
    ExpectRefused(raw, StatusCode::kDataLoss, "the names of location 0");
  }
}

TEST_F(RecordDamageTest, NamesThatShareTheirBytesAreDamage) {
  // Otherwise a thousand locations could each claim the same long name.
  auto& symbol = raw_.record<format::SymbolRecord>(TableKind::kSymbols);
  auto& names = *reinterpret_cast<format::SymbolLocation*>(&symbol + 1);
  names.function_offset = names.file_offset = 0;
  names.function_bytes = names.file_bytes = symbol.string_bytes;
  ExpectRefused(StatusCode::kDataLoss, "the names of location 0");
}

}  // namespace
}  // namespace allocline
