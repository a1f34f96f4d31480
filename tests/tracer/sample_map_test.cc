// The map of live samples tells them apart from all other blocks, also where many are in one page, and on many threads.
#include "tracer/sample_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>
#include <vector>

namespace allocline {
namespace {

constexpr uintptr_t kHeap = 0x5555'0000'0000;

class SampleMapTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(map_.Init()); }

  void Insert(uintptr_t address, SampledBlock sample) {
    SampledBlock replaced;
    ASSERT_TRUE(map_.Insert(address, sample, &replaced));
    EXPECT_EQ(replaced.site, 0);
  }

  SampleMap map_;
};

TEST_F(SampleMapTest, ASampleIsFoundWithAllThatIsKeptOfIt) {
  Insert(kHeap + 64, {.site = 77, .bytes = 12345, .rounding = kBytesUp | kBlocksUp});
  EXPECT_TRUE(map_.MayHold(kHeap + 64));
  EXPECT_FALSE(map_.MayHold(kHeap + 4096));
  EXPECT_EQ(map_.Find(kHeap + 64).bytes, 12345);
  EXPECT_EQ(map_.Find(kHeap + 72).site, 0) << "inside the block";
  const SampledBlock taken = map_.Take(kHeap + 64);
  EXPECT_EQ(taken.site, 77);
  EXPECT_EQ(taken.bytes, 12345);
  EXPECT_EQ(taken.rounding, kBytesUp | kBlocksUp);
  EXPECT_FALSE(map_.MayHold(kHeap + 64));
  EXPECT_EQ(map_.Take(kHeap + 64).site, 0);
}

TEST_F(SampleMapTest, APageIsClearAgainWhenItsLastSampleIsGone) {
  for (uintptr_t at = 0; at < 4096; at += 32) Insert(kHeap + at, {.site = 5, .bytes = 24});
  for (uintptr_t at = 0; at < 4096; at += 32) {
    EXPECT_TRUE(map_.MayHold(kHeap));
    EXPECT_EQ(map_.Take(kHeap + at).site, 5);
  }
  EXPECT_FALSE(map_.MayHold(kHeap));
}

TEST_F(SampleMapTest, APageFullOfSamplesLosesNone) {
  // 256, as allocators with blocks of 16 bytes have them: more than its byte counts.
  for (uintptr_t at = 0; at < 4096; at += 16) Insert(kHeap + at, {.site = 5, .bytes = 16});
  for (uintptr_t at = 0; at < 4096; at += 16) {
    ASSERT_TRUE(map_.MayHold(kHeap + at)) << at;
    EXPECT_EQ(map_.Take(kHeap + at).site, 5);
  }
}

TEST_F(SampleMapTest, PagesThatShareAByteAreNotMistaken) {
  constexpr uintptr_t kFar = kHeap + (uintptr_t{16} << 30);
  Insert(kHeap, {.site = 5, .bytes = 100});
  EXPECT_TRUE(map_.MayHold(kFar)) << "perhaps";
  EXPECT_EQ(map_.Take(kFar).site, 0) << "but no";
  EXPECT_EQ(map_.Take(kHeap).site, 5);
}

TEST_F(SampleMapTest, WhatStoodThereIsGivenBack) {
  Insert(kHeap, {.site = 5, .bytes = 100});
  SampledBlock replaced;
  ASSERT_TRUE(map_.Insert(kHeap, {.site = 6, .bytes = 200}, &replaced));
  EXPECT_EQ(replaced.site, 5);
  EXPECT_EQ(map_.Take(kHeap).site, 6);
  EXPECT_FALSE(map_.MayHold(kHeap)) << "counted once";
}

TEST_F(SampleMapTest, AMarkedRangeIsAskedAboutForEver) {
  map_.Mark(kHeap + 100, 5000);
  EXPECT_TRUE(map_.MayHold(kHeap));
  EXPECT_TRUE(map_.MayHold(kHeap + 4096));
  EXPECT_FALSE(map_.MayHold(kHeap + 8192));
  Insert(kHeap, {.site = 5, .bytes = 100});
  map_.Take(kHeap);
  EXPECT_TRUE(map_.MayHold(kHeap));
}

TEST_F(SampleMapTest, BlocksThatDoNotFitAreRefused) {
  SampledBlock replaced;
  EXPECT_TRUE(map_.Insert(kHeap, {.site = 5, .bytes = SampleMap::kMaxBytes}, &replaced));
  EXPECT_EQ(map_.Take(kHeap).bytes, SampleMap::kMaxBytes);
  EXPECT_FALSE(map_.Insert(kHeap, {.site = 5, .bytes = SampleMap::kMaxBytes + 1}, &replaced));
  EXPECT_FALSE(map_.Insert(uintptr_t{1} << 48, {.site = 5, .bytes = 1}, &replaced));
}

TEST_F(SampleMapTest, AgreesWithAModel) {
  std::mt19937_64 random(3);
  std::map<uintptr_t, uint64_t> model;
  for (int i = 0; i < 200'000; ++i) {
    const uintptr_t address = kHeap + random() % 4096 * 48;
    if (address % 16 != 0) continue;
    if (model.contains(address)) {
      EXPECT_EQ(map_.Take(address).bytes, model[address]);
      model.erase(address);
    } else {
      EXPECT_EQ(map_.Take(address).site, 0);
      if (random() % 2 == 0) Insert(address, {.site = 9, .bytes = model[address] = random() % 100'000});
    }
  }
  uint64_t left = 0;
  map_.TakeAll([&](const SampledBlock&) { ++left; });
  EXPECT_EQ(left, model.size());
  for (uintptr_t page = kHeap; page < kHeap + 4096 * 48; page += 4096) EXPECT_FALSE(map_.MayHold(page));
}

TEST_F(SampleMapTest, ThreadsThatShareAPageLoseNothing) {
  constexpr int kThreads = 4, kRounds = 20'000;
  std::vector<std::thread> threads;
  std::atomic<int> lost{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // Every fourth block of the same page.
      for (int i = 0; i < kRounds; ++i) {
        const uintptr_t address = kHeap + static_cast<uintptr_t>((i * kThreads + t) % 128) * 32;
        SampledBlock replaced;
        if (!map_.Insert(address, {.site = 5, .bytes = 24}, &replaced)) lost += 1;
        if (!map_.MayHold(address) || map_.Take(address).site != 5) lost += 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lost, 0);
  EXPECT_FALSE(map_.MayHold(kHeap));
}

}  // namespace
}  // namespace allocline
