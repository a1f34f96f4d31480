// `allocline run --log`: what fills a container is said while the program still lives.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/memory_cgroup.h"
#include "tests/support/pythons.h"
#include "tests/tools/cli.h"
#include "tools/recording_files.h"

namespace allocline::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr uint64_t kMebibyte = 1 << 20;

class WatchTest : public ::testing::Test {
 protected:
  std::string log() const { return directory_ / "log"; }
  // allocline run with its messages in log(), where `program` can read them. By `front`, if that is given.
  Outcome Run(Words options, const Words& program, const std::function<void()>& in_child = nullptr,
              const Words& front = {}) {
    Words words = {"sh", "-c", "log=$1; shift; exec \"$@\" 2>\"$log\"", "sh", log()};
    words.insert(words.end(), front.begin(), front.end());
    words.insert(words.end(), {CliPath(), "run", "-o", directory_.path()});
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("--");
    words.insert(words.end(), program.begin(), program.end());
    return RunProgram({.argv = words, .in_child = in_child});
  }
  // A front for Run(): the fault is strace's, which leaves the calls it saw in trace().
  Words WithFault(const std::string& calls, const std::string& fault) const {
    return {"strace", "-f", "-qqq", "-o", trace(), "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + fault};
  }
  // The first two are the watcher of the process group and the program.
  Words WithoutFurtherProcesses() const { return WithFault("?clone,?clone3,?fork,?vfork", "error=EAGAIN:when=3+"); }
  std::string trace() const { return directory_ / "strace"; }
  std::string Log() const { return ReadFile(log()); }
  std::vector<json> Messages() const {
    std::istringstream stream(Log());
    std::vector<json> messages;
    for (std::string line; std::getline(stream, line);) {
      messages.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
      EXPECT_TRUE(messages.back().is_object()) << line;
    }
    return messages;
  }
  // Within a minute.
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 6000; ++i) {
      if (holds()) return true;
      usleep(10000);
    }
    return false;
  }
  static std::string Rises() { return BuildDir() + "/programs/e2e/rises"; }
  static std::string Mebibytes(uint64_t count) { return std::to_string(count * kMebibyte); }

  TempDir directory_;
};

TEST_F(WatchTest, ARungIsSaidWithItsLinesWhileTheProgramWaitsForThat) {
  const Outcome outcome = Run({"-q", "--log", "text", "--limit", "128M", "--limit-action", "report"},
                              {Rises(), log(), Mebibytes(55), "limit-50%", Mebibytes(80), "limit-70%"});
  EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
  std::istringstream stream(Log());
  std::string first, second, rest;
  std::getline(stream, first);
  std::getline(stream, second);
  EXPECT_FALSE(std::getline(stream, rest)) << rest;
  EXPECT_THAT(first,
              ContainsRegex("^allocline: limit-50%: rises \\(pid [0-9]+\\) is at 6[0-9] of 128 MiB, with [0-9.]+ "
                            "MiB live: rises\\.c:[0-9]+ [56][0-9]\\.[0-9] MiB$"));
  EXPECT_THAT(second, ContainsRegex("^allocline: limit-70%: .*: rises\\.c:[0-9]+ [789][0-9]\\.[0-9] MiB$"));
}

TEST_F(WatchTest, InARealContainerTheLogHasItAsMessages) {
  const MemoryCgroup container(256 * kMebibyte);
  if (!container.why_not().empty()) GTEST_SKIP() << container.why_not();
  const Outcome outcome =
      Run({"--log", "json", "-n", "1"}, {Rises(), log(), Mebibytes(112), "limit-50%", Mebibytes(163), "limit-70%"},
          container.Enters());
  EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
  const std::vector<json> messages = Messages();
  ASSERT_GT(messages.size(), 2u);
  EXPECT_EQ(messages[0]["level"], "INFO");
  EXPECT_EQ(messages[1]["level"], "WARNING") << "worse than the last: it does not wait";
  for (const json& message : messages) EXPECT_EQ(message["message-origin"], "sdk_connector");
  EXPECT_THAT(messages[0]["message"].get<std::string>(),
              ContainsRegex("^allocline: limit-50%: the container is at 1[23][0-9] of 256 MiB; rises \\(pid [0-9]+\\) "
                            "has 1[0-9][0-9] MiB live: rises\\.c:[0-9]+ 1[0-9][0-9] MiB$"));
  EXPECT_THAT(messages[2]["message"].get<std::string>(), HasSubstr("rises exited with 0")) << "the summary";
}

