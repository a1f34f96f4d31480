// Seven ways to fill a container, over real sources and under a real limit: the kernel kills each connector of
// examples/causes/, and what is left names the line that its source marks, and the cause; its mended twin passes,
// without a finding.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/examples/findings.h"
#include "tests/support/memory_cgroup.h"
#include "tests/support/postgres_server.h"
#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kLimit = 256 << 20;

std::string Sources() { return SourceDir() + "/examples/causes/"; }

// "collect_first.cc:17": the one line of the connector's source that says "// <- ".
std::string MarkedLine(const std::string& stem) {
  std::istringstream source(ReadFile(Sources() + stem + ".cc"));
  std::string marked;
  int number = 0;
  for (std::string line; std::getline(source, line);) {
    ++number;
    if (line.find("// <- ") == std::string::npos) continue;
    EXPECT_EQ(marked, "") << "two lines are marked in " << stem;
    marked = stem + ".cc:" + std::to_string(number);
  }
  EXPECT_NE(marked, "") << "no line is marked in " << stem;
  return marked;
}

bool IsBuilt(const std::string& stem) {
  return std::string(" " ALLOCLINE_CAUSES " ").find(" " + stem + " ") != std::string::npos;
}
#define NEEDS_TO_BE_BUILT(stem) \
  if (!IsBuilt(stem)) GTEST_SKIP() << stem << " needs a library that is not installed"

// Where the rows go.
class Destination {
 public:
  Destination() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "pipe2";
  }
  ~Destination() {
    if (reader_.joinable()) reader_.join();  // the connector has ended: nobody holds the other end
    for (const int end : ends_) close(end);
  }
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  // What a connector is given as its standard output.
  int end() const { return ends_[1]; }
  // Takes rows until one of them holds `text`, and then no more.
  bool TakeUntil(const std::string& text) {
    std::string got;
    std::array<char, 4096> buffer;
    ssize_t n;
    while ((n = read(ends_[0], buffer.data(), buffer.size())) > 0) {
      got.append(buffer.data(), static_cast<size_t>(n));
      if (got.find(text) != std::string::npos) return true;
      got.erase(0, got.size() - std::min(got.size(), text.size()));
    }
    return false;
  }
  // Takes everything, after it was busy for a while. The connector runs, and nobody else writes from here on.
  void TakeAllAfter(std::chrono::milliseconds busy) {
    close(std::exchange(ends_[1], -1));
    reader_ = std::thread([end = ends_[0], busy] {
      std::this_thread::sleep_for(busy);
      std::array<char, 65536> buffer;
      while (read(end, buffer.data(), buffer.size()) > 0) {
      }
    });
  }

 private:
  std::array<int, 2> ends_{-1, -1};
  std::thread reader_;
};

class CauseTest : public ::testing::Test {
 protected:
  void MakeSource(const std::string& what, const std::string& name, const std::string& mib) {
    const Outcome made = RunProgram({.argv = {BuildDir() + "/bin/make_helpdesk", what, directory_ / name, mib}});
    ASSERT_TRUE(made.ok()) << made.err;
  }
  void MakePostgres(const std::string& mib) {
    postgres_.emplace();
    postgres_->RunScript(Sources() + "make_helpdesk.sql", {"-v", "mib=" + mib});
    configuration_["postgres"] = postgres_->where();
  }
  // The connector's program and its arguments.
  Words Connector(const std::string& name) {
    return {BuildDir() + "/bin/" + name, directory_.WriteFile("configuration.json", configuration_.dump())};
  }

  TempDir directory_;
  json configuration_ = {{"database", directory_ / "helpdesk.db"},
                         {"export", directory_ / "tickets.json"},
                         {"tickets", directory_ / "tickets.csv"},
                         {"customers", directory_ / "customers.csv"}};
  std::optional<PostgresServer> postgres_;
};

// ---------------------------------------------------------------- in a container of 256 MiB

class ContainerOfCausesTest : public CauseTest {
 protected:
  void SetUp() override {
    const MemoryCgroup container(kLimit);
    if (!container.why_not().empty()) GTEST_SKIP() << container.why_not();
  }

  // The connector under `allocline run`, both in a container; its rows go nowhere, or to `destination`, which is called
  // upon once it runs.
  Outcome RunInContainer(const std::string& name, Destination* destination, const std::function<void()>& once_it_runs) {
    const MemoryCgroup container(kLimit);
    Words words = {"run", "-o", directory_ / ("recordings-" + name), "--"};
    for (const std::string& word : Connector(name)) words.push_back(word);
    Process process({.argv = AlloclineWords(words),
                     .time_limit = std::chrono::minutes(2),
                     .in_child = [=, enter = container.Enters()] {
                       // Not into the files in memory that a Process has: they would be the container's.
                       const int end = destination != nullptr ? destination->end() : open("/dev/null", O_WRONLY);
                       if (dup2(end, STDOUT_FILENO) < 0) _exit(97);
                       enter();
                     }});
    if (once_it_runs) once_it_runs();
    return process.Wait();
  }

