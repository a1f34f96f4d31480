#include "report/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace allocline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kMiB = 1 << 20;

// 200 MiB resident, of a container of two processes that uses 250 MiB.
RecordedLedger Whole() {
  RecordedLedger ledger;
  format::LedgerRecord& figures = ledger.figures;
  figures.traced_bytes = 130 * kMiB;
  figures.untouched_bytes = 10 * kMiB;
  figures.heap_bytes = 140 * kMiB;
  figures.free_page_bytes = 12 * kMiB;
  figures.stack_bytes = 4 * kMiB;
  figures.stacks = 31;
  figures.mapped_by_code_bytes = 20 * kMiB;
  figures.unknown_bytes = kMiB;
  figures.module_data_bytes = 3 * kMiB;
  figures.own_private_bytes = kMiB;
  figures.own_map_bytes = 9 * kMiB;
  figures.own_recording_bytes = kMiB;
  figures.own_code_bytes = kMiB;
  figures.file_bytes = 18 * kMiB;
  figures.shared_bytes = 2 * kMiB;
  figures.anonymous_bytes = 178 * kMiB;
  figures.rss_bytes = 200 * kMiB;
  figures.processors = 2;
  figures.container_usage_bytes = 250 * kMiB;
  figures.container_limit_bytes = 256 * kMiB;
  figures.container_anonymous_bytes = 218 * kMiB;
  figures.container_file_bytes = 21 * kMiB;
  figures.container_shared_bytes = 2 * kMiB;
  figures.container_kernel_bytes = 6 * kMiB;
  ledger.items = {{.kind = format::LedgerItemKind::kMappedByCode, .bytes = 15 * kMiB, .path = "/usr/lib/libduckdb.so"},
                  {.kind = format::LedgerItemKind::kFile, .bytes = 16 * kMiB, .path = "/data/orders.bin"}};
  return ledger;
}

TEST(LedgerLineTest, ThePartsOfTheContainerAddUpAsTheyStand) {
  EXPECT_EQ(
      LedgerLine(Whole()),
      "container 250 MiB = 120 traced + 20 allocator slack + 4 stacks + 15 mapped by libduckdb.so + 5 mapped by other "
      "code + 3 data of modules + 10 allocline + 21 page cache + 6 kernel + 40 other processes + 3 unexplained + 3 "
      "other");
}

TEST(LedgerLineTest, WithoutAContainerTheyAreOfTheResidentSet) {
  RecordedLedger ledger = Whole();
  ledger.figures.flags |= format::kLedgerNoContainer;
  EXPECT_EQ(LedgerLine(ledger),
            "RSS 200 MiB = 120 traced + 20 allocator slack + 4 stacks + 15 mapped by libduckdb.so + 5 mapped by other "
            "code + 3 data of modules + 12 allocline + 18 mapped files + 2 shared memory + 1 other");
}

TEST(LedgerChangeLineTest, EachPartThatMovedIsThereWithItsSignAndSmallOnesAreOneSum) {
  RecordedLedger now = Whole();
  now.figures.traced_bytes += 50 * kMiB;
  now.figures.heap_bytes += 40 * kMiB;  // of which 10 MiB were slack before
  now.figures.anonymous_bytes += 40 * kMiB;
  now.figures.rss_bytes += 40 * kMiB;
  now.figures.stack_bytes += 4096;
  now.figures.anonymous_bytes += 4096;
  now.figures.rss_bytes += 4096;
  now.figures.container_anonymous_bytes += 40 * kMiB + 4096;
  now.figures.container_usage_bytes += 40 * kMiB + 4096;
  now.items[0].path = "/usr/lib/libarrow.so";
  EXPECT_EQ(LedgerChangeLine(now, Whole()),
            "container +40.0 MiB: traced +50.0 MiB, allocator slack -10.0 MiB, mapped by libarrow.so +15.0 MiB, mapped "
            "by libduckdb.so -15.0 MiB, other +4096 B");
  EXPECT_EQ(LedgerChangeLine(Whole(), Whole()), "container +0 B");
  RecordedLedger elsewhere = Whole();
  elsewhere.figures.flags |= format::kLedgerNoContainer;
  EXPECT_THAT(LedgerChangeLine(now, elsewhere), StartsWith("RSS +40.0 MiB: traced +50.0 MiB,"));
}

