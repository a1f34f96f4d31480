// Traps between a preload and the allocator behind it.
#include <gtest/gtest.h>

#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"

namespace allocline::testing {
namespace {

TEST(AllocatorTraps, AProgramOf125BytesHasATotalOf125Bytes) {
  // No pool of libstdc++'s, no table of ours, nothing of the loader's.
  Recorded run = RecordExactly("traps/one_block");
  EXPECT_EQ(run.main().Total(), (Amount{125, 1, 125, 1}));
  EXPECT_EQ(run.main().recording().live_bytes(), 125);
  EXPECT_EQ(run.main().recording().peak_bytes(), 125);
}

TEST(AllocatorTraps, ThePeakOfOneThreadIsExact) {
  Recorded run = RecordUnharmed("traps/peak");
  EXPECT_EQ(run.main().recording().peak_bytes(), 1000000);
  EXPECT_EQ(run.main().recording().live_bytes(), 10);
}

TEST(AllocatorTraps, DlsymMayAllocateBeforeTheRealMallocIsKnown) {
  RecordUnharmed("traps/one_block", {.env = {{"LD_PRELOAD", TrapPath("lib_dlsym_allocates.so")}}});
  Recorded run = RecordUnharmed("traps/loads_deepbind", {.env = {{"LD_PRELOAD", TrapPath("lib_dlsym_allocates.so")}}});
  EXPECT_EQ(run.main().At("kept"), run.truth.at("kept"));
}

TEST(AllocatorTraps, TheDoubleFreeMessageOfGlibcStillAppears) {
  Recorded run = RecordUnharmed("traps/double_free");
  EXPECT_NE(run.outcome.err.find("double free"), std::string::npos) << run.outcome.err;
  EXPECT_EQ(run.outcome.Ending(), "signal 6 (Aborted)");
}

TEST(AllocatorTraps, AFreeOfWhatIsNoBlockIsStillReportedByGlibc) {
  Recorded run = RecordUnharmed("traps/invalid_free");
  EXPECT_EQ(run.outcome.Ending(), "signal 6 (Aborted)");
}

TEST(AllocatorTraps, BlocksOfUnseenCallsPassThroughUncounted) { RecordExactly("traps/foreign_blocks"); }

TEST(AllocatorTraps, CallsThatFailCountNothingAndErrnoIsAsUntraced) { RecordExactly("traps/calls_that_fail"); }

TEST(AllocatorTraps, ALibraryBoundPastThePreloadExchangesBlocksWithTheProgram) {
  Recorded run = RecordUnharmed("traps/loads_deepbind");
  EXPECT_EQ(run.main().At("kept"), run.truth.at("kept"));
}

TEST(AllocatorTraps, AProgramWithItsOwnMallocRunsOn) { RecordUnharmed("traps/own_malloc"); }

TEST(AllocatorTraps, AnotherAllocatorBehindUsIsNamedInTheRecording) {
  Recorded run = RecordUnharmed("callers", {.env = {{"LD_PRELOAD", TrapPath("lib_signal_safe_malloc.so")}}});
  EXPECT_THAT(run.main().UserLines(), ::testing::ContainerEq(run.truth));
  EXPECT_TRUE(run.main().recording().header().state & format::kStateNotGlibc);
  EXPECT_EQ(std::string(run.main().recording().header().allocator), TrapPath("lib_signal_safe_malloc.so"));
}

TEST(AllocatorTraps, ALibraryWithMuchStaticTlsCanStillBeLoaded) { RecordUnharmed("traps/loads_big_tls"); }

}  // namespace
}  // namespace allocline::testing
