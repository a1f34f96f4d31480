// What the example connectors promise to someone who runs `./dev demo` first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> SplitLines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool Contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// "collect_all.cc:26": where the source says its rows are kept.
std::string LineThatKeepsTheRows(const std::string& folder, const std::string& file) {
  const std::vector<std::string> lines = SplitLines(ReadFile(SourceDir() + "/examples/connectors/" + folder + file));
  const auto marked =
      std::ranges::find_if(lines, [](const std::string& line) { return Contains(line, "<- keeps every row"); });
  EXPECT_NE(marked, lines.end());
  return file + ":" + std::to_string(marked - lines.begin() + 1);
}

// The first line of the table printed by the command whose echo, "$ allocline ...", matches `command`.
std::string FirstLineOf(const std::string& output, const std::string& command) {
  bool inside = false;
  for (const std::string& line : SplitLines(output)) {
    if (line.starts_with("$ ")) inside = std::regex_search(line, std::regex(command));
    if (inside && Contains(line, ": size=")) return line;
  }
  return "no table after " + command;
}

TEST(DemoTest, NamesTheLineThatKeepsTheRowsAndShowsWhatStreamingSaves) {
  const TempDir directory;
  const Outcome demo = RunProgram({.argv = {SourceDir() + "/examples/demo", BuildDir(), directory / "demo"},
                                   .time_limit = std::chrono::minutes(2)});
  ASSERT_TRUE(demo.ok()) << demo.Ending() << "\n" << demo.out << demo.err;

  const auto expect_of = [&](const std::string& suffix, const std::string& keeper, double least_times) {
    SCOPED_TRACE(keeper);
    EXPECT_THAT(FirstLineOf(demo.out, "top .*/collect_all" + suffix + "/"), StartsWith(keeper + ": size="));
    EXPECT_THAT(FirstLineOf(demo.out, "diff .*/collect_all" + suffix + "/.*before.*after"),
                StartsWith(keeper + ": size="));
    std::smatch match;
    const std::regex peaks(" collect_all" + suffix + " +([0-9.]+) MiB\n *stream" + suffix +
                           " +([0-9.]+) MiB +([0-9]+) times lower");
    ASSERT_TRUE(std::regex_search(demo.out, match, peaks)) << demo.out;
    const double collect_all_mib = std::stod(match[1]), stream_mib = std::stod(match[2]);
    EXPECT_GT(collect_all_mib, 100);
    EXPECT_GE(collect_all_mib / stream_mib, least_times);
    EXPECT_GE(std::stoi(match[3]), least_times);
  };
  expect_of("", LineThatKeepsTheRows("", "collect_all.cc"), 20);
  if (Contains(demo.out, "No Python connectors")) GTEST_SKIP() << "no python3 from 3.8 on, with sqlite3, here";
  expect_of(".py", LineThatKeepsTheRows("python/", "collect_all.py"), 10);
}

class ConnectorTest : public ::testing::Test {
 protected:
  void MakeSource(int rows) {
    const Outcome made =
        RunProgram({.argv = {BuildDir() + "/bin/make_source", directory_ / "orders.db", std::to_string(rows)}});
    ASSERT_TRUE(made.ok()) << made.err;
    directory_.WriteFile("configuration.json", nlohmann::json{{"database", directory_ / "orders.db"}}.dump());
  }
  Command Connector(const std::string& name) {
    return {.argv = {BuildDir() + "/bin/" + name, directory_ / "configuration.json", directory_ / "state.json"}};
  }
  // The ids of the orders sent. A last line cut short by a kill does not count.
  static std::multiset<int64_t> UpsertedIds(const std::string& output) {
    std::multiset<int64_t> ids;
    for (const std::string& line : SplitLines(output)) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (json.is_object() && json.value("type", "") == "upsert") ids.insert(json["data"]["id"].get<int64_t>());
    }
    return ids;
  }
  static std::multiset<int64_t> IdsUpTo(int64_t last) {
    std::multiset<int64_t> ids;
    for (int64_t id = 1; id <= last; ++id) ids.insert(id);
    return ids;
  }
  TempDir directory_;
};

TEST_F(ConnectorTest, BothSendEveryRowOnce) {
  MakeSource(1234);
  for (const char* name : {"collect_all", "stream"}) {
    Command command = Connector(name);
    command.argv.pop_back();  // no state: a first run each
    const Outcome run = RunProgram(command);
    EXPECT_TRUE(run.ok()) << name;
    EXPECT_EQ(UpsertedIds(run.out), IdsUpTo(1234)) << name;
  }
}

TEST_F(ConnectorTest, ASecondRunSendsOnlyWhatIsNew) {
  MakeSource(1000);
  ASSERT_TRUE(RunProgram(Connector("stream")).ok());
  MakeSource(1003);
  EXPECT_EQ(UpsertedIds(RunProgram(Connector("stream")).out), (std::multiset<int64_t>{1001, 1002, 1003}));
}

TEST_F(ConnectorTest, AStreamThatIsKilledLosesNoRow) {
  MakeSource(200'000);
  Process killed(Connector("stream"));
  ASSERT_TRUE(killed.WaitForOutput(R"("type":"checkpoint")"));
  killed.Signal(SIGKILL);
  const Outcome first = killed.Wait();
  ASSERT_EQ(first.Ending(), "signal 9 (Killed)");
  std::multiset<int64_t> ids = UpsertedIds(first.out);
  ASSERT_LT(ids.size(), 200'000);
  const Outcome second = RunProgram(Connector("stream"));
  ASSERT_TRUE(second.ok());
  ids.merge(UpsertedIds(second.out));
  EXPECT_EQ((std::set<int64_t>(ids.begin(), ids.end()).size()), 200'000);
}

TEST_F(ConnectorTest, AMissingSourceIsOneSevereLineAndAFailure) {
  directory_.WriteFile("configuration.json", R"({"database": "/nonexistent/orders.db"})");
  const Outcome run = RunProgram(Connector("collect_all"));
  EXPECT_EQ(run.Ending(), "exit 1");
  EXPECT_THAT(run.out, HasSubstr(R"("level":"severe")"));
  EXPECT_THAT(run.out, HasSubstr("/nonexistent/orders.db"));
}

}  // namespace
}  // namespace allocline::testing
