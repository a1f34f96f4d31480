// `allocline diff`: what changed, and nothing else, whatever lies between the two sides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/ledger.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DiffTest : public ::testing::Test {
 protected:
  static HeldBy Changes(const std::string& old_state, const std::string& new_state, const Words& options = {}) {
    return GroupsOf(AnswerJson(Words{"diff", old_state, new_state, "-n", "1000"} + options), "_diff");
  }
  static void ExpectNoChange(const HeldBy& changes) {
    EXPECT_FALSE(changes.empty());
    for (const auto& [name, change] : changes) EXPECT_EQ(change, Held{}) << name;
  }
  // Where the program's first module was loaded.
  static uint64_t LoadAddress(const std::string& recording) {
    return AnswerJson({"info", recording, "--no-symbols"})["modules"][0]["start"];
  }

  const std::string rows_ = LedgerLine("rows"), deep_ = LedgerLine("deep");
  TempDir directory_;
};

TEST_F(DiffTest, TwoRunsAtOtherAddressesAreUnchangedLineForLine) {
  const Words what = {"rows", "100",    "64", "names", "20",      "500", "deep", "10",
                      "8",    "pooled", "30", "40",    "indexed", "5",   "7"};
  const std::string first = RecordLedger(directory_.path(), what), second = RecordLedger(directory_.path(), what);
  if (ReadFile("/proc/sys/kernel/randomize_va_space")[0] != '0') {
    EXPECT_NE(LoadAddress(first), LoadAddress(second));
  }
  for (const char* by : {"line", "function", "file", "module", "traceback"}) {
    SCOPED_TRACE(by);
    ExpectNoChange(Changes(first, second, {"--by", by}));
    ExpectNoChange(Changes(first, second, {"--by", by, "--innermost"}));
  }
  const std::string text = Answer({"diff", first, second});
  EXPECT_THAT(text, HasSubstr(LedgerLine("names") + ": size=10000 B (+0 B), count=20 (+0), average=500 B\n"));
  EXPECT_THAT(text, HasSubstr("live "));
}

TEST_F(DiffTest, ALineThatHoldsMoreInTheSecondRunLeadsAndIsTheOnlyOne) {
  const std::string first = RecordLedger(directory_.path(), {"rows", "100", "64", "deep", "10", "800"});
  const std::string second = RecordLedger(directory_.path(), {"rows", "150", "64", "deep", "10", "800"});
  EXPECT_EQ(Changes(first, second), (HeldBy{{rows_, {3200, 50}}, {deep_, {0, 0}}}));
  EXPECT_EQ(Changes(second, first), (HeldBy{{rows_, {-3200, -50}}, {deep_, {0, 0}}}));
  const std::string table = Answer({"diff", first, second});
  EXPECT_THAT(table.substr(table.find("\n\n")),
              StartsWith("\n\n" + rows_ + ": size=9600 B (+3200 B), count=150 (+50), average=64 B\n" + deep_ +
                         ": size=8000 B (+0 B), count=10 (+0), average=800 B\n"));
}

TEST_F(DiffTest, LinesThatOnlyOneSideHasCountInFull) {
  const std::string first = RecordLedger(directory_.path(), {"rows", "7", "10"});
  const std::string second = RecordLedger(directory_.path(), {"deep", "3", "5"});
  EXPECT_EQ(Changes(first, second), (HeldBy{{rows_, {-70, -7}}, {deep_, {15, 3}}}));
  EXPECT_THAT(Answer({"diff", first, second}), HasSubstr(rows_ + ": size=0 B (-70 B), count=0 (-7)\n"));
}

