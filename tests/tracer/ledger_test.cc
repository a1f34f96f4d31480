#include "tracer/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/tracer/recording_fixture.h"

namespace allocline {
namespace {

using format::LedgerItemKind;
using format::LedgerRecord;
using testing::WrittenRecording;

constexpr uint64_t kMiB = 1 << 20;

// Of the process that the test is. It has no malloc of ours below it, so the pointer map is filled by hand.
class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() { ledger_.Init(&recording_.writer()); }

  Ledger::Question Question() {
    return {.blocks = nullptr,
            .mappings = mappings_.get(),
            .cgroup = &no_cgroup_,
            .allocator = 0,
            .traced_bytes = 0,
            .outside_heap_bytes = 0,
            .python_arena_bytes = 0,
            .python_live_bytes = 0,
            .own_private_bytes = 0};
  }
  RecordedLedger Read(const Ledger::Question& question) {
    EXPECT_TRUE(ledger_.Read(question));
    const Recording recording = recording_.Read();
    if (!recording.ledger()) throw std::runtime_error("no ledger");
    return *recording.ledger();
  }
  RecordedLedger ReadFake(const std::string& smaps) {
    const std::string path = recording_.directory() / "smaps";
    std::ofstream(path, std::ios::trunc) << smaps;
    Ledger::Question question = Question();
    question.smaps = path.c_str();
    return Read(question);
  }