TEST(LedgerTableTest, ARowSaysWhatItConsistsOf) {
  const std::string table = LedgerTable(Whole(), "  ");
  EXPECT_THAT(table, HasSubstr("of 130 MiB live; 10.0 MiB of them not touched yet\n"));
  EXPECT_THAT(table, HasSubstr("12.0 MiB in whole free pages, which malloc_trim(0) gives back"));
  EXPECT_THAT(table, HasSubstr("31 stacks\n"));
  EXPECT_THAT(table, HasSubstr("orders.bin 16.0 MiB\n"));
  EXPECT_THAT(table, HasSubstr("\n  in all                           200 MiB    250 MiB\n"));
}

TEST(LedgerTableTest, NamesFromTheProcessCannotForgeALine) {
  RecordedLedger ledger = Whole();
  ledger.items[0].path = "/tmp/evil\n\x1b[2Jin all";
  EXPECT_THAT(LedgerTable(ledger, ""), Not(HasSubstr("\x1b")));
  EXPECT_THAT(LedgerTable(ledger, ""), Not(HasSubstr("evil\n")));
  EXPECT_THAT(LedgerLine(ledger), Not(HasSubstr("\n")));
}

TEST(LedgerViewTest, WhatIsOnlyAStockOfTheKernelIsNotUnexplained) {
  RecordedLedger ledger = Whole();
  ledger.figures.container_usage_bytes = 247 * kMiB + (300 << 10);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_EQ(view.rows.back().part, LedgerPart::kUnexplained);
  EXPECT_EQ(view.rows.back().container_bytes, 0);
  EXPECT_EQ(view.rows[view.rows.size() - 2].part, LedgerPart::kChargedAhead);
  EXPECT_EQ(view.rows[view.rows.size() - 2].container_bytes, 300 << 10);
}

TEST(LedgerViewTest, MemoryThatAnotherContainerIsChargedForIsTakenOff) {
  RecordedLedger ledger = Whole();
  ledger.figures.container_anonymous_bytes = 100 * kMiB;  // moved here after it had taken the rest
  ledger.figures.container_usage_bytes = 129 * kMiB;
  const LedgerView view = MakeLedgerView(ledger);
  int64_t elsewhere = 0;
  for (const LedgerRow& row : view.rows)
    elsewhere += row.part == LedgerPart::kChargedElsewhere ? row.container_bytes : 0;
  EXPECT_EQ(elsewhere, -78 * static_cast<int64_t>(kMiB));
  EXPECT_EQ(view.rows.back().container_bytes, 0);
  EXPECT_THAT(LedgerLine(ledger), HasSubstr(" - 78 charged to another container"));
}

TEST(LedgerViewTest, WhateverTheFiguresTheRowsAddUp) {
  std::mt19937_64 random(4711);
  for (int round = 0; round < 2000; ++round) {
    RecordedLedger ledger = Whole();
    // Any of them anything: a damaged file.
    auto* words = reinterpret_cast<uint64_t*>(&ledger.figures) + 4;
    const size_t count = sizeof(ledger.figures) / sizeof(uint64_t) - 4;
    for (int i = 0; i < 3; ++i) words[random() % count] = random() >> random() % 64;
    const LedgerView view = MakeLedgerView(ledger);
    int64_t rss = 0, container = 0;
    for (const LedgerRow& row : view.rows) {
      rss += row.rss_bytes;
      container += row.container_bytes;
    }
    const auto capped = [](uint64_t bytes) { return static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX / 64)); };
    EXPECT_EQ(rss, capped(view.rss_bytes));
    EXPECT_EQ(container, capped(*view.container_bytes));
    EXPECT_FALSE(LedgerLine(ledger).empty());
    EXPECT_FALSE(LedgerChangeLine(ledger, Whole()).empty());
    EXPECT_FALSE(LedgerTable(ledger, "").empty());
  }
}

}  // namespace
}  // namespace allocline
