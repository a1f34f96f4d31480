// What torture.py does, traced and untraced, on every CPython of this machine: the same output and the same end, in
// time, and a recording that opens without damage. A version that is not here is named by the test it skips.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "recording/reader.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"
#include "tests/support/record.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using Environment = std::map<std::string, std::string>;

class TortureTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    pythons_ = PythonsOf(GetParam());
    if (pythons_.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
  }

  // In take_gil() CPython 3.10 reads its interpreter before it looks whether the thread is to exit. A daemon thread
  // that waits there while the interpreter is deleted crashes, traced or not: one run in a hundred. That is tried
  // again.
  static Outcome RunAgainIfItCrashes(const Command& command, const std::string& part) {
    Outcome outcome = RunProgram(command);
    for (int again = 0; again < 2 && part == "daemons" && GetParam() == 10; ++again) {
      if (outcome.Ending() != "signal 11 (Segmentation fault)") break;
      outcome = RunProgram(command);
    }
    return outcome;
  }

  // Gives the recording of the interpreter that was started.
  std::vector<Recording> ExpectUnharmed(const Python& python, const std::string& part, const Environment& env = {},
                                        const std::vector<std::string>& options = {}) {
    SCOPED_TRACE(fmt::format("{} {}", python.path, part));
    Command command = {.argv = {python.path, "-B", "-W", "ignore"}, .env = env};
    command.argv.insert(command.argv.end(), options.begin(), options.end());
    command.argv.insert(command.argv.end(), {SourceDir() + "/tests/python/torture.py", part});
    const Outcome untraced = RunAgainIfItCrashes(command, part);
    const TempDir directory;
    command.env = TracingEnvironment(directory.path(), env);
    const Outcome traced = RunAgainIfItCrashes(command, part);
    EXPECT_EQ(traced.Ending(), untraced.Ending());
    EXPECT_EQ(traced.out, untraced.out);
    EXPECT_EQ(traced.err, untraced.err);
    std::vector<Recording> recordings;
    for (const std::string& path : RecordingsIn(directory.path())) {
      auto recording = Recording::Open(path);
      EXPECT_TRUE(recording.ok()) << recording.status();
      if (!recording.ok()) continue;
      for (const std::string& damage : recording->damage()) ADD_FAILURE() << path << ": " << damage;
      if (recording->header().pid == static_cast<uint32_t>(traced.pid)) recordings.push_back(*std::move(recording));
    }
    EXPECT_FALSE(recordings.empty());
    return recordings;
  }
  void ExpectUnharmed(const std::string& part, const Environment& env = {},
                      const std::vector<std::string>& options = {}) {
    for (const Python& python : pythons_) {
      for (const Recording& recording : ExpectUnharmed(python, part, env, options)) {
        EXPECT_NE(recording.header().python_state & format::kPythonTraced, 0);
        EXPECT_EQ(recording.header().python_state & format::kPythonBadLayout, 0);
      }
    }
  }

  std::vector<Python> pythons_;
};

INSTANTIATE_TEST_SUITE_P(Python3, TortureTest, ::testing::Range(kFirstPythonMinor, kLastPythonMinor + 1),
                         [](const auto& test) { return fmt::format("_{}", test.param); });

TEST_P(TortureTest, ThreadsCompileAndRunCodeThatDies) { ExpectUnharmed("exec"); }
TEST_P(TortureTest, ProcessesForkInALoopBesideThreadsThatAllocate) { ExpectUnharmed("fork"); }
TEST_P(TortureTest, AProcessRunsMuchNewCodeBeforeItsForkedChildHasBegun) {
  ExpectUnharmed("late_child", {{"LD_PRELOAD", TrapPath("lib_atfork_waits.so")}});
}
TEST_P(TortureTest, SubInterpretersComeAndGo) { ExpectUnharmed("subinterpreters"); }
TEST_P(TortureTest, AsynchronousTasksRun) { ExpectUnharmed("asyncio"); }
TEST_P(TortureTest, GarbageIsCollectedAndFinalizersAllocate) { ExpectUnharmed("garbage"); }
TEST_P(TortureTest, DaemonThreadsRunOnWhileTheInterpreterEnds) {
  for (int i = 0; i < 3; ++i) ExpectUnharmed("daemons");
}
TEST_P(TortureTest, TheProcessEndsByUnderscoreExit) { ExpectUnharmed("exit"); }
TEST_P(TortureTest, TheProcessIsKilledInTheMiddle) { ExpectUnharmed("kill"); }
TEST_P(TortureTest, RecursionGoesDeep) { ExpectUnharmed("recursion"); }
TEST_P(TortureTest, GeneratorsRunWithinGenerators) { ExpectUnharmed("generators"); }
TEST_P(TortureTest, TracersAndProfilersOfPythonRunBesideUs) { ExpectUnharmed("hooks"); }

TEST_P(TortureTest, OtherAllocatorsAreChosen) {
  for (const char* allocator : {"debug", "malloc", "malloc_debug", "pymalloc", "pymalloc_debug"}) {
    ExpectUnharmed("exec", {{"PYTHONMALLOC", allocator}});
  }
  ExpectUnharmed("generators", {}, {"-X", "dev"});
}
TEST_P(TortureTest, TracemallocRunsOnTopFromTheStart) {
  ExpectUnharmed("exec", {{"PYTHONTRACEMALLOC", "1"}});
  ExpectUnharmed("exec", {{"PYTHONTRACEMALLOC", "3"}, {"PYTHONMALLOC", "debug"}});
}
TEST_P(TortureTest, TracemallocStillRunsOnTopWhenTheInterpreterEnds) {
  ExpectUnharmed("tracemalloc");
  ExpectUnharmed("tracemalloc", {}, {"-X", "dev"});
  ExpectUnharmed("tracemalloc", {{"PYTHONMALLOC", "debug"}, {"PYTHONTRACEMALLOC", "3"}});
}
TEST_P(TortureTest, BlocksAreSampled) {
  ExpectUnharmed("exec", {{"ALLOCLINE_SAMPLE", "64K"}});
  ExpectUnharmed("fork", {{"ALLOCLINE_SAMPLE", "64K"}});
}
TEST_P(TortureTest, EveryNativeStackIsVerified) {
  for (const Python& python : pythons_) {
    for (const Recording& recording : ExpectUnharmed(python, "asyncio", {{"ALLOCLINE_VERIFY", "1"}})) {
      EXPECT_GT(recording.header().verified_stacks, 100);
      EXPECT_EQ(recording.header().different_stacks, 0);
    }
  }
}

}  // namespace
}  // namespace allocline::testing
