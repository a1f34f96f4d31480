// A running process, looked at from outside by its PID: with the rights of its own user and no others, without ptrace
// and without a signal, and also when its recording is no file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/e2e/ledger.h"
#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uid_t kNobody = 65534;

void BecomeNobody() {
  if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(125);
}

class OutsideTest : public ::testing::Test {
 protected:
  void SetUp() override { chmod(directory_.path().c_str(), 0777); }

  // What a user without rights may see of his own process, and what he must not do to see it.
  void ExpectReadByNobody(const Words& words, const std::string& expected) {
    const std::string log = directory_ / ("strace." + words[0]);
    const Outcome outcome =
        RunProgram({.argv = Words{"strace", "-f", "-o", log} + AlloclineWords(words), .in_child = BecomeNobody});
    EXPECT_EQ(outcome.Ending(), "exit 0") << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, HasSubstr(expected));
    const std::string calls = ReadFile(log);
    EXPECT_THAT(calls, HasSubstr("/maps\""));  // strace saw what we did
    for (const char* call : {" ptrace(", " kill(", " tkill(", " tgkill(", " rt_sigqueueinfo(", " rt_tgsigqueueinfo(",
                             " process_vm_readv(", " pidfd_open(", " pidfd_send_signal(", " pidfd_getfd(", "/mem\""}) {
      EXPECT_THAT(calls, Not(HasSubstr(call))) << words[0];
    }
  }

  const std::string rows_ = LedgerLine("rows") + ": size=6400 B, count=100, average=64 B\n";
  TempDir directory_;
};

TEST_F(OutsideTest, HisOwnProcessIsReadByAUserWithoutRights) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const auto process = StartLedger(directory_.path(), {"rows", "100", "64"}, BecomeNobody);
  const std::string pid = std::to_string(process->pid());
  ExpectReadByNobody({"top", pid}, rows_);
  ExpectReadByNobody({"snapshot", pid, "--label", "now", "-o", directory_ / "now.allocline"}, "now.allocline");
  EXPECT_THAT(Answer({"top", directory_ / "now.allocline"}), HasSubstr(rows_));
  EXPECT_TRUE(process->running());
}

TEST_F(OutsideTest, ARecordingInMemoryIsReadByPid) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  directory_.WriteFile("file", "");
  const auto process = StartLedger(directory_ / "file", {"rows", "100", "64", "label", "early"}, BecomeNobody);
  const std::string pid = std::to_string(process->pid());
  ExpectReadByNobody({"top", pid}, rows_);
  EXPECT_THAT(Answer({"top", pid}), AllOf(HasSubstr(rows_), HasSubstr("it was kept in memory")));
  EXPECT_THAT(Answer({"top", pid + "@early"}), HasSubstr(rows_));

  const Outcome nameless = Allocline({"snapshot", pid, "--label", "now"});
  EXPECT_EQ(nameless.Ending(), "exit 1");
  EXPECT_THAT(nameless.err, AllOf(IsOneLine(), HasSubstr("-o FILE")));
  ExpectReadByNobody({"snapshot", pid, "--label", "now", "-o", directory_ / "now.allocline"}, "now.allocline");

  process->Signal(SIGKILL);
  const Outcome killed = process->Wait();
  EXPECT_THAT(killed.err, AllOf(IsOneLine(), HasSubstr("recording in memory, readable only while process " + pid)));
  const Outcome gone = Allocline({"top", pid});
  EXPECT_EQ(gone.Ending(), "exit 4");
  EXPECT_THAT(gone.err, AllOf(IsOneLine(), HasSubstr("there is no process " + pid)));
  EXPECT_THAT(Answer({"top", directory_ / "now.allocline"}), HasSubstr(rows_)) << "a snapshot outlives it";
}

TEST_F(OutsideTest, AnothersProcessIsRefusedWithWhatToDo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const auto process = StartLedger(directory_.path(), {"rows", "1", "1"});
  for (const Words& words :
       {Words{"top", std::to_string(process->pid())}, {"snapshot", std::to_string(process->pid()), "--label", "x"}}) {
    const Outcome outcome = RunProgram({.argv = AlloclineWords(words), .directory = "/", .in_child = BecomeNobody});
    EXPECT_EQ(outcome.Ending(), "exit 4") << words[0];
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(IsOneLine(), HasSubstr("process " + std::to_string(process->pid())),
                                   HasSubstr("try as its user or root")));
  }
}

TEST_F(OutsideTest, AProcessThatIsNotTracedIsRefusedWithWhatToDo) {
  Process plain({.argv = {E2eProgram("ledger"), "wait"}});
  ASSERT_TRUE(plain.WaitForOutput("ready\n"));
  const Outcome outcome = Allocline({"top", std::to_string(plain.pid())});
  EXPECT_EQ(outcome.Ending(), "exit 4");
  EXPECT_THAT(outcome.err, AllOf(IsOneLine(), HasSubstr("is not traced: start it with `allocline run`")));
}

TEST_F(OutsideTest, TheHeaderOfARunningProcessSaysSoAndShowsItsPresentMemory) {
  const auto process = StartLedger(directory_.path(), {"rows", "100", "64", "label", "early"});
  const std::string pid = std::to_string(process->pid());
  const std::string recording = RecordingsIn(directory_.path()).front();
  for (const std::string& name : {pid, recording}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(Answer({"top", name}), ContainsRegex("^ledger [(]pid " + pid + "[)], running for [0-9.]+ s\n"));
    const Json profile = AnswerJson({"top", name})["profile"];
    EXPECT_EQ(profile["running"], true);
    EXPECT_GT(profile["elapsed_ns"], 0);
    EXPECT_GT(profile["memory"]["rss_bytes"], 500'000);
    EXPECT_THAT(Answer({"info", name}),
                ContainsRegex("\nmemory, [0-9.]+ s after the start, [0-9.]+ s ago; RSS is now [0-9.]+ [KM]iB"));
    const Json info = AnswerJson({"info", name});
    EXPECT_EQ(info["running"], true);
    EXPECT_GE(info["elapsed_ns"], info["ledger"]["after_ns"]);
    EXPECT_GT(info["memory"]["rss_bytes"], 500'000);
  }
  Answer({"snapshot", pid, "--label", "then", "-o", directory_ / "then.allocline"});
  EXPECT_THAT(Answer({"top", directory_ / "then.allocline"}),
              ContainsRegex("^ledger [(]pid " + pid + "[)], snapshot \"then\" [0-9.]+ s after the start\n"))
      << "a snapshot does not run, even while its process does";
  process->Signal(SIGKILL);
  process->Wait();
  EXPECT_THAT(Answer({"top", recording}), Not(HasSubstr("running")));
  EXPECT_EQ(AnswerJson({"top", recording})["profile"]["running"], false);
}

TEST_F(OutsideTest, WhatAProcessWasBeforeItsExecDoesNotRun) {
  const Words shell = {"/bin/sh", "-c", "exec " + E2eProgram("ledger") + " wait"};
  Process process({.argv = shell, .env = TracingEnvironment(directory_.path())});
  ASSERT_TRUE(process.WaitForOutput("ready\n"));
  const std::vector<std::string> recordings = RecordingsIn(directory_.path());
  ASSERT_EQ(recordings.size(), 2);
  for (const std::string& recording : recordings) {
    const Json profile = AnswerJson({"top", recording})["profile"];
    const bool is_ledger = profile["program"] == fs::canonical(E2eProgram("ledger")).string();
    EXPECT_EQ(profile["running"], is_ledger) << recording;
  }
}

}  // namespace
}  // namespace allocline::testing
