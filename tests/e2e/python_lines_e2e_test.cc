// Lines of a Python program, under every CPython of this machine: each holds what its source says.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "report/filter.h"
#include "report/statistics.h"
#include "tests/support/paths.h"
#include "tests/support/pythons.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBeside = 4000;  // what objects and lists take beside the bytes that a mark names

std::string Script() { return SourceDir() + "/tests/e2e/programs/python_lines.py"; }

// Bytes by line, of the lines marked by `mark`.
std::map<uint32_t, int64_t> Marked(const std::string& mark) {
  std::map<uint32_t, int64_t> marked;
  std::ifstream source(Script());
  std::string text;
  for (uint32_t line = 1; std::getline(source, text); ++line) {
    const size_t at = text.find("  #" + mark + " ");
    if (at != std::string::npos) marked[line] = std::atoll(text.c_str() + at + 4);
  }
  return marked;
}

// Live bytes by line of the script.
std::map<uint32_t, int64_t> LinesOf(const Profile& profile, LineOf line_of) {
  std::map<uint32_t, int64_t> lines;
  const std::vector<Statistic> statistics = ComputeStatistics(profile, {.line_of = line_of}).value();
  for (const Statistic& statistic : statistics) {
    if (statistic.group.frame.file == Script()) lines[statistic.group.frame.line] += statistic.size;
  }
  return lines;
}

class PythonLinesE2eTest : public ::testing::TestWithParam<int> {
 protected:
  void ExpectLines(const std::map<uint32_t, int64_t>& lines, const std::map<uint32_t, int64_t>& expected) {
    for (const auto& [line, bytes] : expected) {
      const auto found = lines.find(line);
      const int64_t live = found == lines.end() ? 0 : found->second;
      EXPECT_GE(live, bytes) << "line " << line;
      EXPECT_LE(live, bytes + kBeside) << "line " << line;
    }
  }
};

TEST_P(PythonLinesE2eTest, EachLineHoldsWhatItsSourceSays) {
  const std::vector<Python> pythons = PythonsOf(GetParam());
  if (pythons.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
  std::map<uint32_t, int64_t> innermost = Marked("<"), users = Marked("=");
  ASSERT_GE(innermost.size(), 18u);
  ASSERT_EQ(users.size(), 2u);
  users.insert(innermost.begin(), innermost.end());
  for (const Python& python : pythons) {
    SCOPED_TRACE(python.path);
    // By a relative name: until 3.8 that is what the code calls its file.
    const Recorded run = RecordCommand(
        {.argv = {python.path, "-I", fs::path(Script()).filename()}, .directory = fs::path(Script()).parent_path()});
    ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << "\n" << run.outcome.err;
    const Profile profile = run.main().Load();
    const ProfileSummary& summary = profile.summary();
    EXPECT_EQ(summary.python_version >> 16, 0x300u + static_cast<uint32_t>(GetParam()));
    EXPECT_EQ(summary.python_state, format::kPythonTraced);
    ExpectLines(LinesOf(profile, LineOf::kUser), users);

    // What tracemalloc sees, by the line it would name.
    const std::vector<Filter> of_python = {DomainFilter(/*inclusive=*/true, format::kDomainPython)};
    const Profile objects = FilterProfile(profile, of_python, LineOf::kInnermost);
    ExpectLines(LinesOf(objects, LineOf::kInnermost), innermost);

    std::map<std::string, int64_t> by_function;
    const std::vector<Statistic> functions = ComputeStatistics(objects, {.by = GroupBy::kFunction}).value();
    for (const Statistic& statistic : functions) {
      by_function[std::string(statistic.group.frame.function)] += statistic.size;
    }
    EXPECT_NEAR(static_cast<double>(by_function["plain"]), 110000, kBeside);
    EXPECT_NEAR(static_cast<double>(by_function[GetParam() < 11 ? "__enter__" : "Holder.__enter__"]), 180000, kBeside);
    // Compiled by the program under a name of its own.
    bool made = false;
    for (const Location& location : profile.stacks().locations()) {
      made |= location.file == "made/up.py" && location.line == 2 && location.function == "made";
    }
    EXPECT_TRUE(made);
    printf("%s: %zu lines\n", python.path.c_str(), users.size());
  }
}

INSTANTIATE_TEST_SUITE_P(, PythonLinesE2eTest, ::testing::Range(kFirstPythonMinor, kLastPythonMinor + 1),
                         [](const auto& version) { return "Python3_" + std::to_string(version.param); });

}  // namespace
}  // namespace allocline::testing
