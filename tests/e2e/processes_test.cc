// Several processes as one report: what their lines add up to is what the programs say that they took.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/support/memory_cgroup.h"
#include "tests/support/pythons.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Sums = std::map<std::string, int64_t>;

constexpr uint64_t kMebibyte = 1 << 20;

class ProcessesTest : public ::testing::Test {
 protected:
  std::string truth_path() const { return directory_ / "truth"; }
  // What the processes say, added up.
  Sums Truth() const {
    Sums sums;
    std::istringstream stream(ReadFile(truth_path()));
    int64_t bytes = 0;
    for (std::string name; stream >> name >> bytes;) sums[name] += bytes;
    return sums;
  }
  static std::string Workers() { return BuildDir() + "/programs/e2e/workers"; }
  Words RunWords(Words options, const Words& program) const {
    options.insert(options.begin(), {"run", "-o", directory_.path()});
    options.push_back("--");
    options.insert(options.end(), program.begin(), program.end());
    return AlloclineWords(options);
  }
  Words Recordings() const {
    Words paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path().extension() == ".allocline") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  static json Top(Words words, const Words& targets) {
    words.insert(words.begin(), "top");
    words.push_back("--json");
    words.insert(words.end(), targets.begin(), targets.end());
    const Outcome outcome = Allocline(words);
    EXPECT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
    return json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
  }
  // Of the functions that the truth is about.
  static void ExpectSums(const json& report, const Sums& truth) {
    Sums sums;
    for (const json& line : report["statistics"]) {
      const std::string name = line["function"].is_string() ? line["function"] : "";
      if (truth.contains(name)) sums[name] += line["size"].get<int64_t>();
    }
    EXPECT_EQ(sums, truth) << report["statistics"].dump(1).substr(0, 4000);
  }

  TempDir directory_;
};

TEST_F(ProcessesTest, SevenRecordingsAddUpToWhatTheSevenTook) {
  const Outcome outcome = RunProgram({.argv = RunWords({"-q"}, {Workers(), "exit", truth_path()})});
  ASSERT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
  ASSERT_EQ(Recordings().size(), 7u);
  const Sums truth = Truth();
  ASSERT_EQ(truth, (Sums{{"LoadShared", 20'000'000}, {"Collect", 21'000'000}}));
  const json by_function = Top({"--by", "function", "-n", "100000"}, Recordings());
  ExpectSums(by_function, truth);
  EXPECT_EQ(by_function["profile"]["processes"].size(), 7u);
  // Six workers have what they were forked with, too.
  EXPECT_GE(by_function["profile"]["inherited_bytes"], 6 * 20'000'000);

  const json by_process = Top({"--by", "process", "-n", "100000"}, Recordings());
  ASSERT_EQ(by_process["statistics"].size(), 7u);
  int64_t sum = 0;
  for (const json& process : by_process["statistics"]) sum += process["size"].get<int64_t>();
  EXPECT_EQ(sum, by_process["profile"]["traced"]["live_bytes"]);
  EXPECT_GE(by_process["statistics"][0]["size"], 20'000'000) << "the parent";
  EXPECT_GE(by_process["statistics"][1]["size"], 6'000'000) << "the last worker";
  EXPECT_LT(by_process["statistics"][1]["size"], 6'100'000) << "without what it inherited";

  // A worker alone has all that is live in it.
  for (const std::string& path : Recordings()) {
    const json alone = Top({"-n", "100000"}, {path});
    EXPECT_GE(alone["profile"]["traced"]["live_bytes"], 20'000'000) << path;
    EXPECT_EQ(alone["profile"]["processes"], nullptr);
  }
  const Outcome text = Allocline({"top", Recordings()[0], Recordings()[1], "-n", "1"});
  EXPECT_THAT(text.out, ContainsRegex("^2 processes: workers x2\ntraced:   live .*, peaks add up to .*\n"));
}