  void ExpectKilled(const std::string& name, const std::string& cause, Destination* destination = nullptr) {
    SCOPED_TRACE(name);
    const Outcome outcome = RunInContainer(name, destination, nullptr);
    EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.Ending();
    // More than half of the container is on the one line.
    EXPECT_THAT(outcome.err, ContainsRegex("^allocline: " + name +
                                           " was killed by the container's OOM killer at 2[0-9]+ of 256 MiB; live by "
                                           "line:\n" +
                                           MarkedLine(name) + ": size=(1[3-9]|2[0-9])[0-9] MiB, count="));
    EXPECT_THAT(outcome.err, HasSubstr("\nexplain: " + MarkedLine(name) + ": "));
    EXPECT_EQ(FindingsIn(directory_ / ("recordings-" + name)), cause + " " + MarkedLine(name));
  }
  void ExpectPasses(const std::string& name, Destination* destination = nullptr,
                    const std::function<void()>& once_it_runs = nullptr) {
    SCOPED_TRACE(name);
    const Outcome outcome = RunInContainer(name, destination, once_it_runs);
    EXPECT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("allocline: " + name + " exited with 0"));
    EXPECT_THAT(outcome.err, ContainsRegex("\ntraced: .* peak ([0-9.]+ KiB|[0-9.]{1,4} MiB)"));  // below 100 MiB
    EXPECT_EQ(FindingsIn(directory_ / ("recordings-" + name)), "");
  }
};

TEST_F(ContainerOfCausesTest, CollectingAllDataBeforeUpserting) {
  MakeSource("database", "helpdesk.db", "120");
  ExpectKilled("collect_first", "collects_all");
  ExpectPasses("collect_first_mended");
}

TEST_F(ContainerOfCausesTest, LoadingALargeFileWhole) {
  MakeSource("export", "tickets.json", "40");
  ExpectKilled("whole_file", "whole_file");
  ExpectPasses("whole_file_mended");
}

TEST_F(ContainerOfCausesTest, JoiningAndAggregatingInMemory) {
  NEEDS_TO_BE_BUILT("join_in_memory");
  MakeSource("csv", ".", "30");
  ExpectKilled("join_in_memory", "join_in_memory");
  ExpectPasses("join_in_memory_mended");
}

TEST_F(ContainerOfCausesTest, CachingAsLongAsTheSyncLasts) {
  MakeSource("database", "helpdesk.db", "120");
  ExpectKilled("endless_cache", "cache");
  ExpectPasses("endless_cache_mended");
}

// The destination is busy: for good, or for half a second in which the mended one's threads come to wait for it.
TEST_F(ContainerOfCausesTest, FetchingInParallelWithoutBackpressure) {
  MakeSource("database", "helpdesk.db", "120");
  Destination never_takes_any, takes_all_later;
  ExpectKilled("eager_fetch", "parallel_fetch", &never_takes_any);
  ExpectPasses("eager_fetch_mended", &takes_all_later,
               [&] { takes_all_later.TakeAllAfter(std::chrono::milliseconds(500)); });
}

// In one test, for the server that takes a second to set up.
TEST_F(ContainerOfCausesTest, QueryingADatabaseUnbatchedAndKeepingLargeObjects) {
  NEEDS_TO_BE_BUILT("fetch_all");
  NEEDS_TO_BE_BUILT("big_objects");
  MakePostgres("280");
  ExpectKilled("fetch_all", "whole_result");
  ExpectPasses("fetch_all_mended");
  ExpectKilled("big_objects", "large_objects");
  ExpectPasses("big_objects_mended");
}

// ---------------------------------------------------------------- anywhere

TEST_F(CauseTest, WhenEvenAlloclineRunIsKilledTheRecordingNamesTheSameLine) {
  MakeSource("database", "helpdesk.db", "20");
  Destination destination;
  Words words = {"run", "-o", directory_ / "recordings", "--"};
  for (const std::string& word : Connector("collect_first")) words.push_back(word);
  Process process({.argv = AlloclineWords(words), .in_child = [&] { dup2(destination.end(), STDOUT_FILENO); }});
  ASSERT_TRUE(destination.TakeUntil(R"("type":"upsert")"));  // it has collected everything, and waits to send it
  ASSERT_EQ(kill(-process.pid(), SIGKILL), 0);
  EXPECT_EQ(process.Wait().Ending(), "signal 9 (Killed)");
  ASSERT_EQ(RecordingsIn(directory_ / "recordings").size(), 1u);
  const Outcome top = Allocline({"top", "-n", "1", "--json", RecordingsIn(directory_ / "recordings").front()});
  ASSERT_TRUE(top.ok()) << top.err;
  EXPECT_THAT(top.out, HasSubstr(MarkedLine("collect_first")));
}

// What was sent. Where an object came in parts, its text is put together again.
std::multiset<std::string> RowsOf(const std::string& output) {
  std::multiset<std::string> rows;
  std::map<int64_t, std::string> objects;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(R"("type":"upsert")") == std::string::npos) continue;
    if (line.find(R"("part":)") == std::string::npos) {
      rows.insert(line);
      continue;
    }
    const json row = json::parse(line).at("data");
    objects[row.at("id").get<int64_t>()] += row.at("text").get<std::string>();
  }
  for (const auto& [id, text] : objects) rows.insert(std::to_string(id) + text);
  return rows;
}

TEST_F(CauseTest, TheMendedTwinsSendTheSameRows) {
  MakeSource("database", "helpdesk.db", "0.3");
  MakeSource("export", "tickets.json", "0.3");
  MakeSource("csv", ".", "0.1");
  if (IsBuilt("fetch_all")) MakePostgres("1");
  std::istringstream stems(ALLOCLINE_CAUSES);
  for (std::string stem; stems >> stem;) {
    SCOPED_TRACE(stem);
    const Outcome bad = RunProgram({.argv = Connector(stem)});
    const Outcome mended = RunProgram({.argv = Connector(stem + "_mended")});
    EXPECT_TRUE(bad.ok()) << bad.out;
    EXPECT_TRUE(mended.ok()) << mended.out;
    const auto rows = RowsOf(bad.out);
    EXPECT_GE(rows.size(), stem == "big_objects" ? 2u : 100u);
    EXPECT_TRUE(RowsOf(mended.out) == rows);
  }
}

}  // namespace
}  // namespace allocline::testing
