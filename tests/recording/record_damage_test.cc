// Damage of records: ids that lead nowhere, sizes that cannot be. Each kind is refused with its place.
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
using ::testing::ElementsAre;
using ::testing::Pair;

using Stack = std::vector<format::Frame>;

class RecordDamageTest : public DamageTest {};

// ---------------------------------------------------------------- stacks

// Node ids of Small(): 0 root, 1 overflow, 2 = 0x3030, 3 = 0x1020, 4 = 0x1010 (site 2), 5 = 0x1011 (site 3).
TEST_F(RecordDamageTest, ASiteAtANodeThatDoesNotExistIsDamage) {
  raw_.record<format::SiteRecord>(TableKind::kSites, 2).node = 6;
  ExpectRefused(StatusCode::kDataLoss, "site 2 is at node 6, which does not exist (table of sites, byte 8)");
}

TEST_F(RecordDamageTest, ASiteAtANodeThatIsNotWrittenIsDamage) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 4).frame = 0;
  ExpectRefused(StatusCode::kDataLoss, "site 2 is at node 4, which does not exist");
}

TEST_F(RecordDamageTest, ACallerThatDoesNotExistIsDamage) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 3).parent = UINT32_MAX;
  ExpectRefused(StatusCode::kDataLoss, "the caller of node 3 is 4294967295, which does not exist");
}

TEST_F(RecordDamageTest, ANodeThatCallsItselfIsDamage) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 3).parent = 3;
  ExpectRefused(StatusCode::kDataLoss, "node 3 is its own caller");
}

TEST_F(RecordDamageTest, ACircleOfCallersIsDamage) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 2).parent = 5;
  ExpectRefused(StatusCode::kDataLoss, "is its own caller");
}

TEST_F(RecordDamageTest, TheErrorNamesTheOffsetInTheFile) {
  raw_.record<format::NodeRecord>(TableKind::kNodes, 3).parent = 99;
  const uint64_t offset = raw_.extent(TableKind::kNodes).file_offset + 3 * sizeof(format::NodeRecord);
  ExpectRefused(StatusCode::kDataLoss, "damaged at offset " + std::to_string(offset) + ": ");
}

// ---------------------------------------------------------------- counters

TEST_F(RecordDamageTest, CountersOfNoOneAreDamage) {
  raw_.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).thread_plus_one = 0;
  ExpectRefused(StatusCode::kDataLoss, "a chunk that counts has no owner (table of counters, byte 1024)");
}

TEST_F(RecordDamageTest, MoreChunksThatCountThanOwnersAreDamage) {
  raw_.head(TableKind::kChunkOwners).used -= sizeof(format::ChunkOwner);
  ExpectRefused(StatusCode::kDataLoss, "a chunk that counts has no owner");
}

TEST_F(RecordDamageTest, AnOwnerThatDoesNotExistIsDamage) {
  raw_.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).thread_plus_one = 3;
  ExpectRefused(StatusCode::kDataLoss, "thread record 2, which does not exist (table of chunk owners, byte 8)");
}

TEST_F(RecordDamageTest, CountersOfASiteThatDoesNotExistAreDamage) {
  raw_.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).group = UINT32_MAX;
  ExpectRefused(StatusCode::kDataLoss, "site 137438953443, which does not exist");
}

TEST_F(RecordDamageTest, CountersOfASiteThatIsNotWrittenAreDamage) {
  raw_.record<format::SiteRecord>(TableKind::kSites, 3).node = 0;
  ExpectRefused(StatusCode::kDataLoss, "site 3, which does not exist");
}

TEST_F(RecordDamageTest, CountersOfSiteZeroAreDamage) {
  raw_.record<format::CounterChunk>(TableKind::kCounters, 0).counters[0].freed_blocks = 1;
  ExpectRefused(StatusCode::kDataLoss, "site 0, which does not exist");
}

// ---------------------------------------------------------------- records of variable size

TEST_F(RecordDamageTest, ARecordTooSmallForItsKindIsDamage) {
  for (TableKind kind : {TableKind::kModules, TableKind::kSnapshots, TableKind::kSymbols}) {
    RawRecording raw(Small());
    raw.record<uint32_t>(kind) = 16;
    ExpectRefused(raw, StatusCode::kDataLoss, "a record of 16 bytes");
  }
}

TEST_F(RecordDamageTest, ARecordOfAnOddSizeIsDamage) {
  for (TableKind kind : {TableKind::kModules, TableKind::kSnapshots, TableKind::kSymbols}) {
    RawRecording raw(Small());
    raw.record<uint32_t>(kind) += 4;
    ExpectRefused(raw, StatusCode::kDataLoss, "expected a multiple of 8");
  }
}

TEST_F(RecordDamageTest, ARecordLongerThanItsTableIsDamage) {
  for (TableKind kind : {TableKind::kModules, TableKind::kSnapshots, TableKind::kSymbols}) {
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
  memcpy(reinterpret_cast<char*>(&snapshot + 1) + snapshot.label_bytes, payload.data(), payload.size());
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
  ExpectRefused(WithPayload({0, 10, 1, 0, 0}, 1), StatusCode::kDataLoss, "goes from site 0 on by 0");
  ExpectRefused(WithPayload({2, 10, 1, 0, 0, 0, 10, 1, 0, 0}, 2), StatusCode::kDataLoss, "goes from site 2 on by 0");
  ExpectRefused(WithPayload({2, 10, 1, 0, 0, UINT32_MAX - 1, 10, 1, 0, 0}, 2), StatusCode::kDataLoss, "on by");
}

TEST_F(RecordDamageTest, ASnapshotOfASiteThatDoesNotExistIsDamage) {
  ExpectRefused(WithPayload({3, 10, 1, 0, 0}, 1), StatusCode::kDataLoss, "counts for site 3, which does not exist");
}

TEST_F(RecordDamageTest, ASymbolThatClaimsMoreThanItsRecordIsDamage) {
  for (auto claim : {+[](format::SymbolRecord& symbol) { symbol.location_count = UINT32_MAX; },
                     +[](format::SymbolRecord& symbol) { symbol.string_bytes = UINT32_MAX; }}) {
    RawRecording raw(Small());
    claim(raw.record<format::SymbolRecord>(TableKind::kSymbols));
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