TEST_F(DiffTest, TwoLabelsOfOneRecording) {
  const std::string recording = RecordLedger(directory_.path(), {"rows", "10", "100", "label", "before", "deep", "4",
                                                                 "9", "rows", "1", "1", "label", "after"});
  EXPECT_EQ(Changes(recording + "@before", recording + "@after"), (HeldBy{{rows_, {1, 1}}, {deep_, {36, 4}}}));
  ExpectNoChange(Changes(recording + "@after", recording));
  const std::string text = Answer({"diff", recording + "@before", recording + "@after"});
  EXPECT_THAT(text, AllOf(StartsWith("new: ledger (pid "), HasSubstr("snapshot \"after\""),
                          HasSubstr("\nold: ledger (pid "), HasSubstr("snapshot \"before\"")));
  EXPECT_THAT(text, ContainsRegex("\nmemory: .*\nledger:   (container|RSS) [+-][0-9.]+ "));
}

TEST_F(DiffTest, ARunningProcessAgainstAFileAndAgainstItsOwnLabel) {
  const std::string file = RecordLedger(directory_.path(), {"rows", "10", "100"});
  const auto process = StartLedger(directory_.path(), {"rows", "10", "100", "label", "early", "deep", "2", "50"});
  const std::string pid = std::to_string(process->pid());
  EXPECT_EQ(Changes(file, pid), (HeldBy{{rows_, {0, 0}}, {deep_, {100, 2}}}));
  EXPECT_EQ(Changes(pid + "@early", pid), (HeldBy{{rows_, {0, 0}}, {deep_, {100, 2}}}));
  EXPECT_THAT(Answer({"diff", file, pid}),
              AllOf(HasSubstr("new: ledger (pid " + pid + "), running for "), HasSubstr(", ended ")));
}

// ---------------------------------------------------------------- across a rebuild

class RebuildTest : public DiffTest {
 protected:
  // The program in two files: rows.cc is the same in all builds, main.cc is not.
  void SetUp() override {
    WriteRows();
    main_ = directory_.WriteFile("main.cc",
                                 "void KeepRows();\n"
                                 "int main() { KeepRows(); }\n");
  }
  void WriteRows() {
    directory_.WriteFile("rows.cc",
                         "#include <cstdlib>\n"
                         "void* kept[10];\n"
                         "void KeepRows() {\n"
                         "  for (void*& row : kept) row = malloc(100);\n"
                         "}\n");
  }
  void ChangeMain() {
    directory_.WriteFile("main.cc",
                         "#include <cstdlib>\n"
                         "void KeepRows();\n"
                         "void* more[3];\n"
                         "void KeepMore() {\n"
                         "  for (void*& one : more) one = malloc(1000);\n"
                         "}\n"
                         "int main() { KeepMore(); KeepRows(); }\n");
  }
  std::string Build(const std::string& name) {
    const Outcome built = RunProgram(
        {.argv = {"g++", "-g", "-O1", "-o", directory_ / name, directory_ / "main.cc", directory_ / "rows.cc"}});
    EXPECT_TRUE(built.ok()) << built.err;
    return directory_ / name;
  }
  std::string Record(const std::string& program) { return RecordInto(directory_ / "recordings", {program}); }

  const HeldBy grown_ = {{"rows.cc:4", {0, 0}}, {"main.cc:5", {3000, 3}}};
  std::string main_;
};

TEST_F(RebuildTest, LinesThatDidNotMoveAreUnchanged) {
  const std::string first = Record(Build("monday"));
  ChangeMain();
  const std::string second = Record(Build("friday"));
  EXPECT_EQ(Changes(first, second), grown_);
}

TEST_F(RebuildTest, ASnapshotThatStandsAloneOutlivesItsBuild) {
  const std::string first = Record(Build("program"));
  Answer({"snapshot", first, "--label", "monday", "-o", directory_ / "monday.allocline"});
  ChangeMain();
  const std::string second = Record(Build("program"));  // over the old one
  EXPECT_EQ(Changes(directory_ / "monday.allocline", second), grown_);

  // Without it, the lines of the old build are gone, and the report says why instead of naming wrong ones.
  const std::string text = Answer({"top", first});
  EXPECT_THAT(text, AllOf(HasSubstr("another build than the recorded one"), Not(HasSubstr("main.cc:")),
                          Not(HasSubstr("rows.cc:"))));
}

}  // namespace
}  // namespace allocline::testing
