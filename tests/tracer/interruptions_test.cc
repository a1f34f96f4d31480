// The tracer interrupted in the middle of an allocation, at each of its instructions in turn, as no timer ever would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

using ::testing::_;
using ::testing::AllOf;
using ::testing::ContainerEq;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;
using ::testing::Pair;

Recorded Interrupted(const std::string& mode, int one_in) {
  Recorded run = Record("traps/interrupted_anywhere", {.args = {mode, std::to_string(one_in)},
                                                       .env = {{"LD_PRELOAD", TrapPath("lib_signal_safe_malloc.so")}},
                                                       .time_limit = std::chrono::seconds(150)});
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  return run;
}

// What threads of a process did themselves, and what it inherited.
Amount Sum(const Recording& recording, format::ThreadKind kind) {
  Amount sum;
  for (const RecordedThread& thread : recording.threads()) {
    if (thread.kind != kind) continue;
    for (const auto& [site, c] : thread.counters) {
      sum += {c.live_bytes(), c.live_blocks(), c.allocated_bytes, c.allocated_blocks};
    }
  }
  return sum;
}

TEST(InterruptionTest, AHandlerMayAllocateAtAnyInstruction) {
  Recorded run = Interrupted("allocate", 1);
  EXPECT_THAT(run.main().UserLines(), ContainerEq(run.truth));
  EXPECT_GT(run.main().recording().header().nested_events, 100);
}

TEST(InterruptionTest, AHandlerMayLeaveByLongjmpAtAnyInstruction) {
  Recorded run = Interrupted("leave", 1);
  EXPECT_EQ(run.main().At("after"), run.truth.at("after"));
  // The blocks of the interrupted calls themselves are lost to the program; they may be counted or not.
  EXPECT_THAT(run.main().At("interrupted").live_blocks,
              AllOf(Le(run.truth.at("interrupted").live_blocks),
                    Ge(run.truth.at("interrupted").live_blocks - run.truth.at("after").live_blocks)));
  EXPECT_EQ(run.main().recording().header().nested_events, 0) << "what came after was taken for an interruption";
}

TEST(InterruptionTest, AfterALongjmpNothingOfTheAbandonedStackIsTakenForTheNext) {
  Recorded run = Interrupted("leave", 1);
  const Recording& recording = run.main().recording();
  const std::vector<SiteCounters> counters = recording.Counters();
  std::map<size_t, int> depths;
  for (SiteId site = 1; site < counters.size(); ++site) {
    if (!counters[site].any() || counters[site].allocated_bytes != 10 * counters[site].allocated_blocks) continue;
    ++depths[recording.Stack(site).size()];
    // No two come the same way. With a caller of the abandoned stack in it, one would be taken for another.
    EXPECT_EQ(counters[site].allocated_blocks, 1);
  }
  const uint64_t blocks = run.truth.at("after").total_blocks;
  EXPECT_THAT(depths, ElementsAre(Pair(_, blocks - blocks / 2), Pair(_, blocks / 2)));
}

// Each child's recording: its own three blocks, and what it inherited.
void ExpectChildrenRecorded(const Recorded& run) {
  EXPECT_THAT(run.main().UserLines(), ContainerEq(run.truth));
  EXPECT_GT(run.processes.size(), 50);
  for (const RecordedProcess& process : run.processes) {
    if (process.pid() == run.main().pid()) continue;
    SCOPED_TRACE(process.file_name());
    // fork() may allocate on the child's behalf; and the interrupted block is inherited or not.
    const Amount own = Sum(process.recording(), format::ThreadKind::kThread);
    EXPECT_THAT(own.live_bytes, AllOf(Ge(3000), Le(3100)));
    EXPECT_THAT(own.live_blocks, AllOf(Ge(3), Le(4)));
    EXPECT_GE(Sum(process.recording(), format::ThreadKind::kInherited).live_blocks, 51);
  }
}

TEST(InterruptionTest, AtAnyInstructionACloneBeginsARecordingOfItsOwn) {
  ExpectChildrenRecorded(Interrupted("clone", 9));
}

TEST(InterruptionTest, AtAnyInstructionAForkBeginsARecordingOfItsOwn) {
  ExpectChildrenRecorded(Interrupted("fork", 9));
}

TEST(InterruptionTest, AHandlerOnAStackThatTheKernelDisarmedIsKnownToBeNested) {
  Recorded run = Record("traps/disarmed_stack", {.env = {{"ALLOCLINE_VERIFY", "1"}, {"ALLOCLINE_MMAP", "1"}}});
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  const Recording& recording = run.main().recording();
  EXPECT_GT(recording.header().verified_stacks, 100'000);
  EXPECT_EQ(recording.header().different_stacks, 0);
  EXPECT_THAT(recording.damage(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace allocline::testing
