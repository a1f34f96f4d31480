// The peak of a process with one thread is exact, however small it is and whatever interrupts its publication.
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

TEST(PeakTest, APeakBelowWhatAThreadPublishesAtATimeIsExact) {
  Recorded run = Record("traps/small_peak");
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.err;
  EXPECT_EQ(run.main().recording().peak_bytes(), 50'000);
  EXPECT_EQ(run.main().recording().live_bytes(), 0);
}

TEST(PeakTest, AHandlerThatPublishesInTheMiddleOfAPublicationIsNotCountedTwice) {
  // At each instruction in turn, a handler takes a little, and publishes with it what the interrupted call is about to.
  constexpr uint64_t kBytes = 200'000;
  constexpr uint64_t kLittle = 100;
  Recorded run = Record("traps/interrupted_anywhere",
                        {.args = {"peak", "1"}, .env = {{"LD_PRELOAD", TrapPath("lib_signal_safe_malloc.so")}}});
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  const Recording& recording = run.main().recording();
  EXPECT_GE(recording.peak_bytes(), kBytes);
  EXPECT_LE(recording.peak_bytes(), kBytes + kLittle + recording.live_bytes() + recording.header().peak_slack_bytes);
}

}  // namespace
}  // namespace allocline::testing
