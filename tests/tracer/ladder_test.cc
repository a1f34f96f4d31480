// The ladder: which rungs a reading passes, and when the next reading is due.
#include "tracer/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/ladder_text.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kLimit = 256 * kMebibyte;
constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kStart = 1000 * kSecond;

class LadderTest : public testing::Test {
 protected:
  LadderTest() { Make("50,70,80,90,95", false); }

  void Make(const char* rungs, bool with_top) {
    uint8_t percents[format::kMaxRungs];
    ASSERT_TRUE(ParseLadder(rungs, percents));
    ladder_.Init(percents, with_top, kStart);
  }
  // The percents that a reading of `mebibytes` passes.
  std::vector<uint32_t> At(uint64_t mebibytes, uint64_t limit = kLimit) {
    now_ += kSecond;
    const uint32_t passed =
        ladder_.Read(mebibytes * kMebibyte, limit, static_cast<int64_t>(mebibytes * kMebibyte), now_, spent_);
    std::vector<uint32_t> percents;
    for (uint32_t i = 0; i <= Ladder::kTop; ++i) {
      if ((passed >> i & 1) != 0) percents.push_back(ladder_.percent(i));
    }
    return percents;
  }
  bool IsDue(uint64_t mebibytes, uint64_t after_ns = 0) const {
    return ladder_.IsDue(static_cast<int64_t>(mebibytes * kMebibyte), now_ + after_ns);
  }

  Ladder ladder_;
  uint64_t now_ = kStart;
  uint64_t spent_ = 0;
};

// ---------------------------------------------------------------- which

TEST_F(LadderTest, InAnotherGroupEachRungIsPassedAnewAlsoIfItIsFullAlready) {
  At(10);
  EXPECT_THAT(At(190), ElementsAre(50, 70));
  ladder_.StartOver();
  EXPECT_THAT(At(100, 128 * kMebibyte), ElementsAre(50, 70));
  EXPECT_THAT(At(110, 128 * kMebibyte), ElementsAre(80));
}

TEST_F(LadderTest, EachRungIsPassedOnceOnTheWayUp) {
  EXPECT_THAT(At(10), IsEmpty());
  EXPECT_THAT(At(127), IsEmpty());
  EXPECT_THAT(At(128), ElementsAre(50));
  EXPECT_THAT(At(129), IsEmpty());
  EXPECT_THAT(At(180), ElementsAre(70));
  EXPECT_THAT(At(205), ElementsAre(80));
  EXPECT_THAT(At(231), ElementsAre(90));
  EXPECT_THAT(At(244), ElementsAre(95));
  EXPECT_THAT(At(256), IsEmpty());
  EXPECT_THAT(At(400), IsEmpty());
}

TEST_F(LadderTest, ALeapPassesAllRungsBetween) {
  EXPECT_THAT(At(10), IsEmpty());
  EXPECT_THAT(At(240), ElementsAre(50, 70, 80, 90));
}

TEST_F(LadderTest, WhatTheContainerHeldBeforeTheProcessBeganPassesNothing) {
  EXPECT_THAT(At(200), IsEmpty());
  EXPECT_THAT(At(210), ElementsAre(80));
}

TEST_F(LadderTest, SwingsAroundARungPassItOnce) {
  At(10);
  EXPECT_THAT(At(130), ElementsAre(50));
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(At(110), IsEmpty());  // not a tenth of the limit below
    EXPECT_THAT(At(135), IsEmpty());
  }
  EXPECT_THAT(At(100), IsEmpty());
  EXPECT_THAT(At(130), ElementsAre(50));
}

TEST_F(LadderTest, WildSwingsPassARungFourTimes) {
  std::vector<uint32_t> all;
  for (int i = 0; i < 1000; ++i) {
    At(10);
    for (const uint32_t percent : At(250)) all.push_back(percent);
  }
  EXPECT_EQ(all.size(), 5u * Ladder::kMostTimes);
  EXPECT_EQ(std::count(all.begin(), all.end(), 95), Ladder::kMostTimes);
}

TEST_F(LadderTest, ALimitThatIsLoweredWhileTheProcessRunsPassesWhatIsNowBelowTheUsage) {
  At(10);
  EXPECT_THAT(At(100), IsEmpty());
  EXPECT_THAT(At(100, 128 * kMebibyte), ElementsAre(50, 70));
}

