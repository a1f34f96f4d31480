// What a Recording tells about a file that is well: stacks, modules, labels, totals.
#include "recording/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recording/builder.h"
#include "tests/recording/raw_recording.h"

namespace allocline {
namespace {

using format::TableKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

using Stack = std::vector<format::Frame>;

Recording Read(const RawRecording& raw) {
  absl::StatusOr<Recording> recording = raw.Parse();
  EXPECT_TRUE(recording.ok()) << recording.status();
  return *std::move(recording);
}
Recording Read(const RecordingBuilder& builder) { return Read(RawRecording(builder)); }

// ---------------------------------------------------------------- stacks

TEST(ReaderTest, AnUnknownSiteHasNoStack) {
  const Recording recording = Read(RecordingBuilder());
  EXPECT_THAT(recording.Stack(0), IsEmpty());
  EXPECT_THAT(recording.Stack(2), IsEmpty());
  EXPECT_THAT(recording.Stack(UINT32_MAX), IsEmpty());
}

TEST(ReaderTest, ASiteThatWasReservedButNotWrittenIsPassedOver) {
  RecordingBuilder builder;
  const SiteId unwritten = builder.AddSite(Stack{0x10});
  const SiteId written = builder.AddSite(Stack{0x20});
  RawRecording raw(builder);
  raw.record<format::SiteRecord>(TableKind::kSites, unwritten).node = 0;
  const Recording recording = Read(raw);
  EXPECT_THAT(recording.Stack(unwritten), IsEmpty());
  EXPECT_THAT(recording.Stack(written), ElementsAre(0x20));
  EXPECT_THAT(recording.damage(), IsEmpty());
}

TEST(ReaderTest, ANodeThatWasReservedButNotWrittenIsPassedOverIfNoSiteIsThere) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(Stack{0x10});
  RawRecording raw(builder);
  raw.head(TableKind::kNodes).used += 5 * sizeof(format::NodeRecord);
  const Recording recording = Read(raw);
  EXPECT_THAT(recording.Stack(site), ElementsAre(0x10));
  EXPECT_THAT(recording.nodes(), SizeIs(3 + 5));
}

// ---------------------------------------------------------------- modules

RecordedModule Module(const char* path, uint64_t start, uint64_t end, uint32_t generation = 0) {
  return {.start = start, .end = end, .generation = generation, .path = path};
}
format::Frame InGeneration(uint32_t generation, uint64_t address) {
  return address | (uint64_t{generation} << format::kGenerationShift);
}

TEST(ReaderTest, AFrameLiesInTheModuleOfItsCall) {
  RecordingBuilder builder;
  builder.AddModule(Module("second", 0x3000, 0x4000));
  builder.AddModule(Module("first", 0x1000, 0x2000));
  const Recording recording = Read(builder);
  const auto name = [&](format::Frame frame) {
    const RecordedModule* module = recording.FindModule(frame);
    return module == nullptr ? std::string("-") : module->path;
  };
  EXPECT_EQ(name(0x1000), "-");  // returns to the first byte: the call was before it
  EXPECT_EQ(name(0x1001), "first");
  EXPECT_EQ(name(0x2000), "first");  // the call is the last instruction of the module
  EXPECT_EQ(name(0x2001), "-");
  EXPECT_EQ(name(0x3001), "second");
  EXPECT_EQ(name(0x4001), "-");
  EXPECT_EQ(name(0), "-");
  EXPECT_EQ(name(format::MakeVirtualFrame(format::VirtualKind::kDomain, 0x1500)), "-");
}

TEST(ReaderTest, AnAddressUsedAgainBelongsToTheModuleOfItsGeneration) {
  RecordingBuilder builder;
  builder.AddModule(Module("unloaded", 0x1000, 0x2000, 0));
  builder.AddModule(Module("loaded later", 0x1800, 0x2800, 1));
  const Recording recording = Read(builder);
  EXPECT_EQ(recording.FindModule(InGeneration(0, 0x1900))->path, "unloaded");
  EXPECT_EQ(recording.FindModule(InGeneration(1, 0x1900))->path, "loaded later");
  EXPECT_EQ(recording.FindModule(InGeneration(1, 0x1100)), nullptr);
  EXPECT_EQ(recording.FindModule(InGeneration(2, 0x1900)), nullptr);
}

TEST(ReaderTest, AModuleRecordMayBeLongerThanWhatThisVersionKnows) {
  RecordingBuilder builder;
  builder.AddModule(Module("only", 0x1000, 0x2000));
  RawRecording raw(builder);
  raw.record<format::ModuleRecord>(TableKind::kModules).record_bytes += 16;
  raw.head(TableKind::kModules).used += 16;
  EXPECT_THAT(Read(raw).modules(), ElementsAre(Module("only", 0x1000, 0x2000)));
}

TEST(ReaderTest, ARecordThatIsStillWrittenEndsItsTable) {
  RecordingBuilder builder;
  builder.AddModule(Module("written", 0x1000, 0x2000));
  RawRecording raw(builder);
  raw.head(TableKind::kModules).used += 128;  // reserved, its tag still 0
  const Recording recording = Read(raw);
  EXPECT_THAT(recording.modules(), SizeIs(1));
  EXPECT_THAT(recording.damage(), IsEmpty());
}

// ---------------------------------------------------------------- labels

TEST(ReaderTest, ALabelUsedTwiceMeansTheLastSnapshot) {
  RecordingBuilder builder;
  for (const char* label : {"fetched", "stored", "fetched", "end"}) builder.AddSnapshot({.label = label});
  const Recording recording = Read(builder);
  EXPECT_EQ(recording.FindSnapshot("fetched").value(), 2u);
  EXPECT_EQ(recording.FindSnapshot("stored").value(), 1u);
}

TEST(ReaderTest, ALabelThatWasCutIsFoundByAllOfIt) {
  RecordingBuilder builder;
  builder.AddSnapshot({.label = "x"});
  builder.AddSnapshot({.label = std::string(5000, 'x')});
  EXPECT_EQ(Read(builder).FindSnapshot(std::string(10'000, 'x')).value_or(99), 1u);
}

TEST(ReaderTest, AnUnknownLabelIsAnsweredInAFewWordsHoweverManyThereAre) {
  RecordingBuilder builder;
  for (int i = 0; i < 2000; ++i) builder.AddSnapshot({.label = "page"});
  for (int i = 0; i < 50; ++i) builder.AddSnapshot({.label = std::string(1000, 'x') + std::to_string(i)});
  const std::string message(Read(builder).FindSnapshot(std::string(10'000, 'y')).status().message());
  EXPECT_LT(message.size(), 3000u);
  EXPECT_THAT(message, HasSubstr("'page', 'xxx"));
  EXPECT_THAT(message, HasSubstr(" and 31 others"));
}

TEST(ReaderTest, AnUnknownLabelIsAnsweredWithTheKnownOnes) {
  RecordingBuilder builder;
  builder.AddSnapshot({.label = "fetched"});
  builder.AddSnapshot({.label = "stored"});
  const absl::Status unknown = Read(builder).FindSnapshot("fetch").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("'fetched', 'stored'"));
  EXPECT_THAT(std::string(Read(RecordingBuilder()).FindSnapshot("x").status().message()), HasSubstr("none"));
}

TEST(ReaderTest, CountersAtASnapshotThatIsNotThereAreThoseOfTheLast) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(Stack{0x10});
  builder.AddSnapshot({.label = "only", .growth = {{site, {5, 1, 0, 0}}}});
  const Recording recording = Read(builder);
  EXPECT_EQ(recording.CountersAt(7), recording.CountersAt(0));
}

// ---------------------------------------------------------------- counters

TEST(ReaderTest, ChunksOfOneThreadAndGroupAddUp) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(Stack{0x10});
  builder.AddThread({.name = "first", .counters = {{site, {100, 1, 0, 0}}}});
  builder.AddThread({.name = "second", .counters = {{site, {10, 1, 4, 1}}}});
  RawRecording raw(builder);
  raw.record<format::ChunkOwner>(TableKind::kChunkOwners, 1).thread_plus_one = 1;  // both are the first thread's
  const Recording recording = Read(raw);
  EXPECT_THAT(recording.threads()[0].counters, ElementsAre(Pair(site, SiteCounters{110, 2, 4, 1})));
  EXPECT_THAT(recording.threads()[1].counters, IsEmpty());
}

TEST(ReaderTest, AChunkReservedButNotOwnedYetIsPassedOver) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(Stack{0x10});
  builder.AddThread({.counters = {{site, {100, 1, 0, 0}}}});
  RawRecording raw(builder);
  raw.head(TableKind::kCounters).used += sizeof(format::CounterChunk);
  const Recording recording = Read(raw);
  EXPECT_EQ(recording.live_bytes(), 100u);
  EXPECT_THAT(recording.damage(), IsEmpty());
}

TEST(ReaderTest, AThreadReservedButNotWrittenIsNoThread) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(Stack{0x10});
  builder.AddThread({.name = "unwritten"});
  builder.AddThread({.name = "written", .counters = {{site, {100, 1, 0, 0}}}});
  RawRecording raw(builder);
  raw.record<format::ThreadRecord>(TableKind::kThreads, 0).kind = 0;
  const Recording recording = Read(raw);
  ASSERT_THAT(recording.threads(), SizeIs(1));
  EXPECT_EQ(recording.threads()[0].name, "written");
  EXPECT_THAT(recording.threads()[0].counters, ElementsAre(Pair(site, SiteCounters{100, 1, 0, 0})));
}

TEST(ReaderTest, AThreadNameMayFillItsFieldWithoutAnEnd) {
  RecordingBuilder builder;
  builder.AddThread({.name = "sixteen letters!"});
  EXPECT_EQ(Read(builder).threads()[0].name, "sixteen letters!");
}

TEST(ReaderTest, ASiteFreedByMoreThanItAllocatedIsNegative) {
  // Only kOverflowSite: it takes the frees of blocks that another site allocated.
  RecordingBuilder builder;
  builder.AddThread({.counters = {{format::kOverflowSite, {10, 1, 25, 3}}}});
  const Recording recording = Read(builder);
  EXPECT_EQ(recording.Counters()[format::kOverflowSite].live_bytes(), -15);
  EXPECT_EQ(recording.Counters()[format::kOverflowSite].live_blocks(), -2);
  EXPECT_EQ(recording.live_bytes(), 0u);
}

// ---------------------------------------------------------------- timeline

TEST(ReaderTest, PointsOfTheTimelineAreInTheOrderOfTheirTime) {
  RecordingBuilder builder;
  for (const uint64_t time : {30, 10, 20, 10}) builder.AddTimelinePoint({.monotonic_ns = time, .live_bytes = time * 2});
  const Recording recording = Read(builder);
  std::vector<uint64_t> times;
  for (const TimelinePoint& point : recording.timeline()) {
    times.push_back(point.monotonic_ns);
    EXPECT_EQ(point.live_bytes, point.monotonic_ns * 2);
  }
  EXPECT_THAT(times, ElementsAre(10, 10, 20, 30));
}

TEST(ReaderTest, APointThatIsBeingWrittenIsPassedOver) {
  RecordingBuilder builder;
  for (const uint64_t time : {10, 20, 30}) builder.AddTimelinePoint({.monotonic_ns = time});
  RawRecording raw(builder);
  raw.record<format::TimelineRecord>(TableKind::kTimeline, 1).sequence = 0;
  const Recording recording = Read(raw);
  ASSERT_THAT(recording.timeline(), SizeIs(2));
  EXPECT_EQ(recording.timeline()[0].monotonic_ns, 10);
  EXPECT_EQ(recording.timeline()[1].monotonic_ns, 30);
  EXPECT_THAT(recording.damage(), IsEmpty());
}

// ---------------------------------------------------------------- snapshots

TEST(ReaderTest, ASnapshotWithoutATailIsOneThatTheProgramAskedFor) {
  RecordingBuilder builder;
  builder.AddSnapshot({.label = "limit-90%", .kind = format::SnapshotKind::kRung});
  RawRecording raw(builder);
  EXPECT_EQ(Read(raw).snapshots()[0].kind, format::SnapshotKind::kRung);
  raw.record<format::SnapshotRecord>(TableKind::kSnapshots).record_bytes -= sizeof(format::SnapshotTail);
  raw.head(TableKind::kSnapshots).used -= sizeof(format::SnapshotTail);  // as versions before 1.3 wrote it
  EXPECT_EQ(Read(raw).snapshots()[0].kind, format::SnapshotKind::kLabelled);
  EXPECT_EQ(Read(raw).snapshots()[0].label, "limit-90%");
}

// ---------------------------------------------------------------- ledgers

RecordedLedger SomeLedger(uint64_t rss_bytes) {
  RecordedLedger ledger;
  ledger.figures.rss_bytes = rss_bytes;
  ledger.figures.free_page_bytes = format::kNotCounted;
  ledger.items = {{.kind = format::LedgerItemKind::kMappedByCode, .bytes = 7, .path = "/lib/libpool.so"},
                  {.kind = format::LedgerItemKind::kFile, .bytes = 9, .path = ""},
                  {.kind = format::LedgerItemKind::kFile, .bytes = 8, .path = "/data/12345678"}};
  return ledger;
}

TEST(ReaderTest, ALedgerIsReadAsItWasWritten) {
  RecordingBuilder builder;
  builder.SetLedger(SomeLedger(1000));
  builder.AddSnapshot({.label = "with", .ledger = SomeLedger(500)});
  builder.AddSnapshot({.label = "without"});
  const Recording recording = Read(builder);
  ASSERT_TRUE(recording.ledger().has_value());
  EXPECT_EQ(recording.ledger()->figures.rss_bytes, 1000);
  EXPECT_EQ(recording.ledger()->figures.free_page_bytes, format::kNotCounted);
  EXPECT_EQ(recording.ledger()->items, SomeLedger(1000).items);
  ASSERT_TRUE(recording.snapshots()[0].ledger.has_value());
  EXPECT_EQ(recording.snapshots()[0].ledger->figures.rss_bytes, 500);
  EXPECT_EQ(recording.snapshots()[0].ledger->items, SomeLedger(500).items);
  EXPECT_FALSE(recording.snapshots()[1].ledger.has_value());
  EXPECT_EQ(Read(RecordingBuilder(recording)).ledger(), recording.ledger());
  EXPECT_EQ(Read(RecordingBuilder(recording)).snapshots(), recording.snapshots());
}

TEST(ReaderTest, OfALedgerWithMoreThanThereIsRoomForThePartThatFitsIsKept) {
  RecordedLedger ledger = SomeLedger(1000);
  ledger.items.resize(format::kMaxLedgerItems + 5);
  ledger.items[0].path = std::string(1000, 'd') + "/end";
  RecordingBuilder builder;
  builder.SetLedger(ledger);
  const Recording recording = Read(builder);
  ASSERT_THAT(recording.ledger()->items, SizeIs(format::kMaxLedgerItems));
  EXPECT_EQ(recording.ledger()->items[0].path, std::string(format::kMaxLedgerPathBytes - 4, 'd') + "/end");
  EXPECT_EQ(Read(RecordingBuilder(recording)).ledger(), recording.ledger());
}

TEST(ReaderTest, ALedgerThatIsBeingWrittenIsNone) {
  RecordingBuilder builder;
  builder.SetLedger(SomeLedger(1000));
  RawRecording raw(builder);
  raw.record<format::LedgerRecord>(TableKind::kLedger).sequence = 0;
  EXPECT_FALSE(Read(raw).ledger().has_value());
}

// ---------------------------------------------------------------- totals

struct Totals {
  uint64_t live_bytes;
  uint64_t peak_bytes;
  bool operator==(const Totals&) const = default;
};
void PrintTo(const Totals& totals, std::ostream* out) {
  *out << "live " << totals.live_bytes << ", peak " << totals.peak_bytes;
}

// Two threads, and 100 bytes live by the counters of the first.
class TotalsTest : public testing::Test {
 protected:
  TotalsTest() : raw_(Made()) {}

  static RecordingBuilder Made() {
    RecordingBuilder builder;
    const SiteId site = builder.AddSite(Stack{0x10});
    builder.AddThread({.counters = {{site, {300, 3, 200, 2}}}});
    builder.AddThread({});
    return builder;
  }
  format::ThreadRecord& thread(size_t index) { return raw_.record<format::ThreadRecord>(TableKind::kThreads, index); }
  Totals Read() {
    const Recording recording = allocline::Read(raw_);
    return {recording.live_bytes(), recording.peak_bytes()};
  }

  RawRecording raw_;
};

TEST_F(TotalsTest, LiveIsWhatTheCountersSayToTheEvent) {
  raw_.header().live_bytes = 80;
  thread(0).pending_bytes = 15;  // killed between the two stores of a flush: 5 are in neither
  EXPECT_EQ(Read().live_bytes, 100u);
}

TEST_F(TotalsTest, LiveIsFlushedPlusUnflushedIfTheCountersAreNotAllThere) {
  raw_.header().live_bytes = 80;
  thread(0).pending_bytes = 25;
  thread(1).pending_bytes = -5;
  raw_.bytes().resize(raw_.extent(TableKind::kCounters).file_offset);
  EXPECT_EQ(Read().live_bytes, 100u);
}

TEST_F(TotalsTest, LiveIsNeverBelowZero) {
  raw_.header().live_bytes = 10;
  thread(0).pending_bytes = -25;
  raw_.bytes().resize(raw_.extent(TableKind::kCounters).file_offset);
  EXPECT_EQ(Read().live_bytes, 0u);
}

TEST_F(TotalsTest, ThePeakIsTheOneRecordedIfNoThreadHasAHigherOne) {
  raw_.header().live_bytes = 100;
  raw_.header().peak_bytes = 1000;
  thread(0).pending_peak = 900;
  EXPECT_EQ(Read(), (Totals{100, 1000}));
}

TEST_F(TotalsTest, AThreadThatHasNotFlushedItsPeakRaisesIt) {
  raw_.header().live_bytes = 100;
  raw_.header().peak_bytes = 1000;
  thread(0).pending_peak = 950;
  thread(1).pending_peak = 940;
  EXPECT_EQ(Read(), (Totals{100, 1050}));
}

TEST_F(TotalsTest, APeakFromBeforeTheLastResetDoesNotCount) {
  raw_.header().live_bytes = 100;
  raw_.header().peak_bytes = 120;
  raw_.header().peak_epoch = 3;
  thread(0).pending_peak = 950;
  thread(0).peak_epoch = 2;
  EXPECT_EQ(Read(), (Totals{100, 120}));
  thread(0).peak_epoch = 3;
  EXPECT_EQ(Read(), (Totals{100, 1050}));
}

TEST_F(TotalsTest, ThePeakIsNeverBelowWhatIsLive) { EXPECT_EQ(Read(), (Totals{100, 100})); }

TEST_F(TotalsTest, NumbersThatCannotBeDoNotOverflow) {
  raw_.header().live_bytes = UINT64_MAX;
  thread(0).pending_bytes = INT64_MIN;
  thread(0).pending_peak = INT64_MAX;
  thread(1).pending_bytes = INT64_MIN;
  raw_.bytes().resize(raw_.extent(TableKind::kCounters).file_offset);
  Read();  // whatever it says: the sanitizer says no word
}

TEST(ReaderTest, TextsOfTheHeaderAlwaysEnd) {
  RawRecording raw{RecordingBuilder()};
  memset(raw.header().program, 'p', sizeof(raw.header().program));
  memset(raw.header().host, 'h', sizeof(raw.header().host));
  memset(raw.header().allocator, 'a', sizeof(raw.header().allocator));
  const Recording recording = Read(raw);
  EXPECT_EQ(std::string(recording.header().program), std::string(255, 'p'));
  EXPECT_EQ(std::string(recording.header().host), std::string(63, 'h'));
  EXPECT_EQ(std::string(recording.header().allocator), std::string(127, 'a'));
}

}  // namespace
}  // namespace allocline