  WrittenRecording recording_;
  Ledger ledger_;
  std::unique_ptr<MappingTable> mappings_ = std::make_unique<MappingTable>();
  Cgroup no_cgroup_;
};

uint64_t SumOfParts(const LedgerRecord& figures) {
  return figures.heap_bytes + figures.stack_bytes + figures.module_data_bytes + figures.mapped_by_code_bytes +
         figures.unknown_bytes + figures.file_bytes + figures.shared_bytes + figures.own_private_bytes +
         figures.own_map_bytes + figures.own_recording_bytes + figures.own_code_bytes;
}

TEST_F(LedgerTest, EveryResidentPageIsInOnePart) {
  const RecordedLedger ledger = Read(Question());
  EXPECT_GT(ledger.figures.rss_bytes, kMiB);
  EXPECT_EQ(SumOfParts(ledger.figures), ledger.figures.rss_bytes);
  EXPECT_GT(ledger.figures.own_recording_bytes, 0);
  EXPECT_GT(ledger.figures.own_private_bytes, 0) << "the pages that it reads into";
  EXPECT_EQ(ledger.figures.flags & format::kLedgerNoRegions, 0);
  EXPECT_NE(ledger.figures.flags & format::kLedgerNoContainer, 0);
}

TEST_F(LedgerTest, WhatCodeMappedIsOfItsObjectEvenWhereNeighboursWereJoined) {
  auto* pages =
      static_cast<char*>(mmap(nullptr, 16 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  madvise(pages, 16 * kMiB, MADV_NOHUGEPAGE);
  // One region; the first quarter of it is known to be mapped by the test, and of that the half is touched.
  memset(pages, 1, 2 * kMiB);
  memset(pages + 8 * kMiB, 1, kMiB);
  const RecordedLedger before = Read(Question());
  mappings_->OnMap(reinterpret_cast<uintptr_t>(pages), 4 * kMiB, reinterpret_cast<uintptr_t>(&SumOfParts) + 1);
  const RecordedLedger after = Read(Question());
  EXPECT_EQ(after.figures.mapped_by_code_bytes, 2 * kMiB);
  EXPECT_NEAR(static_cast<double>(before.figures.heap_bytes - after.figures.heap_bytes), 2 * kMiB, 256 << 10);
  ASSERT_FALSE(after.items.empty());
  EXPECT_EQ(after.items[0].kind, LedgerItemKind::kMappedByCode);
  EXPECT_EQ(after.items[0].bytes, 2 * kMiB);
  EXPECT_THAT(after.items[0].path, ::testing::EndsWith("/ledger_test"));
  munmap(pages, 16 * kMiB);
}

TEST_F(LedgerTest, TheNewerOfTwoSlotsIsRead) {
  for (uint64_t i = 1; i <= 5; ++i) {
    Ledger::Question question = Question();
    question.traced_bytes = 1000 * i;
    const RecordedLedger ledger = Read(question);
    EXPECT_EQ(ledger.figures.traced_bytes, 1000 * i);
  }
  EXPECT_EQ(recording_.writer().used(format::TableKind::kLedger), 2 * format::kLedgerSlotBytes);
}

TEST_F(LedgerTest, WithoutSmapsThereAreSums) {
  Ledger::Question question = Question();
  question.smaps = "/proc/self/no-such-file";
  question.traced_bytes = 1 << 20;
  question.own_private_bytes = 64 << 10;
  const RecordedLedger ledger = Read(question);
  EXPECT_NE(ledger.figures.flags & format::kLedgerNoRegions, 0);
  EXPECT_GT(ledger.figures.rss_bytes, kMiB);
  EXPECT_EQ(SumOfParts(ledger.figures), ledger.figures.rss_bytes);
  EXPECT_EQ(ledger.figures.own_private_bytes, 64 << 10);
  EXPECT_EQ(ledger.figures.free_page_bytes, format::kNotCounted);
}

TEST_F(LedgerTest, GarbageInSmapsIsNoRegion) {
  for (const std::string& text : {std::string("garbage\n"), std::string(1000, '\0'), std::string(50'000, '-')}) {
    EXPECT_NE(ReadFake(text).figures.flags & format::kLedgerNoRegions, 0) << text.substr(0, 10);
  }
}

TEST_F(LedgerTest, ARegionThatClaimsMoreThanItHasChangesNoOther) {
  const RecordedLedger ledger = ReadFake(
      "1000-2000 rw-p 00000000 00:00 0 \nRss: 1125899906842623 kB\nAnonymous: 4 kB\nVmFlags: rd wr\n"
      "3000-4000 rw-p 00000000 00:00 0 [heap]\nRss: 4 kB\nAnonymous: 4 kB\nVmFlags: rd wr\n"
      "5000-6000 rw-p 00000000 00:00 0 [stack]\nRss: 4 kB\nVmFlags: rd wr\n"
      "7000-8000 rw-p 00000000 fe:00 7 /lib/x.so\nRss: 4 kB\nAnonymous: 8 kB\nVmFlags: rd wr\n");
  EXPECT_EQ(ledger.figures.brk_bytes, 4096);
  EXPECT_EQ(ledger.figures.stack_bytes, 4096);
  EXPECT_EQ(ledger.figures.module_data_bytes, 4096);
  EXPECT_EQ(ledger.figures.file_bytes, 0);
  EXPECT_EQ(SumOfParts(ledger.figures), ledger.figures.rss_bytes);
}

TEST_F(LedgerTest, WhatLiesRightBehindAFileIsItsData) {
  const RecordedLedger ledger = ReadFake(
      "10000-11000 rw-p 00000000 fe:00 7 /lib/x.so\nRss: 4 kB\nAnonymous: 4 kB\nVmFlags: rd wr\n"
      "11000-13000 rw-p 00000000 00:00 0 \nRss: 8 kB\nAnonymous: 8 kB\nVmFlags: rd wr\n"
      "20000-21000 rw-p 00000000 fe:00 8 /lib/liballocline.so\nRss: 4 kB\nAnonymous: 4 kB\nVmFlags: rd wr\n"
      "21000-22000 rw-p 00000000 00:00 0 \nRss: 4 kB\nAnonymous: 4 kB\nVmFlags: rd wr\n");
  EXPECT_EQ(ledger.figures.module_data_bytes, 12 << 10);
  EXPECT_EQ(ledger.figures.own_code_bytes, 8 << 10);
  ASSERT_EQ(ledger.items.size(), 1);
  EXPECT_EQ(ledger.items[0].kind, LedgerItemKind::kModuleData);
  EXPECT_EQ(ledger.items[0].path, "/lib/x.so");
  EXPECT_EQ(ledger.items[0].bytes, 12 << 10);
}

TEST_F(LedgerTest, ABlockThatIsOnItsWayIsNotTouchedYet) {
  const std::string path = recording_.directory() / "smaps";
  std::ofstream(path) << "3000-803000 rw-p 00000000 00:00 0 [heap]\nRss: 4096 kB\nAnonymous: 4096 kB\nVmFlags: rd wr\n";
  Ledger::Question question = Question();
  question.smaps = path.c_str();
  question.traced_bytes = 10 * kMiB;
  question.arriving_bytes = 7 * kMiB;
  EXPECT_EQ(Read(question).figures.untouched_bytes, 7 * kMiB);
  question.traced_bytes = 13 * kMiB;  // and of the others 2 MiB are not resident
  EXPECT_EQ(Read(question).figures.untouched_bytes, 9 * kMiB);
  question.traced_bytes = 5 * kMiB;
  EXPECT_EQ(Read(question).figures.untouched_bytes, 5 * kMiB);
}

TEST_F(LedgerTest, TheLargestFilesAreNamedByTheEndOfTheirPath) {
  std::string smaps;
  for (int i = 0; i < 10; ++i) {
    smaps += std::to_string(1 + i) + "000-" + std::to_string(1 + i) + "fff r--s 00000000 fe:00 " +
             std::to_string(10 + i) + " /" + std::string(300, 'd') + "/file" + std::to_string(i) +
             "\nRss: " + std::to_string(4 * (1 + i % 7)) + " kB\nAnonymous: 0 kB\n";
  }
  const RecordedLedger ledger = ReadFake(smaps);
  std::vector<std::string> names;
  for (const RecordedLedger::Item& item : ledger.items) {
    EXPECT_EQ(item.kind, LedgerItemKind::kFile);
    EXPECT_EQ(item.path.size(), format::kMaxLedgerPathBytes);
    names.push_back(item.path.substr(item.path.rfind('/') + 1));
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("file3", "file4", "file5", "file6"));
}

}  // namespace
}  // namespace allocline
