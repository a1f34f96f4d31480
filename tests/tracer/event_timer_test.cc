// The choice of the events that are timed: a fair one.
#include "tracer/event_timer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace allocline {
namespace {

EventTimer TimerOf(uint32_t seed) {
  EventTimer timer{};
  timer.Start(seed);
  return timer;
}

TEST(EventTimerTest, FreesUntilAttentiveAreMoreThanNoneAndOfTheirMeanForAnyThread) {
  double sum = 0;
  constexpr uint32_t kThreads = 500, kTimes = 40;
  for (uint32_t seed = 0; seed < kThreads; ++seed) {
    EventTimer timer = TimerOf(seed);
    for (uint32_t i = 0; i < kTimes; ++i) {
      const int64_t frees = timer.FreesUntilAttentive();
      ASSERT_GE(frees, 1);
      ASSERT_LE(frees, 4095);
      sum += static_cast<double>(frees);
    }
  }
  // 20,000 of variance 4096^2 / 12: six standard deviations.
  EXPECT_NEAR(sum / (kThreads * kTimes), 2048, 50);
}

TEST(EventTimerTest, EachOfTheNextThirtyTwoEventsIsTimedAsOftenAsAnyOther) {
  std::array<int, 32> times{};
  EventTimer timer = TimerOf(4711);
  for (int i = 0; i < 32'000; ++i) {
    timer.BeAttentive();
    size_t passed = 0;
    while (!timer.IsNow()) ++passed;
    ASSERT_LT(passed, times.size());
    ++times[passed];
  }
  for (const int count : times) EXPECT_NEAR(count, 1000, 190);  // six standard deviations
}

TEST(EventTimerTest, AHandlerThatTookTheTurnDoesNotKeepTheThreadAttentive) {
  EventTimer timer = TimerOf(1);
  timer.BeAttentive();
  while (!timer.IsNow()) {
  }
  EXPECT_TRUE(timer.IsNow());
}

TEST(EventTimerTest, WhatAnEventTakesIsAddedUp) {
  uint64_t events = 0;
  int64_t ns = 0;
  for (int i = 0; i < 100; ++i) {
    EventTimer::Time(events, ns, [] {
      for (int k = 0; k < 1000; ++k) asm volatile("" ::: "memory");
    });
  }
  EXPECT_GT(events, 0);
  EXPECT_GT(ns, 0);
}

TEST(EventTimerTest, AnEventInWhichTheThreadDidNotRunIsLeftOut) {
  uint64_t events = 0;
  int64_t ns = 0;
  EventTimer::Time(events, ns, [] {
    const timespec nap = {.tv_sec = 0, .tv_nsec = 2'000'000};
    nanosleep(&nap, nullptr);
  });
  EXPECT_EQ(events, 0);
  EXPECT_EQ(ns, 0);
}

}  // namespace
}  // namespace allocline
