// The connectors of examples/causes/python: in a container of 256 MiB each cause is killed by the kernel, and
// `allocline run` names the line that its source marks, `allocline explain` the cause; its mended twin sends the same
// rows there, and ends well.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/examples/findings.h"
#include "tests/support/memory_cgroup.h"
#include "tests/support/paths.h"
#include "tests/support/postgres_server.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::StartsWith;

constexpr uint64_t kLimit = 256 << 20;

struct Cause {
  const char* name;    // of its source, without .py
  const char* source;  // what it reads, in the words of make_sources.py
  const char* found;   // by allocline explain
};
constexpr Cause kCauses[] = {
    {"collect_first", "database", "collects_all"},    {"fetch_all", "database", "whole_result"},
    {"join_in_memory", "database", "join_in_memory"}, {"endless_cache", "database", "cache"},
    {"eager_fetch", "database", "parallel_fetch"},    {"whole_file", "export", "whole_file"},
    {"big_objects", "mailbox", "large_objects"}};

std::string PathOf(const std::string& name) { return SourceDir() + "/examples/causes/python/" + name + ".py"; }

// "whole_file.py:12": the line that holds too much.
std::string MarkedLine(const std::string& name) {
  std::istringstream lines(ReadFile(PathOf(name)));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find("  # <- ") != std::string::npos) return fmt::format("{}.py:{}", name, number);
  }
  return "no line is marked in " + name;
}

std::vector<std::string> SortedUpserts(const std::string& output) {
  std::vector<std::string> upserts;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(R"("type": "upsert")") != std::string::npos) upserts.push_back(line);
  }
  std::sort(upserts.begin(), upserts.end());
  return upserts;
}

// The newest that has `module`, or "".
std::string ChoosePython(const std::string& module) {
  for (int minor = kLastPythonMinor; minor >= kFirstPythonMinor; --minor) {
    for (const Python& python : PythonsOf(minor)) {
      if (RunProgram({.argv = {python.path, "-c", "import " + module}}).ok()) return python.path;
    }
  }
  return "";
}

class PythonCausesTest : public ::testing::Test {
 protected:
  void SetUp() override { Choose("sqlite3"); }
  void Choose(const std::string& module) {
    python_ = ChoosePython(module);
    if (python_.empty()) GTEST_SKIP() << "no CPython from 3.8 on with " << module << " on this machine";
  }
  // `count`: of what is in it; empty: as much as no small container holds.
  void MakeSource(const Cause& cause, const Words& count = {}) const {
    Words words = {python_, "-B", PathOf("make_sources"), directory_.path(), cause.source};
    words.insert(words.end(), count.begin(), count.end());
    const Outcome made = RunProgram({.argv = words});
    ASSERT_TRUE(made.ok()) << made.err;
  }
  Words Connector(const std::string& name) const {
    return {python_, "-B", PathOf(name), directory_ / "configuration.json"};
  }

  TempDir directory_;
  std::string python_;
};

TEST_F(PythonCausesTest, TheMendedTwinsSendTheSameRows) {
  std::string made;
  for (const Cause& cause : kCauses) {
    SCOPED_TRACE(cause.name);
    const bool is_mailbox = std::string(cause.source) == "mailbox";
    if (made != cause.source) MakeSource(cause, {is_mailbox ? "3" : "450"});
    made = cause.source;
    const Outcome bad = RunProgram({.argv = Connector(cause.name)});
    const Outcome mended = RunProgram({.argv = Connector(std::string(cause.name) + "_mended")});
    EXPECT_TRUE(bad.ok()) << bad.out;
    EXPECT_TRUE(mended.ok()) << mended.out;
    EXPECT_GE(SortedUpserts(bad.out).size(), is_mailbox ? 3u : 450u);
    EXPECT_EQ(SortedUpserts(bad.out), SortedUpserts(mended.out));
  }
}

class PythonCausesInAContainerTest : public PythonCausesTest {
 protected:
  void SetUp() override {
    if (!container_.why_not().empty()) GTEST_SKIP() << container_.why_not();
    PythonCausesTest::SetUp();
  }
  void ExpectKilledAndMended(const std::string& name, const std::string& cause) const {
    const Outcome bad = RunContained(name);
    EXPECT_EQ(ExitCodeOf(bad), 137) << bad.err;
    EXPECT_THAT(bad.err, ContainsRegex("^allocline: python3[.0-9]* was killed by the container's OOM killer at "
                                       "[12][0-9]+ of 256 MiB; live by line:\n"));
    EXPECT_THAT(bad.err.substr(bad.err.find('\n') + 1), StartsWith(MarkedLine(name) + ": size="));

    const Outcome mended = RunContained(name + "_mended");
    EXPECT_EQ(ExitCodeOf(mended), 0) << mended.err;

    EXPECT_EQ(FindingsIn(directory_ / name), cause + " " + MarkedLine(name));
    EXPECT_EQ(FindingsIn(directory_ / (name + "_mended")), "");
  }

 private:
  // What it prints is not kept: files in memory would be part of the container's.
  Outcome RunContained(const std::string& name) const {
    Words words = {CliPath(), "run", "-o", directory_ / name, "--"};
    for (const std::string& word : Connector(name)) words.push_back(word);
    return RunProgram(
        {.argv = words, .time_limit = std::chrono::seconds(120), .in_child = [enters = container_.Enters()] {
           enters();
           const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
           if (null < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(98);
         }});
  }

  MemoryCgroup container_{kLimit};
};

class PythonCauseInAContainerTest : public PythonCausesInAContainerTest, public ::testing::WithParamInterface<Cause> {};
INSTANTIATE_TEST_SUITE_P(Causes, PythonCauseInAContainerTest, ::testing::ValuesIn(kCauses),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(PythonCauseInAContainerTest, TheKernelKillsItAndTheLineIsNamedFirstAndItsTwinLives) {
  MakeSource(GetParam());
  ExpectKilledAndMended(GetParam().name, GetParam().found);
}

TEST_F(PythonCausesInAContainerTest, AResultOfPostgresIsTheDriversAndTheLineThatAskedForItIsNamed) {
  Choose("psycopg2");
  if (IsSkipped()) return;
  PostgresServer server;
  server.RunScript(SourceDir() + "/examples/causes/make_helpdesk.sql", {"-v", "mib=280"});
  directory_.WriteFile("configuration.json", nlohmann::json{{"postgres", server.where()}}.dump());
  ExpectKilledAndMended("fetch_all_postgres", "whole_result");
}

}  // namespace
}  // namespace allocline::testing
