// The ledger of whole programs, in a real container: nearly all of what the kernel charges has a name, and the part
// that is large is the right one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "recording/reader.h"
#include "report/ledger.h"
#include "tests/support/memory_cgroup.h"
#include "tests/support/paths.h"
#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kMany = 64 * kMiB;  // what a program of memory_parts holds

int64_t RssOf(const LedgerView& view, LedgerPart part) {
  int64_t bytes = 0;
  for (const LedgerRow& row : view.rows) bytes += row.part == part ? row.rss_bytes : 0;
  return bytes;
}
int64_t ContainerOf(const LedgerView& view, LedgerPart part) {
  int64_t bytes = 0;
  for (const LedgerRow& row : view.rows) bytes += row.part == part ? row.container_bytes : 0;
  return bytes;
}

std::string TextOf(const RecordedLedger& ledger) { return LedgerLine(ledger) + "\n" + LedgerTable(ledger, "  "); }

// At least 95 % of either figure.
void ExpectExplained(const RecordedLedger& ledger) {
  const LedgerView view = MakeLedgerView(ledger);
  ASSERT_TRUE(view.container_bytes.has_value()) << TextOf(ledger);
  const auto rss = static_cast<int64_t>(view.rss_bytes), container = static_cast<int64_t>(*view.container_bytes);
  EXPECT_GT(rss, 0);
  EXPECT_GT(container, 0);
  EXPECT_LE(std::abs(RssOf(view, LedgerPart::kUnexplained)), rss / 20) << TextOf(ledger);
  EXPECT_LE(std::abs(ContainerOf(view, LedgerPart::kUnexplained)), container / 20) << TextOf(ledger);
  int64_t rss_sum = 0, container_sum = 0;
  for (const LedgerRow& row : view.rows) {
    rss_sum += row.rss_bytes;
    container_sum += row.container_bytes;
  }
  EXPECT_EQ(rss_sum, rss);
  EXPECT_EQ(container_sum, container);
}

class MemoryPartsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!container_.why_not().empty()) GTEST_SKIP() << container_.why_not();
  }
  std::map<std::string, std::string> Traced() const { return TracingEnvironment(directory_.path()); }
  Command Program(const std::string& what, const std::string& then) const {
    return {.argv = {BuildDir() + "/programs/e2e/memory_parts", what, then},
            .env = Traced(),
            .directory = directory_.path(),
            .in_child = container_.Enters()};
  }
  Recording TheRecording() const {
    const std::vector<std::string> paths = RecordingsIn(directory_.path());
    if (paths.size() != 1) throw std::runtime_error("not one recording but " + std::to_string(paths.size()));
    absl::StatusOr<Recording> recording = Recording::Open(paths[0]);
    if (!recording.ok()) throw std::runtime_error(recording.status().ToString());
    return *std::move(recording);
  }
  // Of the snapshot that the program takes when it holds what it should.
  RecordedLedger LedgerOf(const std::string& what) const {
    const Outcome outcome = RunProgram(Program(what, "snapshot"));
    EXPECT_TRUE(outcome.ok()) << outcome.Ending() << outcome.err;
    const Recording recording = TheRecording();
    if (recording.snapshots().empty() || !recording.snapshots().back().ledger) throw std::runtime_error("no ledger");
    EXPECT_EQ(recording.snapshots().back().label, "full");
    return *recording.snapshots().back().ledger;
  }

  MemoryCgroup container_{256 << 20};
  TempDir directory_;
};

TEST_F(MemoryPartsTest, TheRowsOfAConnectorAreTraced) {
  const RecordedLedger ledger = LedgerOf("rows");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GT(RssOf(view, LedgerPart::kTraced), kMany * 9 / 10) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kUnknown), kMiB) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, HalfOfABufferThatWasNotTouchedIsNotInTheSum) {
  const RecordedLedger ledger = LedgerOf("buffers");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_NEAR(static_cast<double>(ledger.figures.traced_bytes), kMany, kMiB) << TextOf(ledger);
  EXPECT_NEAR(static_cast<double>(ledger.figures.untouched_bytes), kMany / 4, kMiB) << TextOf(ledger);
  EXPECT_NEAR(static_cast<double>(RssOf(view, LedgerPart::kTraced)), kMany * 3 / 4, kMiB) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kUnknown), kMiB) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, StacksOfThreadsThatNeverAllocateAreStacks) {
  const RecordedLedger ledger = LedgerOf("stacks");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GE(ledger.figures.stacks, 201) << TextOf(ledger);
  EXPECT_GE(RssOf(view, LedgerPart::kStacks), 200 * (320 << 10)) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kUnknown), kMiB) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, ALargeFileThatIsMappedIsNamed) {
  const RecordedLedger ledger = LedgerOf("file");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GE(RssOf(view, LedgerPart::kFiles), kMany) << TextOf(ledger);
  EXPECT_THAT(LedgerTable(ledger, ""), ContainsRegex("\nmapped files .*large_file_.* 64\\.[01] MiB"));
}

TEST_F(MemoryPartsTest, ALibraryWithAnAllocatorOfItsOwnIsNamed) {
  const RecordedLedger ledger = LedgerOf("pool");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GE(RssOf(view, LedgerPart::kMappedByCode), kMany) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kUnknown), kMiB) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kSlack), kMiB) << TextOf(ledger);
  EXPECT_THAT(LedgerLine(ledger), ContainsRegex("[0-9.]+ mapped by libprivate_pool\\.so"));
}