// Of a container this full there is little left to look lines up in.
TEST_F(WatchTest, ItIsNotWhatKillsAContainerThatIsNearlyFull) {
  const MemoryCgroup container(64 * kMebibyte);
  if (!container.why_not().empty()) GTEST_SKIP() << container.why_not();
  const Outcome outcome =
      Run({"-q", "--log", "text", "--ladder", "92"}, {Rises(), log(), Mebibytes(44), "limit-92%"}, container.Enters());
  EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
  EXPECT_THAT(Log(), ContainsRegex("^allocline: limit-92%: the container is at (5[89]|6[0-3]) of 64 MiB; "));
  std::ifstream control(container.directory() + "/memory.oom_control");
  const std::string kills((std::istreambuf_iterator<char>(control)), {});
  EXPECT_THAT(kills, Not(ContainsRegex("oom_kill [1-9]"))) << Log();
}

// A limit that is lowered, and another group: what counts is what holds now.
TEST_F(WatchTest, ALimitThatIsLoweredAndAProcessThatIsMovedAreNoticed) {
  const MemoryCgroup container(512 * kMebibyte), other(64 * kMebibyte, "-other");
  if (!container.why_not().empty()) GTEST_SKIP() << container.why_not();
  Process run({.argv = Words({"sh",
                              "-c",
                              "exec \"$@\" 2>>" + log(),
                              "sh",
                              CliPath(),
                              "run",
                              "-o",
                              directory_.path(),
                              "-q",
                              "--log",
                              "text",
                              "--ladder",
                              "50",
                              "--",
                              Rises(),
                              log(),
                              Mebibytes(60),
                              " of 100 MiB",
                              "0",
                              "moved",
                              Mebibytes(95),
                              " of 64 MiB"}),
               .in_child = container.Enters()});
  const auto recordings = [&] { return FindRecordings(directory_.path(), [](const auto&) { return true; }); };
  // Lowered when it is near: the program takes what is missing.
  ASSERT_TRUE(Eventually([&] { return !recordings().empty() && recordings()[0].header.rss_bytes > 60 * kMebibyte; }));
  EXPECT_EQ(recordings()[0].header.container_limit_bytes, 512 * kMebibyte);
  container.SetLimit(100 * kMebibyte);
  ASSERT_TRUE(Eventually([&] { return Log().find(" of 100 MiB") != std::string::npos; })) << Log();
  // What it has stays charged where it was: of the other group it uses what it takes from now on.
  other.Take(static_cast<pid_t>(recordings()[0].header.pid));
  std::ofstream(log(), std::ios::app) << "moved\n";
  ASSERT_TRUE(Eventually([&] { return Log().find(" of 64 MiB") != std::string::npos; })) << Log();
  EXPECT_THAT(recordings()[0].header.container_path, HasSubstr("-other"));
  const Outcome outcome = run.Wait();
  EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
}

TEST_F(WatchTest, WhatHappensTooFastIsToldWhenItIsOver) {
  const Outcome outcome = Run({"-q", "--log", "text", "--limit", "64M", "--limit-action", "report"},
                              {BuildDir() + "/programs/e2e/climbs", "grow", "65536", Mebibytes(70)});
  EXPECT_EQ(ExitCodeOf(outcome), 0);
  EXPECT_THAT(Log(), ContainsRegex("allocline: limit-100%: climbs .* live: climbs\\.c:[0-9]+ [56][0-9]\\.[0-9] MiB"));
}

// The lines of Python are in its recording: little memory is enough to read them, whatever the interpreter is made of.
TEST_F(WatchTest, LinesOfPythonAreSaidWithoutItsInterpretersDebugInformation) {
  std::string python;
  for (int minor = kLastPythonMinor; python.empty() && minor >= kFirstPythonMinor; --minor) {
    for (const Python& found : PythonsOf(minor)) python = found.path;
  }
  if (python.empty()) GTEST_SKIP() << "no CPython on this machine";
  const std::string script = directory_.WriteFile("keeps.py",
                                                  "import sys, time\n"
                                                  "kept = []\n"
                                                  "for i in range(3000):\n"
                                                  "    kept.append(bytes(50000 if i < 1100 else 5000))\n"
                                                  "    if i > 1100: time.sleep(0.02)\n"
                                                  "    if i > 1100 and 'limit-50%' in open(sys.argv[1]).read(): break\n"
                                                  "else: sys.exit(3)\n");
  const Outcome outcome =
      Run({"-q", "--log", "text", "--limit", "120M", "--limit-action", "report"}, {python, script, log()});
  EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
  EXPECT_THAT(Log(), ContainsRegex("allocline: limit-50%: .* live: keeps\\.py:4 [345][0-9]\\.[0-9] MiB"));
}