TEST_F(ProcessesTest, RunningProcessesAddUpWithTheirSharedPagesCountedOnce) {
  Process program({.argv = RunWords({"-q"}, {Workers(), "pause", truth_path()})});
  ASSERT_TRUE(program.WaitForOutput("\n"));
  std::istringstream stream(program.OutputSoFar());
  Words pids;
  for (std::string pid; stream >> pid;) pids.push_back(pid);
  ASSERT_EQ(pids.size(), 7u);
  const json report = Top({"--by", "function", "-n", "100000"}, pids);
  for (const std::string& pid : pids) kill(std::stoi(pid), SIGKILL);
  program.Wait();
  ExpectSums(report, Truth());
  const json& memory = report["profile"]["memory"];
  ASSERT_TRUE(memory["pss_bytes"].is_number()) << memory;
  EXPECT_GT(memory["pss_bytes"], 41'000'000) << "what was written to";
  EXPECT_LT(memory["pss_bytes"], memory["rss_bytes"]);
}

TEST_F(ProcessesTest, AContainerThatWasFullIsReportedByTheLinesOfAllItsProcesses) {
  const MemoryCgroup container(160 * kMebibyte);
  if (!container.why_not().empty()) GTEST_SKIP() << container.why_not();
  const Outcome outcome =
      RunProgram({.argv = RunWords({"-n", "3"}, {Workers(), "grow", truth_path()}), .in_child = container.Enters()});
  EXPECT_EQ(ExitCodeOf(outcome), 3) << outcome.err;
  EXPECT_THAT(outcome.err,
              ContainsRegex("workers \\(pid [0-9]+\\) was killed by the container's OOM killer at 1[0-9][0-9] of 160 "
                            "MiB; live by line:\nworkers\\.c:[0-9]+: size=1[0-9][0-9] MiB, [^\n]*\n"
                            "workers\\.c:[0-9]+: size=20\\.0 MiB, count=2100, average=10000 B\n"
                            "workers\\.c:[0-9]+: size=19\\.1 MiB, count=2000, average=10000 B\n"));
  EXPECT_THAT(outcome.err, HasSubstr("\n7 processes: workers x7\n"));
  EXPECT_THAT(outcome.err, ContainsRegex("\n  all 7 .*\n  not counted twice: 11[0-9] MiB that processes have"));

  ExpectSums(Top({"--by", "function", "-n", "100000"}, Recordings()), Truth());
}

TEST_F(ProcessesTest, JsonHasTheLinesOfAllBesideThoseOfTheOneThatWasKilled) {
  const MemoryCgroup container(160 * kMebibyte);
  if (!container.why_not().empty()) GTEST_SKIP() << container.why_not();
  const Outcome outcome = RunProgram(
      {.argv = RunWords({"--json", "-n", "3"}, {Workers(), "grow", truth_path()}), .in_child = container.Enters()});
  const json document = json::parse(outcome.err, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(document.is_object()) << outcome.err;
  const json& all = document["report_of_all"];
  EXPECT_EQ(all["profile"]["processes"].size(), 7u);
  EXPECT_EQ(all["statistics"][1]["size"], 21'000'000);
  EXPECT_EQ(all["statistics"][2]["size"], 20'000'000);
  EXPECT_EQ(document["report"]["profile"]["pid"], document["container"]["pid"]);
}

TEST_F(ProcessesTest, APoolOfPythonsAddsUpToo) {
  std::string python;
  for (int minor = kLastPythonMinor; python.empty() && minor >= kFirstPythonMinor; --minor) {
    for (const Python& found : PythonsOf(minor)) python = found.path;
  }
  if (python.empty()) GTEST_SKIP() << "no CPython on this machine";
  const std::string script = SourceDir() + "/tests/e2e/programs/workers.py";
  const Outcome outcome = RunProgram({.argv = RunWords({"-q"}, {python, script, truth_path()})});
  ASSERT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  ASSERT_EQ(Recordings().size(), 7u);
  const Sums truth = Truth();
  ASSERT_EQ(truth, (Sums{{"fill", 10'033'000}, {"collect", 21 * 100 * 10'033}}));
  ExpectSums(Top({"--by", "function", "-n", "100000"}, Recordings()), truth);
}

}  // namespace
}  // namespace allocline::testing