TEST_F(MemoryPartsTest, MemoryThatIsTakenPastLibcIsSaidToBeOfUnknownOrigin) {
  const RecordedLedger ledger = LedgerOf("kernel");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GE(RssOf(view, LedgerPart::kUnknown), kMany) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kUnknown), kMany + kMiB) << TextOf(ledger);
  EXPECT_LT(RssOf(view, LedgerPart::kSlack), kMiB) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, AFragmentedHeapIsSlackAndItsFreePagesAreCounted) {
  const RecordedLedger ledger = LedgerOf("fragments");
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GT(RssOf(view, LedgerPart::kSlack), kMany * 9 / 10) << TextOf(ledger);
  // A block every 16 KiB: it shares one page with nobody, or two if it lies across.
  EXPECT_GT(static_cast<int64_t>(ledger.figures.free_page_bytes), kMany * 11 / 16) << TextOf(ledger);
  EXPECT_LE(static_cast<int64_t>(ledger.figures.free_page_bytes), kMany * 13 / 16) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, AProgramThatEndsLeavesItsLastLedger) {
  const Outcome outcome = RunProgram(Program("fragments", "exit"));
  ASSERT_TRUE(outcome.ok()) << outcome.Ending() << outcome.err;
  const Recording recording = TheRecording();
  ASSERT_TRUE(recording.ledger().has_value());
  ExpectExplained(*recording.ledger());
  EXPECT_GT(RssOf(MakeLedgerView(*recording.ledger()), LedgerPart::kSlack), kMany * 9 / 10);
  EXPECT_EQ(recording.ledger()->figures.rss_bytes, recording.header().rss_bytes);
}

TEST_F(MemoryPartsTest, AProgramThatIsKilledLeavesTheLedgerOfALittleEarlier) {
  const Outcome outcome = RunProgram(Program("rows", "kill"));
  ASSERT_EQ(outcome.Ending(), "signal 9 (Killed)");
  const Recording recording = TheRecording();
  ASSERT_TRUE(recording.ledger().has_value());
  const RecordedLedger& ledger = *recording.ledger();
  ExpectExplained(ledger);
  EXPECT_GT(RssOf(MakeLedgerView(ledger), LedgerPart::kTraced), kMany / 2) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, AProgramThatTheContainerKillsHasALedgerOfTheLastRung) {
  // The parts of a process at 95 % of its limit are what one wants to know of it.
  const Outcome outcome = RunProgram({.argv = {BuildDir() + "/programs/e2e/climbs", "grow", "65536"},
                                      .env = Traced(),
                                      .in_child = container_.Enters()});
  ASSERT_EQ(outcome.Ending(), "signal 9 (Killed)");
  const Recording recording = TheRecording();
  absl::StatusOr<size_t> rung = recording.FindSnapshot("limit-95%");
  ASSERT_TRUE(rung.ok()) << rung.status().ToString();
  ASSERT_TRUE(recording.snapshots()[*rung].ledger.has_value());
  const RecordedLedger& ledger = *recording.snapshots()[*rung].ledger;
  ExpectExplained(ledger);
  EXPECT_GT(ledger.figures.container_usage_bytes, uint64_t{256 << 20} / 100 * 90);
  EXPECT_EQ(ledger.figures.container_limit_bytes, uint64_t{256 << 20});
  EXPECT_GT(RssOf(MakeLedgerView(ledger), LedgerPart::kTraced), 200 * kMiB) << TextOf(ledger);
}

TEST_F(MemoryPartsTest, RedisOverJemallocIsExplained) {
  ASSERT_NE(FindProgram("redis-server"), "") << "redis-server is not installed";
  const std::string socket = directory_ / "redis.sock";
  {
    Process server(
        {.argv = {"redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory_.path()},
         .env = Traced(),
         .in_child = container_.Enters()});
    ASSERT_TRUE(server.WaitForOutput("accept connections"));
    const Outcome load =
        RunProgram({.argv = {"redis-cli", "-s", socket, "eval",
                             "for i = 1, 60000 do redis.call('set', 'key' .. i, string.rep('v', 900)) end", "0"}});
    ASSERT_TRUE(load.ok()) << load.Ending();
    server.Signal(SIGTERM);
    ASSERT_TRUE(server.Wait().ok());
  }
  const Recording recording = TheRecording();
  ASSERT_TRUE(recording.ledger().has_value());
  const RecordedLedger& ledger = *recording.ledger();
  ExpectExplained(ledger);
  const LedgerView view = MakeLedgerView(ledger);
  EXPECT_GT(RssOf(view, LedgerPart::kTraced), 60000 * 900) << TextOf(ledger);
  EXPECT_EQ(RssOf(view, LedgerPart::kMappedByCode), 0) << "jemalloc is the allocator here: " << TextOf(ledger);
}

TEST_F(MemoryPartsTest, TheReportsShowIt) {
  const Outcome outcome = RunProgram(Program("pool", "exit"));
  ASSERT_TRUE(outcome.ok()) << outcome.Ending() << outcome.err;
  const std::string recording = TheRecording().path();
  EXPECT_THAT(Allocline({"top", recording}).out,
              ContainsRegex("\nledger:   container [0-9.]+ MiB = .*[0-9.]+ mapped by libprivate_pool\\.so"));
  EXPECT_THAT(
      Allocline({"info", "--no-symbols", recording}).out,
      ContainsRegex("\n  mapped by libprivate_pool\\.so +6[45]\\.[0-9] MiB +6[45]\\.[0-9] MiB   taken by mmap"));
  const nlohmann::json json = nlohmann::json::parse(Allocline({"top", "--json", recording}).out);
  const nlohmann::json info = nlohmann::json::parse(Allocline({"info", "--json", "--no-symbols", recording}).out);
  const nlohmann::json* ledgers[] = {&json, &info};
  for (const nlohmann::json* document : ledgers) {
    const auto text = document->dump();
    EXPECT_THAT(text, HasSubstr("\"part\":\"mapped_by_code\""));
  }
}

}  // namespace
}  // namespace allocline::testing
