#include "report/thread_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace allocline {
namespace {

using ::testing::ElementsAre;

// Blocks are of one byte here unless a test says otherwise.
ThreadCounters Thread(uint32_t thread, uint64_t allocated, uint64_t freed) {
  return {thread, {allocated, allocated, freed, freed}};
}
std::vector<int64_t> LiveBytes(const ThreadSplit& split) {
  std::vector<int64_t> bytes;
  for (const ThreadShare& share : split.shares) bytes.push_back(share.live_bytes);
  return bytes;
}

TEST(ThreadSplitTest, AThreadsOwnFreesAreItsOwn) {
  ThreadSplit split = SplitByThread({Thread(1, 600, 100), Thread(2, 200, 200)});
  EXPECT_THAT(LiveBytes(split), ElementsAre(500, 0));
  EXPECT_FALSE(split.exact) << "they may have freed each other's blocks";
}

TEST(ThreadSplitTest, FreesOfOthersAreSpreadInProportionToWhatIsLeft) {
  EXPECT_THAT(LiveBytes(SplitByThread({Thread(1, 600, 0), Thread(2, 200, 0), Thread(3, 0, 300)})),
              ElementsAre(375, 125, 0));
}

TEST(ThreadSplitTest, WhereOneThreadAllocatesTheSplitIsExact) {
  ThreadSplit split = SplitByThread({Thread(1, 600, 0), Thread(2, 0, 250), Thread(3, 0, 50)});
  EXPECT_THAT(LiveBytes(split), ElementsAre(300, 0, 0));
  EXPECT_TRUE(split.exact);
}

TEST(ThreadSplitTest, WhereNothingWasFreedTheSplitIsExact) {
  ThreadSplit split = SplitByThread({Thread(1, 6, 0), Thread(2, 5, 0)});
  EXPECT_THAT(LiveBytes(split), ElementsAre(6, 5));
  EXPECT_TRUE(split.exact);
}

TEST(ThreadSplitTest, FreesBeyondAllAllocationsStayWithTheThreadThatFreed) {
  EXPECT_THAT(LiveBytes(SplitByThread({Thread(1, 10, 0), Thread(2, 0, 15)})), ElementsAre(0, -5));
}

TEST(ThreadSplitTest, BytesAndBlocksAreSplitEachByThemselvesAndTotalsAreTheThreadsOwn) {
  ThreadSplit split = SplitByThread({{1, {1000, 10, 0, 0}}, {2, {1000, 40, 0, 0}}, {3, {0, 0, 1000, 25}}});
  EXPECT_EQ(split.shares[0].live_bytes, 500);
  EXPECT_EQ(split.shares[0].live_blocks, 5);
  EXPECT_EQ(split.shares[1].live_bytes, 500);
  EXPECT_EQ(split.shares[1].live_blocks, 20);
  EXPECT_EQ(split.shares[1].total_bytes, 1000u);
  EXPECT_EQ(split.shares[1].total_blocks, 40u);
}

TEST(ThreadSplitTest, TheSharesAlwaysAddUpToTheSiteAndNoneIsNegativeWithoutNeed) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::vector<ThreadCounters> threads(1 + random() % 6);
    int64_t live = 0;
    for (uint32_t i = 0; i < threads.size(); ++i) {
      uint64_t scale = round % 2 ? 20 : uint64_t{1} << 50;
      threads[i] = Thread(i, random() % scale, random() % scale);
      live += threads[i].counters.live_bytes();
    }
    int64_t sum = 0;
    for (int64_t bytes : LiveBytes(SplitByThread(threads))) {
      sum += bytes;
      if (live >= 0) {
        EXPECT_GE(bytes, 0) << "round " << round;
      }
    }
    ASSERT_EQ(sum, live) << "round " << round;
  }
}

}  // namespace
}  // namespace allocline
