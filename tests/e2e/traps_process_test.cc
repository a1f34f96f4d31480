// Traps of processes: fork and its relatives, threads at odd moments, signals, identity.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"

namespace allocline::testing {
namespace {

using ::testing::ContainerEq;

TEST(ProcessTraps, SignalsMayInterruptTheTracerAnywhereAndAllocate) {
  Recorded run = Record("traps/async_signals", {.env = {{"LD_PRELOAD", TrapPath("lib_signal_safe_malloc.so")}}});
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  EXPECT_THAT(run.main().UserLines(), ContainerEq(run.truth));
}

TEST(ProcessTraps, ThreadsWithTheSmallestStackAllocate) { RecordExactly("traps/small_stacks"); }

// In each situation of traps/stack_use, the most that an allocation took.
std::map<std::string, int> StackUse(const Outcome& outcome) {
  EXPECT_TRUE(outcome.ok()) << outcome.Ending() << outcome.err;
  std::map<std::string, int> most;
  std::istringstream lines(outcome.out);
  std::string situation;
  for (int bytes = 0; lines >> situation >> bytes;) most[situation] = std::max(most[situation], bytes);
  return most;
}

TEST(ProcessTraps, AnAllocationTakesLittleMoreOfTheStackItIsMadeOnAndAHandlerNeedsNoLargerOne) {
  const std::string program = TrapPath("stack_use");
  const std::map<std::string, int> untraced = StackUse(RunProgram({.argv = {program}}));
  ASSERT_EQ(untraced.size(), 5);
  for (const auto& [name, value] : {std::pair("ALLOCLINE_VERIFY", "0"), std::pair("ALLOCLINE_SAMPLE", "512K"),
                                    std::pair("ALLOCLINE_VERIFY", "1")}) {
    const std::map<std::string, int> traced =
        StackUse(RecordCommand({.argv = {program}, .env = {{name, value}}}).outcome);
    for (const auto& [situation, bytes] : untraced) {
      EXPECT_LE(traced.at(situation), bytes + 2048) << situation << " with " << name << "=" << value;
    }
  }
}

TEST(ProcessTraps, ForkWhileOtherThreadsAllocateHangsNobody) {
  Recorded run = RecordUnharmed("traps/fork_storm");
  std::set<uint32_t> pids;
  for (const RecordedProcess& process : run.processes) {
    pids.insert(process.pid());
    if (process.pid() == run.main().pid()) continue;
    EXPECT_EQ(process.At("in_child"), run.truth.at("in_child")) << process.file_name();
    EXPECT_EQ(process.recording().header().parent_pid, run.main().pid());
  }
  EXPECT_EQ(pids.size(), 31);
  EXPECT_EQ(run.main().At("in_child"), Amount{});
}

TEST(ProcessTraps, AProcessMadeByCloneDoesNotCountIntoItsParent) {
  Recorded run = RecordUnharmed("traps/raw_fork");
  EXPECT_THAT(run.main().UserLines(),
              ContainerEq(Lines{{"before", run.truth.at("before")}, {"after", run.truth.at("after")}}));
}

TEST(ProcessTraps, AProcessThatWipesItsEnvironmentAndMovesAwayStillRecordsItsChildren) {
  Recorded run = RecordUnharmed("traps/wipes_environment");
  EXPECT_EQ(run.processes.size(), 2);
  EXPECT_EQ(run.other().Total().live_bytes, run.main().Total().live_bytes + 100);
}

TEST(ProcessTraps, ARelativeOutputDirectoryIsTheOneOfTheStart) {
  Recorded run;
  Command command = {.argv = {TrapPath("wipes_environment")}, .directory = run.directory.path()};
  command.env = TracingEnvironment(".");
  Outcome outcome = RunProgram(command);
  EXPECT_TRUE(outcome.ok()) << outcome.err;
  EXPECT_EQ(RecordingsIn(run.directory.path()).size(), 2);
}

TEST(ProcessTraps, ExitWhileThreadsStillAllocate) {
  for (int i = 0; i < 20; ++i) {
    Recorded run = RecordUnharmed("traps/exits_among_threads");
    EXPECT_EQ(run.main().At("kept"), run.truth.at("kept"));
  }
}

TEST(ProcessTraps, MallocDoesNotBecomeACancellationPoint) { RecordExactly("traps/cancelled_thread"); }

TEST(ProcessTraps, AProcessThatCannotOpenFilesAnyMoreRunsOn) {
  Recorded run = RecordUnharmed("traps/sandboxed");
  EXPECT_EQ(run.main().At("before"), run.truth.at("before"));
  EXPECT_GE(run.main().Total().total_blocks, 20001);  // what has no room for its stack is counted all the same
}

TEST(ProcessTraps, AProcessThatChangesItsRootIsRecordedToItsEnd) {
  if (geteuid() != 0) GTEST_SKIP() << "chroot needs root";
  TempDir empty;
  RecordExactly("traps/changes_identity", {.args = {"chroot", empty.path()}});
}

TEST(ProcessTraps, AProcessThatChangesItsUserIsRecordedToItsEnd) {
  if (geteuid() != 0) GTEST_SKIP() << "setuid needs root";
  RecordExactly("traps/changes_identity", {.args = {"setuid", "-"}});
}

TEST(ProcessTraps, AFramePointerThatIsASmallNumberEndsTheStack) {
  // Under verification libunwind follows it too, as it does wherever our own rows do not suffice.
  Recorded run = RecordExactly("traps/wrong_frame_pointer", {.env = {{"ALLOCLINE_VERIFY", "1"}}});
  EXPECT_GT(run.main().recording().header().verified_stacks, 0);
  EXPECT_EQ(run.main().recording().header().different_stacks, 0);
}

}  // namespace
}  // namespace allocline::testing
