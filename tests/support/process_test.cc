#include "tests/support/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using std::chrono::milliseconds;

TEST(ProcessTest, OutputErrorsInputAndExitCodeAreKeptApart) {
  Outcome outcome = RunProgram({.argv = {"sh", "-c", "cat; echo two >&2; exit 3"}, .input = "one\n"});
  EXPECT_EQ(outcome.out, "one\n");
  EXPECT_EQ(outcome.err, "two\n");
  EXPECT_EQ(outcome.Ending(), "exit 3");
  EXPECT_FALSE(outcome.ok());
}

TEST(ProcessTest, AProgramKilledBySignalSaysWhich) {
  EXPECT_EQ(RunProgram({.argv = {"sh", "-c", "kill -ABRT $$"}}).Ending(), "signal 6 (Aborted)");
}

TEST(ProcessTest, AProgramThatIsNotThereEndsAsInAShell) {
  EXPECT_EQ(RunProgram({.argv = {"/nonexistent"}}).Ending(), "exit 127");
}

TEST(ProcessTest, AProgramThatTakesTooLongIsKilled) {
  Outcome outcome = RunProgram({.argv = {"sleep", "100"}, .time_limit = milliseconds(50)});
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.Ending(), "timed out");
}

TEST(ProcessTest, WhatAProgramLeavesRunningIsKilledAndCannotHangTheTest) {
  TempDir directory;
  Outcome outcome = RunProgram({.argv = {"sh", "-c", "sleep 100 & echo $! > pid"}, .directory = directory.path()});
  EXPECT_TRUE(outcome.ok());
  pid_t left = std::stoi(ReadFile(directory / "pid"));
  // It is dead, or a zombie that init has not collected yet.
  for (int i = 0; i < 100 && kill(left, 0) == 0; ++i) {
    if (ReadFile("/proc/" + std::to_string(left) + "/stat").find(") Z") != std::string::npos) break;
    RunProgram({.argv = {"sleep", "0.02"}});
  }
  if (kill(left, 0) == 0) {
    EXPECT_NE(ReadFile("/proc/" + std::to_string(left) + "/stat").find(") Z"), std::string::npos);
  }
}

TEST(ProcessTest, LimitsOfTheChildAreTheChilds) {
  Outcome outcome = RunProgram({.argv = {"sh", "-c", "ulimit -n"}, .in_child = [] {
                                  rlimit limit = {17, 17};
                                  setrlimit(RLIMIT_NOFILE, &limit);
                                }});
  EXPECT_EQ(outcome.out, "17\n");
}

TEST(ProcessTest, TracingIsNotInheritedFromTheTestsOwnEnvironment) {
  setenv("ALLOCLINE_OUTPUT", "/elsewhere", 1);
  setenv("LD_PRELOAD", "", 1);
  Outcome outcome = RunProgram({.argv = {"env"}, .env = {{"CHOSEN", "yes"}}});
  EXPECT_EQ(outcome.out.find("ALLOCLINE_"), std::string::npos);
  EXPECT_EQ(outcome.out.find("LD_PRELOAD"), std::string::npos);
  EXPECT_NE(outcome.out.find("CHOSEN=yes"), std::string::npos);
}

TEST(ProcessTest, OutputCanBeWaitedForWhileTheProgramRuns) {
  Process process({.argv = {"sh", "-c", "echo ready; read line; echo $line"}, .input = "done\n"});
  EXPECT_TRUE(process.WaitForOutput("ready"));
  EXPECT_FALSE(process.WaitForOutput("never"));
  EXPECT_EQ(process.Wait().out, "ready\ndone\n");
}

}  // namespace
}  // namespace allocline::testing