TEST_F(WatchTest, AFailedAllocationIsSevere) {
  Run({"-q", "--log", "json"}, {BuildDir() + "/programs/e2e/climbs", "fail", "3"});
  const std::vector<json> messages = Messages();
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(messages[0]["level"], "SEVERE");
  EXPECT_THAT(messages[0]["message"].get<std::string>(), HasSubstr("failed-allocation: "));
}

TEST_F(WatchTest, WithoutBeingAskedNothingIsSaid) {
  Run({"-q", "--limit", "64M", "--limit-action", "report"},
      {BuildDir() + "/programs/e2e/climbs", "grow", "65536", Mebibytes(70)});
  EXPECT_THAT(Log(), IsEmpty());
}

// No process to be had, no pipe, no descriptor in the reporter, and reporters that are killed as they begin: then it is
// said without lines. The first two pipes are the group's watcher's and the program's.
TEST_F(WatchTest, WhereNoReporterComesToAnythingARungIsSaidWithoutLines) {
  const struct {
    Words front;
    std::string seen;
  } kCases[] = {{WithoutFurtherProcesses(), "(INJECTED)"},
                {WithFault("pipe2", "error=EMFILE:when=3+"), "(INJECTED)"},
                {WithFault("fcntl", "error=EMFILE"), "fcntl(2, F_DUPFD_CLOEXEC, "},
                {WithFault("setpriority", "signal=KILL"), "setpriority(PRIO_PROCESS, 0, 19)"}};
  for (const auto& [front, seen] : kCases) {
    SCOPED_TRACE(front.back());
    const Outcome outcome = Run({"-q", "--log", "text", "--limit", "128M", "--limit-action", "report"},
                                {Rises(), log(), Mebibytes(55), "limit-50%"}, nullptr, front);
    EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
    EXPECT_THAT(ReadFile(trace()), HasSubstr(seen));
    EXPECT_THAT(Log(), ContainsRegex("^allocline: limit-50%: rises \\(pid [0-9]+\\) is at 6[0-9] of 128 MiB, with "
                                     "[0-9.]+ MiB live\n$"));
  }
}

// Every line of the log is a message then, too.
TEST_F(WatchTest, WhereNoProcessCanBeMadeTheLogSaysHowTheProgramEnded) {
  const Outcome outcome = Run({"--log", "json", "--limit", "128M", "--limit-action", "report"},
                              {Rises(), log(), Mebibytes(55), "limit-50%"}, nullptr, WithoutFurtherProcesses());
  EXPECT_EQ(ExitCodeOf(outcome), 0) << Log();
  const std::vector<json> messages = Messages();
  ASSERT_THAT(messages, SizeIs(2)) << Log();
  EXPECT_EQ(messages[0]["level"], "INFO");
  EXPECT_THAT(messages[0]["message"].get<std::string>(), HasSubstr("limit-50%: rises "));
  EXPECT_EQ(messages[1]["level"], "SEVERE");
  EXPECT_THAT(messages[1]["message"].get<std::string>(),
              ContainsRegex("^allocline: rises exited with 0 after [0-9.]+ s; no summary could be made \\(fork: .*\\): "
                            "`allocline top` reads the recordings in /"));
}

// A log whose reader has gone to sleep, and a pipe that is full: the program and its exit code do not wait for it,
// whoever writes there.
TEST_F(WatchTest, ALogThatNobodyReadsHoldsNobodyUp) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd from(ends[0]), to(ends[1]);
  ASSERT_EQ(fcntl(to.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string filling(4096, '.');
  while (write(to.get(), filling.data(), filling.size()) > 0) {
  }
  ASSERT_EQ(fcntl(to.get(), F_SETFL, 0), 0);
  for (const Words& front : {Words{}, WithoutFurtherProcesses()}) {
    Words words = front;
    for (const std::string& word :
         AlloclineWords({"run", "-q", "-o", directory_.path(), "--log", "text", "--limit", "64M", "--limit-action",
                         "report", "--", BuildDir() + "/programs/e2e/climbs", "grow", "65536", Mebibytes(70)})) {
      words.push_back(word);
    }
    const Outcome outcome = RunProgram({.argv = words, .in_child = [&] { dup2(to.get(), STDERR_FILENO); }});
    EXPECT_EQ(ExitCodeOf(outcome), 0);
    EXPECT_FALSE(outcome.timed_out);
  }
}

}  // namespace
}  // namespace allocline::testing
