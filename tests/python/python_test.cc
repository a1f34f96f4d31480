// `import allocline`, and its answers beside tracemalloc's, on every CPython of this machine. What is tested is written
// in Python, in the files beside this one; a version that is not here is named by the test it skips.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

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
  Command Traced(const Python& python, const Words& arguments, const Words& options = {}) const {
    Command command = Untraced(python, arguments);
    Words run = {CliPath(), "run", "-q", "-o", directory_ / "recordings"};
    run.insert(run.end(), options.begin(), options.end());
    run.push_back("--");
    command.argv.insert(command.argv.begin(), run.begin(), run.end());
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

TEST_P(EveryPythonTest, ThePackageWorksInATracedProcess) {
  for (const Python& python : pythons_) {
    ExpectSuccess(python, RunProgram(Traced(python, {Script("traced_test.py")})));
  }
}

TEST_P(EveryPythonTest, ThePackageWorksWhereRecordingsCannotBeFiles) {
  // What differs here is the file: neither the version nor the build of the interpreter.
  if (GetParam() != 11) GTEST_SKIP() << "on CPython 3.11 alone";
  Command command = Traced(pythons_.front(), {Script("traced_test.py"), "Snapshots"});
  command.argv[4] = "/proc/nonexistent";
  command.env["TMPDIR"] = "/proc/nonexistent";
  ExpectSuccess(pythons_.front(), RunProgram(command));
}

TEST_P(EveryPythonTest, LinesAreTracemallocsAndNativeMemoryIsOnThem) {
  for (const Python& python : pythons_) {
    for (const char* frames : {"1", "25"}) {
      SCOPED_TRACE(fmt::format("{}, {} frames", python.path, frames));
      const Outcome theirs = RunProgram(Untraced(python, {Script("allocation_shapes.py"), "tracemalloc", frames}));
      const Outcome ours =
          RunProgram(Traced(python, {Script("allocation_shapes.py"), "allocline", frames}, {"--start-stopped"}));
      ExpectSuccess(python, theirs);
      ExpectSuccess(python, ours);
      directory_.WriteFile("theirs.json", theirs.out);
      directory_.WriteFile("ours.json", ours.out);
      const Outcome compared = RunProgram(Untraced(python, {Script("compare_shapes.py"), "theirs.json", "ours.json"}));
      ExpectSuccess(python, compared);
      fmt::print("{}: {}", python.path, compared.out);
    }
  }
}

TEST_P(EveryPythonTest, StacksOfRecursionsAreTracemallocs) {
  for (const Python& python : pythons_) {
    const std::string seed = std::to_string(std::random_device{}() % 1'000'000);
    SCOPED_TRACE(fmt::format("{}, seed {}", python.path, seed));
    const Outcome theirs = RunProgram(Untraced(python, {Script("deep_walks.py"), "tracemalloc", seed}));
    const Outcome ours = RunProgram(Traced(python, {Script("deep_walks.py"), "allocline", seed}, {"--start-stopped"}));
    ExpectSuccess(python, theirs);
    ExpectSuccess(python, ours);
    EXPECT_TRUE(theirs.out == ours.out) << "the stacks differ";
  }
}

bool HasItsOwnTests(const Python& python) {
  return RunProgram({.argv = {python.path, "-c", "import test.test_tracemalloc"}}).ok();
}

TEST_P(EveryPythonTest, ItsOwnTestsOfTracemallocPassUnderTheTracer) {
  for (const Python& python : pythons_) {
    if (!HasItsOwnTests(python)) {
      fmt::print("skipped: {} comes without its tests (Lib/test)\n", python.path);
      continue;
    }
    ExpectSuccess(python, RunProgram(Traced(python, {"-m", "test", "test_tracemalloc"})));
  }
}

TEST_P(EveryPythonTest, ItsOwnTestsOfTracemallocPassOnThePackage) {
  for (const Python& python : pythons_) {
    if (!HasItsOwnTests(python)) {
      fmt::print("skipped: {} comes without its tests (Lib/test)\n", python.path);
      continue;
    }
    const Outcome outcome = RunProgram(Traced(python, {Script("cpython_tests.py")}, {"--start-stopped"}));
    ExpectSuccess(python, outcome);
    fmt::print("{}:\n{}", python.path, outcome.out);
  }
}

}  // namespace
}  // namespace allocline::testing
