// Memory that the unwinder relies on: what was added is held for ever, and little else is.
#include "tracer/relied_on_memory.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace allocline {
namespace {

constexpr uintptr_t kUnit = uintptr_t{64} << 10;

class ReliedOnMemoryTest : public ::testing::Test {
 protected:
  const std::unique_ptr<ReliedOnMemory> memory_ = std::make_unique<ReliedOnMemory>();
};

TEST_F(ReliedOnMemoryTest, ARangeIsHeldIfItTouchesTheSurroundingsOfWhatWasAdded) {
  constexpr uintptr_t kStack = 0x7f12'3456'7000;
  memory_->Add(kStack);
  EXPECT_TRUE(memory_->MayHold(kStack, 1));
  EXPECT_TRUE(memory_->MayHold(kStack - 4096, 8192));
  EXPECT_TRUE(memory_->MayHold(kStack - (1 << 20), 4 << 20));
  EXPECT_FALSE(memory_->MayHold(kStack + kUnit, 1 << 20));
  EXPECT_FALSE(memory_->MayHold(kStack - kUnit - (1 << 20), 1 << 20));
  EXPECT_FALSE(memory_->MayHold(0x5555'0000'0000, 1 << 20));
}

TEST_F(ReliedOnMemoryTest, ItAgreesWithASetOfUnits) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::set<uintptr_t> units;
  for (int i = 0; i < 1000; ++i) {
    const uintptr_t address = 0x7f00'0000'0000 + random() % (uintptr_t{1} << 32);
    memory_->Add(address);
    units.insert(address / kUnit);
  }
  int held = 0;
  for (int i = 0; i < 10'000; ++i) {
    const uintptr_t start = 0x7f00'0000'0000 + random() % (uintptr_t{1} << 32);
    const size_t bytes = 1 + random() % (8 * kUnit);
    const auto first = units.lower_bound(start / kUnit);
    const bool expected = first != units.end() && *first <= (start + bytes - 1) / kUnit;
    ASSERT_EQ(memory_->MayHold(start, bytes), expected) << std::hex << start << " " << bytes;
    held += expected;
  }
  EXPECT_GT(held, 100);
  EXPECT_LT(held, 9'900);
}

TEST_F(ReliedOnMemoryTest, WhenItIsFullAllMemoryIsHeld) {
  EXPECT_FALSE(memory_->MayHold(0x1234'0000'0000, 4096));
  for (uintptr_t unit = 0; unit < 100'000; ++unit) memory_->Add(0x7f00'0000'0000 + unit * kUnit);
  EXPECT_TRUE(memory_->MayHold(0x1234'0000'0000, 4096));
  EXPECT_TRUE(memory_->MayHold(0x7f00'0000'0000 + 99'999 * kUnit, 4096));
}

TEST_F(ReliedOnMemoryTest, WhatIsTooLargeToLookAtOrNoRangeIsHeld) {
  EXPECT_TRUE(memory_->MayHold(0x1234'0000'0000, size_t{1} << 40));
  EXPECT_TRUE(memory_->MayHold(0x1234'0000'0000, ~size_t{0}));
}

TEST_F(ReliedOnMemoryTest, WordsThatAreNoAddressesOfAProgramDoNotFillIt) {
  for (uintptr_t word = 0; word < 100'000; ++word) {
    memory_->Add(word % kUnit);
    memory_->Add(~uintptr_t{0} - word * kUnit);
  }
  EXPECT_FALSE(memory_->MayHold(0x7f00'0000'0000, 1 << 20));
}

TEST_F(ReliedOnMemoryTest, ThreadsAddAtOnceAndNothingIsLost) {
  std::vector<std::thread> threads;
  for (uintptr_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (uintptr_t unit = 0; unit < 300; ++unit) {
        memory_->Add(0x7f00'0000'0000 + (unit * 4 + thread) * kUnit);
        memory_->Add(0x7e00'0000'0000 + unit * kUnit);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uintptr_t unit = 0; unit < 1200; ++unit) EXPECT_TRUE(memory_->MayHold(0x7f00'0000'0000 + unit * kUnit, 1));
  for (uintptr_t unit = 0; unit < 300; ++unit) EXPECT_TRUE(memory_->MayHold(0x7e00'0000'0000 + unit * kUnit, 1));
  EXPECT_FALSE(memory_->MayHold(0x7d00'0000'0000, 1));
}

}  // namespace
}  // namespace allocline
