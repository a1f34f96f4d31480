// Programs of known truth give exactly those bytes and blocks at exactly those lines: at -O0 and -O2, by g++ and by
// clang++. A line of the program with a byte too many, too few or without a marker fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/record.h"

namespace allocline::testing {
namespace {

using ::testing::ContainerEq;

// Every compiler and optimisation records the truth, and the program behaves as it does untraced.
void ExpectExact(const std::string& program, RecordOptions options = {}, size_t processes = 1) {
  ASSERT_FALSE(Variants().empty());
  for (const std::string& variant : Variants()) {
    SCOPED_TRACE(program + " by " + variant);
    options.variant = variant;
    Outcome untraced = RunUntraced(program, options);
    Recorded run = Record(program, options);
    EXPECT_EQ(run.outcome.Ending(), untraced.Ending());
    EXPECT_EQ(run.outcome.out, untraced.out);
    EXPECT_EQ(run.outcome.err, untraced.err);
    EXPECT_EQ(untraced.err, "");
    ASSERT_FALSE(run.truth.empty());
    EXPECT_THAT(run.main().UserLines(), ContainerEq(run.truth));
    EXPECT_EQ(run.processes.size(), processes);
  }
}

TEST(ExactnessTest, BlocksOfEverySizeCountTheBytesAskedFor) { ExpectExact("malloc_sizes"); }
TEST(ExactnessTest, ABlockBelongsToItsLastRealloc) { ExpectExact("realloc_chain"); }
TEST(ExactnessTest, CallocCountsTheProductAndAnOverflowNothing) { ExpectExact("calloc_family"); }
TEST(ExactnessTest, AlignedBlocksCountTheBytesAskedFor) { ExpectExact("aligned_family"); }
TEST(ExactnessTest, EveryFormOfOperatorNewIsCountedOnce) { ExpectExact("operator_new"); }
TEST(ExactnessTest, OperatorNewStillAsksTheNewHandler) { ExpectExact("new_handler"); }
TEST(ExactnessTest, AnOperatorNewOfTheProgramIsNotTheUsersLine) { ExpectExact("replaced_new"); }
TEST(ExactnessTest, AnInlinedAllocatorIsAttributedAsIfItWereNot) { ExpectExact("inlined_allocator"); }
TEST(ExactnessTest, AGrowingVectorIsChargedToTheLineThatPushes) { ExpectExact("vector_growth"); }
TEST(ExactnessTest, NodesOfContainersAreChargedToTheLineThatInserts) { ExpectExact("containers"); }
TEST(ExactnessTest, AShortStringAllocatesNothingAndALongOneItsLength) { ExpectExact("strings"); }
TEST(ExactnessTest, MakeSharedIsOneBlock) { ExpectExact("shared_pointers"); }
TEST(ExactnessTest, OneAllocatingLineSumsUpAllItsCallers) { ExpectExact("callers"); }
TEST(ExactnessTest, StacksDeeperThanTheLimitKeepNumbersAndInnermostLine) { ExpectExact("deep_recursion"); }
TEST(ExactnessTest, AFunctionThatRealignsItsStackIsEnteredFromAnyHeight) { ExpectExact("realigned_frames"); }
TEST(ExactnessTest, WhatLibcAllocatesIsChargedToTheLineThatCallsIt) { ExpectExact("libc_callers"); }
TEST(ExactnessTest, BlocksBeforeAndAfterMainCount) { ExpectExact("static_lifetime"); }
TEST(ExactnessTest, ExceptionsFlyThroughAllocatingFrames) { ExpectExact("exceptions"); }
TEST(ExactnessTest, LongJumpsOverAllocatingFramesLoseNothing) { ExpectExact("long_jumps"); }
TEST(ExactnessTest, CoroutinesAllocateWhereverTheyAreResumed) { ExpectExact("coroutines"); }
TEST(ExactnessTest, FibersOnRecycledStacksAreExact) { ExpectExact("fibers"); }
TEST(ExactnessTest, ThreadsAtTheSameLinesAddUp) { ExpectExact("threads"); }
TEST(ExactnessTest, ABlockFreedByAnotherThreadIsFreedAtTheLineThatAllocated) { ExpectExact("cross_thread_free"); }
TEST(ExactnessTest, BlocksOutliveTheirThreads) { ExpectExact("thread_lifetimes"); }
TEST(ExactnessTest, DestructorsOfDyingThreadsAllocateAndFree) { ExpectExact("thread_destructors"); }
TEST(ExactnessTest, C11ThreadsAreTracedToo) { ExpectExact("c11_threads"); }
TEST(ExactnessTest, ThreadsMadeByCloneAreTracedToo) { ExpectExact("raw_clone_thread"); }
TEST(ExactnessTest, SignalHandlersMayAllocate) { ExpectExact("signals"); }
TEST(ExactnessTest, AVforkChildAllocatesInItsParent) { ExpectExact("vfork_child", {}, /*processes=*/2); }
TEST(ExactnessTest, UnderscoreExitLosesNothing) { ExpectExact("leaves_by_underscore_exit"); }
TEST(ExactnessTest, AbortLosesNothing) { ExpectExact("aborts"); }
TEST(ExactnessTest, UnloadedCodeKeepsItsBlocksWhenAnotherLibraryTakesItsPlace) {
  ExpectExact("plugins", {.libraries = {"plugin_a", "plugin_b"}});
}

TEST(ExactnessTest, AnonymousMappingsAreADomainOfTheirOwn) {
  ExpectExact("anonymous_maps", {.env = {{"ALLOCLINE_MMAP", "1"}}});
}

TEST(ExactnessTest, AnonymousMappingsAreNotCountedUnlessAskedFor) {
  Recorded run = Record("anonymous_maps");
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.err;
  EXPECT_EQ(run.main().UserLines(), Lines{});
}

TEST(ExactnessTest, AForkedChildStartsWithItsParentsBlocksAndTheParentKeepsItsOwn) {
  for (const std::string& variant : Variants()) {
    SCOPED_TRACE(variant);
    Recorded run = Record("fork_frees", {.variant = variant});
    ASSERT_TRUE(run.outcome.ok()) << run.outcome.err;
    EXPECT_THAT(run.main().UserLines(),
                ContainerEq(Lines{{"before", run.truth.at("before")}, {"parent", run.truth.at("parent")}}));
    const RecordedProcess& child = run.other();
    EXPECT_EQ(child.recording().header().parent_pid, run.main().pid());
    // What the parent had freed before the fork is not the child's: only the live blocks were inherited.
    EXPECT_THAT(
        child.UserLines(),
        ContainerEq(Lines{{"before", {.live_bytes = 600, .live_blocks = 6, .total_bytes = 1000, .total_blocks = 10}},
                          {"child", run.truth.at("child")}}));
  }
}

TEST(ExactnessTest, EachImageOfAProcessThatExecsIsCountedOnItsOwn) {
  for (const std::string& variant : Variants()) {
    SCOPED_TRACE(variant);
    Recorded run = Record("exec_self", {.variant = variant});
    ASSERT_TRUE(run.outcome.ok()) << run.outcome.err;
    ASSERT_EQ(run.processes.size(), 2);
    EXPECT_THAT(run.processes[0].UserLines(), ContainerEq(Lines{{"first_image", run.truth.at("first_image")}}));
    EXPECT_THAT(run.processes[1].UserLines(), ContainerEq(Lines{{"second_image", run.truth.at("second_image")}}));
    EXPECT_EQ(run.processes[0].pid(), run.processes[1].pid());
    EXPECT_NE(run.processes[0].file_name(), run.processes[1].file_name());
  }
}

TEST(ExactnessTest, EachThreadsShareIsItsOwn) {
  for (const std::string& variant : Variants()) {
    SCOPED_TRACE(variant);
    auto threads = Record("threads", {.variant = variant}).main().UserLinesByThread();
    for (int i = 0; i < 4; ++i) {
      int64_t bytes = 10000 * (i + 1);
      Lines expected = {{"kept", {bytes, 10000, static_cast<uint64_t>(bytes), 10000}}, {"gone", {0, 0, 495000, 10000}}};
      EXPECT_THAT(threads["worker-" + std::to_string(i)], ContainerEq(expected)) << i;
    }
  }
}

TEST(ExactnessTest, TheInnermostLineOfAVectorIsInALibstdcxxHeader) {
  Recorded run = Record("vector_growth", {.variant = Variants().front()});
  EXPECT_EQ(run.main().InnermostLines().count("growth"), 0);
  EXPECT_EQ(run.main().InnermostLines().count("object"), 1);  // `new` stands in the program itself
}

}  // namespace
}  // namespace allocline::testing
