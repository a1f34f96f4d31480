// Programs that do what they should: `allocline explain` finds nothing in them, in no process that they start.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/e2e/sqlite_script.h"
#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

#define NEEDS(program) ASSERT_NE(FindProgram(program), "") << program << " is not installed"

void ExpectNoFinding(Command command, size_t processes = 1) {
  command.time_limit = std::chrono::minutes(2);
  const Recorded run = RecordCommand(command);
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  EXPECT_GE(run.processes.size(), processes);
  for (const RecordedProcess& process : run.processes) {
    const Outcome told = Allocline({"explain", "--fail-on-finding", "--limit", "64M", process.recording().path()});
    EXPECT_EQ(ExitCodeOf(told), 0) << told.out << told.err;
    EXPECT_THAT(told.out, ::testing::HasSubstr("no finding"));
  }
}

TEST(OrdinaryPrograms, ADatabaseInMemory) {
  NEEDS("sqlite3");
  ExpectNoFinding({.argv = {"sqlite3", ":memory:"}, .input = kSqliteScript});
}

TEST(OrdinaryPrograms, AHistoryOfAThousandCommits) {
  NEEDS("git");
  TempDir directory;
  std::string stream;
  for (int i = 1; i <= 1000; ++i) {
    const std::string body = fmt::format("line {}\n{:x>{}}\n", i, "", i * 3);
    stream += fmt::format(
        "commit refs/heads/main\ncommitter A <a@example.org> {} +0000\ndata 1\nc\nM 644 inline file{}\ndata {}\n{}\n",
        1700000000 + i, i % 23, body.size(), body);
  }
  const std::string origin = directory / "origin";
  const Environment environment = {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}};
  ASSERT_TRUE(RunProgram({.argv = {"git", "init", "-q", "-b", "main", origin}, .env = environment}).ok());
  ASSERT_TRUE(
      RunProgram({.argv = {"git", "-C", origin, "fast-import", "--quiet"}, .env = environment, .input = stream}).ok());
  ExpectNoFinding({.argv = {"git", "-C", origin, "log", "-p", "--stat"}, .env = environment});
}

TEST(OrdinaryPrograms, AFormatterOfJson) {
  NEEDS("/usr/bin/python3");
  std::string document = "[";
  for (int i = 0; i < 100000; ++i)
    document += fmt::format(R"({}{{"id": {}, "name": "row {}"}})", i == 0 ? "" : ",", i, i);
  ExpectNoFinding({.argv = {"/usr/bin/python3", "-m", "json.tool"}, .input = document + "]"});
}

TEST(OrdinaryPrograms, ACompilerWithItsAssembler) {
  NEEDS("g++");
  TempDir directory;
  const std::string source = directory.WriteFile("index.cc", R"(
      #include <map>
      #include <regex>
      #include <string>
      int Index(const std::string& text) {
        std::map<std::string, int> words;
        const std::regex word("[a-z]+");
        for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) ++words[i->str()];
        return static_cast<int>(words.size());
      })");
  ExpectNoFinding({.argv = {"g++", "-std=c++17", "-O1", "-c", "-o", directory / "index.o", source}}, 3);
}

TEST(OrdinaryPrograms, ASortOfAMillionLines) {
  std::string lines;
  for (uint32_t i = 0; i < 1000000; ++i) lines += fmt::format("{:08x}\n", i * 2654435761u);
  ExpectNoFinding({.argv = {"sort"}, .input = lines});
}

TEST(OrdinaryPrograms, ACountOfWords) {
  NEEDS("perl");
  ExpectNoFinding(
      {.argv = {"perl", "-e", "for (1 .. 300000) { ++$count{\"word \" . $_ % 5000} } print scalar(%count)"}});
}

}  // namespace
}  // namespace allocline::testing
