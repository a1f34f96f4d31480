// `import allocline`, and its answers beside tracemalloc's, on every CPython of this machine. What is tested is written
// in Python, in the files beside this one; a version that is not here is named by the test it skips.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using Words = std::vector<std::string>;

std::string Script(const std::string& name) { return SourceDir() + "/tests/python/" + name; }

class EveryPythonTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    pythons_ = PythonsOf(GetParam());
    if (pythons_.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
  }

  // The same hashes in each run give sets and dictionaries of the same shape.
  Command Untraced(const Python& python, const Words& arguments) const {
    Command command = {.argv = {python.path, "-B"},
                       .env = {{"PYTHONHASHSEED", "0"}},
                       .directory = directory_.path(),
                       .time_limit = std::chrono::seconds(120)};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return command;
  }
  static void ExpectSuccess(const Python& python, const Outcome& outcome) {
    EXPECT_TRUE(outcome.ok()) << python.path << ": " << outcome.Ending() << "\n" << outcome.out << outcome.err;
  }

  TempDir directory_;
  std::vector<Python> pythons_;
};

INSTANTIATE_TEST_SUITE_P(Python3, EveryPythonTest, ::testing::Range(kFirstPythonMinor, kLastPythonMinor + 1),
                         [](const auto& test) { return fmt::format("_{}", test.param); });

TEST_P(EveryPythonTest, ThePackageIsHarmlessWithoutATracerAndCountsAsTracemallocDoes) {
  for (const Python& python : pythons_) {
    Command command = Untraced(python, {Script("untraced_test.py")});
    command.env["PYTHONPATH"] = SourceDir() + "/python";
    command.env["ALLOCLINE_PROGRAM"] = CliPath();
    ExpectSuccess(python, RunProgram(command));
  }
}

}  // namespace
}  // namespace allocline::testing