TEST_F(LadderTest, WithoutALimitNothingIsPassedAndNothingIsDue) {
  EXPECT_THAT(At(100, 0), IsEmpty());
  EXPECT_THAT(At(10'000, 0), IsEmpty());
  EXPECT_FALSE(IsDue(1 << 20, 1000 * kSecond));
  EXPECT_EQ(ladder_.room(), INT64_MAX);
}

TEST_F(LadderTest, ALimitThatComesLaterIsClimbedFromThere) {
  At(150, 0);
  EXPECT_THAT(At(150), IsEmpty());
  EXPECT_THAT(At(200), ElementsAre(70));
}

TEST_F(LadderTest, AnEmulatedLimitIsARungItself) {
  Make("90", true);
  At(10);
  EXPECT_THAT(At(240), ElementsAre(90));
  EXPECT_THAT(At(255), IsEmpty());
  EXPECT_THAT(At(256), ElementsAre(100));
  EXPECT_THAT(At(300), IsEmpty());
}

TEST_F(LadderTest, AProcessThatBeginsAboveAnEmulatedLimitIsAtIt) {
  Make("off", true);
  EXPECT_THAT(At(300), ElementsAre(100));
}

TEST_F(LadderTest, AChildBeginsAnew) {
  At(10);
  EXPECT_THAT(At(130), ElementsAre(50));
  ladder_.InitAfterFork(now_);
  EXPECT_THAT(At(140), IsEmpty());
  EXPECT_THAT(At(190), ElementsAre(70));
}

// ---------------------------------------------------------------- when

TEST_F(LadderTest, TheNearerTheRungTheSoonerItIsLookedAtAgain) {
  At(28);  // 100 MiB below the first rung
  EXPECT_FALSE(IsDue(28 + 49));
  EXPECT_TRUE(IsDue(28 + 51));
  At(108);
  EXPECT_FALSE(IsDue(108 + 9));
  EXPECT_TRUE(IsDue(108 + 11));
}

// Grows by what a thread publishes at a time, and is read when that is due.
TEST_F(LadderTest, ASteadyRiseIsReadFewTimesAndEachRungIsSeenWithinAFiveHundredthOfTheLimit) {
  uint64_t readings = 0, usage = 1 * kMebibyte;
  std::vector<std::pair<uint32_t, uint64_t>> seen;
  ladder_.Read(usage, kLimit, static_cast<int64_t>(usage), now_, 0);
  for (; usage < kLimit; usage += 64 << 10) {
    now_ += 30'000;  // 64 KiB at 2 GiB/s
    if (!ladder_.IsDue(static_cast<int64_t>(usage), now_)) continue;
    ++readings;
    const uint32_t passed = ladder_.Read(usage, kLimit, static_cast<int64_t>(usage), now_, readings * 20'000);
    for (uint32_t i = 0; i < Ladder::kTop; ++i) {
      if ((passed >> i & 1) != 0) seen.emplace_back(ladder_.percent(i), usage);
    }
  }
  ASSERT_EQ(seen.size(), 5u);
  for (const auto& [percent, at] : seen) {
    EXPECT_GE(at, kLimit / 100 * percent);
    EXPECT_LE(at, kLimit / 100 * percent + kLimit / 500 + (64 << 10)) << percent;
  }
  EXPECT_LT(readings, 60u);
}

TEST_F(LadderTest, GrowthThatIsNotOursIsLookedForNowAndThen) {
  At(100);
  EXPECT_FALSE(IsDue(100, kSecond / 10));
  EXPECT_TRUE(IsDue(100, kSecond / 4));
  At(124);  // near the rung
  EXPECT_TRUE(IsDue(124, kSecond / 10));
}

TEST_F(LadderTest, ARequestOfHalfOfWhatIsLeftIsLookedAt) {
  At(156);  // 100 MiB are left
  EXPECT_FALSE(ladder_.IsDueFor(49 * kMebibyte, now_));
  EXPECT_TRUE(ladder_.IsDueFor(51 * kMebibyte, now_));
  EXPECT_EQ(ladder_.room(), 100 * static_cast<int64_t>(kMebibyte));
  At(300);
  EXPECT_TRUE(ladder_.IsDueFor(1, now_));
}

TEST_F(LadderTest, ReadingsTakeAThousandthOfTheTime) {
  now_ = kStart + 9 * kSecond;  // At() makes it ten
  spent_ = 4'000'000;
  At(100);
  EXPECT_TRUE(IsDue(200));
  spent_ = 5'000'000 + 20'000'000;  // as if 20 s had passed
  At(100);
  EXPECT_FALSE(IsDue(200));
  EXPECT_FALSE(IsDue(200, 8 * kSecond));
  EXPECT_TRUE(IsDue(200, 10 * kSecond));
}

TEST_F(LadderTest, AClockThatWasSetBackDoesNotForbidReadingsForLong) {
  now_ = kStart + 999 * kSecond;
  spent_ = 5'000'000 + 900'000'000;  // within a thousandth of the 1000 s
  At(100);
  EXPECT_TRUE(IsDue(200));
  now_ -= 900 * kSecond;
  At(100);
  EXPECT_TRUE(IsDue(200));
}

// ---------------------------------------------------------------- as text

TEST(LadderTextTest, ALadderIsAListOfPercents) {
  const auto rungs = [](const char* text) {
    uint8_t percents[format::kMaxRungs];
    if (!ParseLadder(text, percents)) return std::vector<int>{-1};
    std::vector<int> list;
    for (const uint8_t percent : percents) {
      if (percent != 0) list.push_back(percent);
    }
    return list;
  };
  EXPECT_THAT(rungs(kDefaultLadderText), ElementsAre(50, 70, 80, 90, 95));
  EXPECT_THAT(rungs("95,1,50,50"), ElementsAre(1, 50, 95));
  EXPECT_THAT(rungs("99"), ElementsAre(99));
  EXPECT_THAT(rungs("off"), IsEmpty());
  EXPECT_EQ(rungs("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16").size(), 16u);
  for (const char* wrong : {"", ",", "0", "100", "-1", "50,", ",50", "50 70", "50%", "offf", "0x10", "050,1234", "nan",
                            "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"}) {
    EXPECT_THAT(rungs(wrong), ElementsAre(-1)) << wrong;
  }
}

}  // namespace
}  // namespace allocline
