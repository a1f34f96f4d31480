// What the example connectors in Python promise: the lines that hold their memory, native memory among it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"
#include "tests/support/record.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Connector(const std::string& name) { return SourceDir() + "/examples/connectors/python/" + name; }

// "collect_all.py:17": the line of the source that says so.
std::string LineThatSays(const std::string& source, const std::string& remark) {
  std::istringstream lines(ReadFile(Connector(source)));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find(remark) != std::string::npos) return fmt::format("{}:{}", source, number);
  }
  return "no line says " + remark;
}

class PythonConnectorsTest : public ::testing::Test {
 protected:
  // The newest that has `module`; the tests are skipped, and say so, where there is none.
  void SetUp() override { ChooseWith("sqlite3"); }
  void ChooseWith(const std::string& module) {
    python_.clear();
    for (int minor = kFirstPythonMinor; minor <= kLastPythonMinor; ++minor) {
      for (const Python& python : PythonsOf(minor)) {
        if (RunProgram({.argv = {python.path, "-c", "import " + module}}).ok()) python_ = python.path;
      }
    }
    if (python_.empty()) GTEST_SKIP() << "no CPython from 3.8 on with " << module << " on this machine";
  }

  Outcome RunConnector(const std::string& name, const std::vector<std::string>& arguments = {}) const {
    std::vector<std::string> argv = {python_, "-B", Connector(name)};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunProgram({.argv = argv});
  }
  // Its recording. It makes a source of its own.
  std::string Record(const std::string& name) {
    const std::string output = directory_ / name;
    const Outcome run =
        RunProgram({.argv = {CliPath(), "run", "-q", "-o", output, "--", python_, "-B", Connector(name)}});
    EXPECT_TRUE(run.ok()) << run.Ending() << run.out.substr(0, 1000) << run.err;
    for (const std::string& recording : RecordingsIn(output)) {
      if (recording.find("/python3") != std::string::npos) return recording;  // pandas runs uname
    }
    ADD_FAILURE() << "no recording of python3";
    return "";
  }
  static std::string Answer(std::vector<std::string> words) {
    words.insert(words.begin(), CliPath());
    const Outcome outcome = RunProgram({.argv = words});
    EXPECT_TRUE(outcome.ok()) << outcome.err;
    return outcome.out;
  }
  // The first line of a report below its header.
  static std::string FirstLine(const std::string& report) {
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);) {
      if (line.find(": size=") != std::string::npos) return line;
    }
    return "no line in " + report;
  }
  static nlohmann::json Profile(const std::string& recording) {
    return nlohmann::json::parse(Answer({"top", "--json", recording}))["profile"];
  }
  std::string MakeSource(int rows) const {
    const std::string database = directory_ / "orders.db";
    EXPECT_TRUE(RunConnector("make_source.py", {database, std::to_string(rows)}).ok());
    directory_.WriteFile("configuration.json", nlohmann::json{{"database", database}}.dump());
    return directory_ / "configuration.json";
  }
  static std::multiset<int64_t> UpsertedIds(const std::string& output) {
    std::multiset<int64_t> ids;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json json = nlohmann::json::parse(line);
      if (json["type"] == "upsert") ids.insert(json["data"]["id"].get<int64_t>());
    }
    return ids;
  }

  TempDir directory_;
  std::string python_;
};

TEST_F(PythonConnectorsTest, BothSendEveryRowOnceWithoutATracerAndOnlyNewOnesLater) {
  const std::string configuration = MakeSource(1234);
  std::multiset<int64_t> all;
  for (int64_t id = 1; id <= 1234; ++id) all.insert(id);
  for (const char* name : {"collect_all.py", "stream.py"}) {
    const std::string state = directory_ / (std::string(name) + ".state.json");
    EXPECT_EQ(UpsertedIds(RunConnector(name, {configuration, state}).out), all) << name;
    MakeSource(1236);
    EXPECT_THAT(UpsertedIds(RunConnector(name, {configuration, state}).out), ElementsAre(1235, 1236)) << name;
    MakeSource(1234);
  }
}

TEST_F(PythonConnectorsTest, AMissingSourceIsOneSevereLineAndAFailure) {
  directory_.WriteFile("configuration.json", R"({"database": "/nonexistent/orders.db"})");
  const Outcome run = RunConnector("collect_all.py", {directory_ / "configuration.json"});
  EXPECT_EQ(run.Ending(), "exit 1");
  EXPECT_THAT(run.out, HasSubstr(R"("level": "severe", "message": "OperationalError: unable to open database file)"));
}

TEST_F(PythonConnectorsTest, TheLineThatKeepsEveryRowLeadsAndStreamingSavesIt) {
  const std::string keeper = LineThatSays("collect_all.py", "<- keeps every row");
  const std::string collect_all = Record("collect_all.py");
  EXPECT_THAT(FirstLine(Answer({"top", collect_all + "@after fetch"})), StartsWith(keeper + ": size="));
  EXPECT_THAT(FirstLine(Answer({"diff", collect_all + "@before fetch", collect_all + "@after fetch"})),
              StartsWith(keeper + ": size="));
  EXPECT_EQ(Profile(collect_all + "@after fetch")["rows"], 50000);

  const std::string stream = Record("stream.py");
  const double kept = Profile(collect_all)["traced"]["peak_bytes"], streamed = Profile(stream)["traced"]["peak_bytes"];
  EXPECT_GT(kept, 25e6);
  EXPECT_GT(kept / streamed, 3);  // most of the rest is the interpreter and what it imported
  EXPECT_THAT(Answer({"diff", stream + "@before fetch", collect_all + "@after fetch"}), HasSubstr(keeper));
}

TEST_F(PythonConnectorsTest, NativeMemoryOfAnExtensionIsOnTheLineThatAskedForIt) {
  ChooseWith("pandas");
  if (IsSkipped()) return;
  const std::string recording = Record("customer_totals.py"), label = recording + "@after read";
  const std::string line = LineThatSays("customer_totals.py", "<- holds every order");
  EXPECT_THAT(FirstLine(Answer({"diff", recording + "@before read", label})), StartsWith(line + ": size="));
  // numpy's arrays: three columns of numbers, one of pointers.
  const std::string native = Answer({"top", label, "--domain", "malloc"});
  EXPECT_THAT(FirstLine(native), StartsWith(line + ": size="));
  const nlohmann::json report =
      nlohmann::json::parse(Answer({"top", label, "--domain", "malloc", "--json", "-n", "1"}));
  EXPECT_GE(report["statistics"][0]["size"], 4 * 8 * 50000);
}

}  // namespace
}  // namespace allocline::testing
