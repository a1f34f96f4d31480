// What `top`, `snapshot` and `info` print of a program whose every figure is known: as text, as JSON, and with every
// option. Numbers come from the program's arguments, lines from the markers in its source.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "tests/e2e/ledger.h"
#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::StartsWith;

// One recording for all tests of a kind: they only read it.
class ReportsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDir;
    recording_ = new std::string(RecordLedger(
        directory_->path(),
        {"churn", "1000", "70",     "rows", "100", "64",      "label", "early", "names",   "20", "500", "deep",
         "10",    "8",    "pooled", "30",   "40",  "indexed", "50",    "32",    "indexed", "5",  "32"}));
  }
  static void TearDownTestSuite() {
    delete recording_;
    delete directory_;
  }

  static std::string First(const Words& options) {
    const Json report = AnswerJson(Words{"top", *recording_} + options);
    return report["statistics"].empty() ? "nothing" : ShortName(report["statistics"][0]["name"]);
  }
  // The table of the text report: its lines below the header.
  static std::vector<std::string> Table(const Words& options) {
    std::istringstream text(Answer(Words{"top", *recording_} + options));
    std::vector<std::string> lines;
    bool below = false;
    for (std::string line; std::getline(text, line);) {
      if (below) lines.push_back(line);
      below |= line.empty();
    }
    return lines;
  }

  static inline TempDir* directory_ = nullptr;
  static inline std::string* recording_ = nullptr;

  const std::string rows_ = LedgerLine("rows"), names_ = LedgerLine("names"), deep_ = LedgerLine("deep"),
                    recursion_ = LedgerLine("recursion"), indexed_ = LedgerLine("indexed"),
                    spawned_ = LedgerLine("spawned"), churn_ = LedgerLine("churn"), pooled_ = LedgerLine("pooled"),
                    pool_ = LineOfMarker("pool.h", "pool");
  // All but what pthread_create() keeps, which is libc's business.
  const HeldBy lines_ = {
      {rows_, {6400, 100}}, {names_, {10000, 20}}, {deep_, {80, 10}}, {pool_, {1200, 30}}, {indexed_, {1760, 55}}};
};

TEST_F(ReportsTest, EveryLineHoldsWhatTheProgramKept) {
  HeldBy top = Top(*recording_);
  EXPECT_GE(top[spawned_].count, 1);
  top.erase(spawned_);
  EXPECT_EQ(top, lines_);
}

TEST_F(ReportsTest, TextAndJsonSayTheSame) {
  for (const char* by : {"line", "function", "file", "module", "thread", "traceback"}) {
    SCOPED_TRACE(by);
    const Json report = AnswerJson({"top", *recording_, "--by", by});
    EXPECT_EQ(report["schema"], "allocline.top/1");
    EXPECT_EQ(report["options"]["by"], by);
    std::vector<std::string> lines;
    for (const std::string& line : Table({"--by", by})) {
      if (!line.starts_with("  ")) lines.push_back(line);  // not a traceback's frames
    }
    ASSERT_EQ(lines.size(), report["statistics"].size());
    int64_t size = 0, count = 0;
    for (size_t i = 0; i < lines.size(); ++i) {
      const Json& group = report["statistics"][i];
      // Every size below 10 KiB is printed in bytes.
      EXPECT_THAT(lines[i], HasSubstr(fmt::format(", count={}, average=", group["count"].get<int64_t>())));
      if (group["size"] < 10240) {
        EXPECT_THAT(lines[i], HasSubstr(fmt::format(": size={} B,", group["size"].get<int64_t>())));
      }
      EXPECT_NEAR(group["average"], group["size"].get<double>() / group["count"].get<double>(), 1e-9);
      size += group["size"].get<int64_t>();
      count += group["count"].get<int64_t>();
    }
    EXPECT_EQ(report["profile"]["traced"]["live_bytes"], size) << "however it is grouped, the sum is what is live";
    EXPECT_EQ(report["profile"]["traced"]["live_blocks"], count);
    EXPECT_EQ(report["profile"]["resolved"]["line_bytes"], size);
  }
}

TEST_F(ReportsTest, TheHeaderTellsTheProcessItsMemoryAndWhatIsMissing) {
  const Json profile = AnswerJson({"top", *recording_})["profile"];
  const std::string text = Answer({"top", *recording_});
  EXPECT_THAT(text, ContainsRegex("^ledger [(]pid [0-9]+[)], ended [0-9.]+ s after the start\n"
                                  "traced:   live [0-9.]+ KiB in [0-9]+ blocks, peak [0-9.]+ KiB.*\n"
                                  "memory:   RSS [0-9]+ KiB, container .*\n"
                                  "ledger:   (RSS|container) [0-9.]+ .iB = .*\n"
                                  "resolved: 100% of live bytes to a line\n"
                                  "dropped:  .*\n"));
  EXPECT_THAT(text, HasSubstr("(pid " + std::to_string(profile["pid"].get<int>()) + ")"));
  EXPECT_EQ(profile["exited"], true);
  EXPECT_EQ(profile["running"], false);
  EXPECT_EQ(profile["recording"], *recording_);
  EXPECT_EQ(profile["program"], fs::canonical(E2eProgram("ledger")).string());
  EXPECT_GE(profile["traced"]["peak_bytes"], profile["traced"]["live_bytes"]);
  EXPECT_GT(profile["memory"]["rss_bytes"], profile["traced"]["live_bytes"]);
}

TEST_F(ReportsTest, ALabelShowsItsMoment) {
  EXPECT_EQ(Top(*recording_ + "@early"), (HeldBy{{rows_, {6400, 100}}}));
  EXPECT_THAT(Answer({"top", *recording_ + "@early"}), ContainsRegex("^ledger .*, snapshot \"early\" [0-9.]+ s after"));
}

TEST_F(ReportsTest, BlocksAreGroupedByEveryKey) {
  HeldBy functions = Top(*recording_, {"--by", "function"});
  EXPECT_EQ(functions["Rows(unsigned long, unsigned long)"], (Held{6400, 100}));
  EXPECT_EQ(functions["Deep(int, unsigned long)"], (Held{80, 10}));
  EXPECT_EQ(functions["TakeFromPool(unsigned long)"], (Held{1200, 30}));
  HeldBy files = Top(*recording_, {"--by", "file"});
  EXPECT_EQ(files["pool.h"], (Held{1200, 30}));
  EXPECT_EQ(files.size(), 2);
  HeldBy modules = Top(*recording_, {"--by", "module"});
  EXPECT_THAT(modules, ::testing::ElementsAre(Key("ledger")));
  EXPECT_EQ(Top(*recording_, {"--by", "traceback"}).size(), lines_.size() + 1);
}

TEST_F(ReportsTest, ThreadsThatRanOneAfterAnotherShareALineThatSaysSo) {
  const Json report = AnswerJson({"top", *recording_, "--by", "thread"});
  ASSERT_EQ(report["statistics"].size(), 2);
  const Json& indexer = report["statistics"][1];
  EXPECT_EQ(indexer["size"], 1760);
  EXPECT_EQ(indexer["threads_served"], 2);
  EXPECT_THAT(
      Answer({"top", *recording_, "--by", "thread"}),
      ContainsRegex("\nindexer [(]2 threads, one after another, the last tid [0-9]+[)]: size=1760 B, count=55"));
  EXPECT_THAT(Answer({"info", *recording_}),
              ContainsRegex("\n  indexer [(]2 threads, one after another, the last tid"));
}

TEST_F(ReportsTest, EverySortKeyPutsItsOwnFirst) {
  EXPECT_EQ(First({"--sort", "size"}), names_);
  EXPECT_EQ(First({"--sort", "count"}), rows_);
  EXPECT_EQ(First({"--sort", "average"}), names_);
  EXPECT_EQ(First({"--sort", "total"}), churn_);
  EXPECT_THAT(Table({"--sort", "total"})[0], churn_ + ": size=0 B, count=0, total=68.4 KiB in 1000 blocks");
}

TEST_F(ReportsTest, TheLimitCutsAndTheRestIsSummedUp) {
  const std::vector<std::string> table = Table({"-n", "2"});
  ASSERT_EQ(table.size(), 3);
  EXPECT_THAT(table[0], names_ + ": size=10000 B, count=20, average=500 B");
  EXPECT_THAT(table[1], rows_ + ": size=6400 B, count=100, average=64 B");
  EXPECT_THAT(table[2], StartsWith("4 other: size="));
  EXPECT_EQ(AnswerJson({"top", *recording_, "-n", "2"})["groups"], 6);
}

TEST_F(ReportsTest, CumulativeChargesEveryLineOfAStackAsOftenAsItOccurs) {
  HeldBy cumulative = Top(*recording_, {"--cumulative"});
  EXPECT_EQ(cumulative[deep_], (Held{80, 10}));
  EXPECT_EQ(cumulative[recursion_], (Held{240, 30}));
  EXPECT_EQ(cumulative[pooled_], (Held{1200, 30}));
  EXPECT_EQ(cumulative[pool_], (Held{1200, 30}));
  EXPECT_EQ(Top(*recording_, {"--cumulative", "--once"})[recursion_], (Held{80, 10}));
  HeldBy functions = Top(*recording_, {"--cumulative", "--by", "function", "--once"});
  const int64_t live = AnswerJson({"top", *recording_})["profile"]["traced"]["live_bytes"];
  EXPECT_EQ(functions["main"].size, live - 1760) << "all but the other threads'";
}

TEST_F(ReportsTest, FiltersKeepAndDrop) {
  EXPECT_EQ(Top(*recording_, {"--filter", rows_}), (HeldBy{{rows_, {6400, 100}}}));
  EXPECT_EQ(Top(*recording_, {"--filter", "pool.h", "--filter", rows_}),
            (HeldBy{{pool_, {1200, 30}}, {rows_, {6400, 100}}}));
  EXPECT_EQ(Top(*recording_, {"--filter", "*/programs/*", "--filter", "!ledger.cc"}), (HeldBy{{pool_, {1200, 30}}}));
  EXPECT_THAT(Top(*recording_, {"--filter", "!" + rows_}), Not(::testing::Contains(Key(rows_))));
  EXPECT_EQ(Top(*recording_, {"--filter", "function=Deep*"}), (HeldBy{{deep_, {80, 10}}}));
  EXPECT_EQ(Top(*recording_, {"--filter", "function=Pooled*", "--all-frames"}), (HeldBy{{pool_, {1200, 30}}}));
  EXPECT_EQ(Top(*recording_, {"--filter", "function=Pooled*"}), HeldBy{});
  EXPECT_EQ(Top(*recording_, {"--filter", "module=*/libc.so.6"}), HeldBy{});
  EXPECT_EQ(Top(*recording_, {"--filter", "domain=mmap"}), HeldBy{});
  EXPECT_EQ(Top(*recording_, {"--filter", "domain=malloc"}), Top(*recording_));
  EXPECT_EQ(Table({"--filter", "domain=mmap"}), Words{"no live blocks"});
}

TEST_F(ReportsTest, InnermostLinesAndPathsDecideWhichLineStands) {
  const HeldBy innermost = Top(*recording_, {"--innermost"});
  EXPECT_FALSE(innermost.contains(names_));
  EXPECT_EQ(innermost.at(rows_), (Held{6400, 100}));
  EXPECT_THAT(First({"--innermost"}), StartsWith("new_allocator.h:"));
  EXPECT_THAT(First({"--user-path", "/usr/include/c++"}), StartsWith("new_allocator.h:"));
  HeldBy library = Top(*recording_, {"--lib-path", E2eSource("pool.h")});
  EXPECT_FALSE(library.contains(pool_));
  EXPECT_EQ(library[pooled_], (Held{1200, 30}));
  EXPECT_THAT(Table({"--full-path"})[0], StartsWith(E2eSource(names_) + ": size=10000 B"));
}

TEST_F(ReportsTest, TracemallocsFormatIsOnlyItsLines) {
  const std::string text = Answer({"top", *recording_, "--format", "tracemalloc", "-n", "2"});
  EXPECT_EQ(text, E2eSource(names_) + ": size=10000 B, count=20, average=500 B\n" + E2eSource(rows_) +
                      ": size=6400 B, count=100, average=64 B\n");
}

TEST_F(ReportsTest, StacksAddUpToTheLinesOfTop) {
  const Json report = AnswerJson({"top", *recording_, "--stacks"});
  HeldBy by_line;
  for (const Json& blocks : report["blocks"]) {
    const Json& user = report["stacks"][blocks[0].get<size_t>()][2];
    const Json& frame = report["frames"][report["stacks"][user.get<size_t>()][1].get<size_t>()];
    std::string name = ShortName(frame["name"]);
    if (!frame["line"].is_null()) name += ":" + frame["line"].dump();
    by_line[name].size += blocks[2].get<int64_t>();
    by_line[name].count += blocks[3].get<int64_t>();
  }
  for (const auto& [line, held] : lines_) EXPECT_EQ(by_line[line], held) << line;
}

TEST_F(ReportsTest, TracebacksGoFromTheAllocationOutwardAndMarkTheUsersLine) {
  const Json report = AnswerJson({"top", *recording_, "--by", "traceback", "--filter", deep_});
  ASSERT_EQ(report["statistics"].size(), 1);
  std::vector<std::string> functions;
  for (const Json& frame : report["statistics"][0]["traceback"]) {
    functions.push_back(frame["function"].is_string() ? frame["function"].get<std::string>()
                                                      : "");  // libc may be stripped
  }
  ASSERT_GE(functions.size(), 5);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(functions[static_cast<size_t>(i)], "Deep(int, unsigned long)");
  EXPECT_EQ(functions[4], "main");
  EXPECT_EQ(report["statistics"][0]["traceback"][0]["user"], true);
  EXPECT_THAT(Table({"--by", "traceback", "--filter", deep_})[1], "  > Deep at " + deep_);
}

TEST_F(ReportsTest, InfoKnowsModulesThreadsLabelsAndEvents) {
  const Json info = AnswerJson({"info", *recording_});
  EXPECT_EQ(info["schema"], "allocline.info/1");
  EXPECT_EQ(info["program"], fs::canonical(E2eProgram("ledger")).string());
  EXPECT_EQ(info["exited"], true);
  EXPECT_EQ(info["stands_alone"], false);
  ASSERT_EQ(info["labels"].size(), 1);
  EXPECT_EQ(info["labels"][0]["label"], "early");
  EXPECT_EQ(info["labels"][0]["live_bytes"], 6400);
  EXPECT_GE(info["events"]["allocated_blocks"], 1000 + 100 + 20 + 10 + 30 + 55);
  EXPECT_EQ(info["live_bytes"], AnswerJson({"top", *recording_})["profile"]["traced"]["live_bytes"]);
  const Json& program = info["modules"][0];
  EXPECT_EQ(program["path"], fs::canonical(E2eProgram("ledger")).string());
  EXPECT_EQ(program["build_id"].get<std::string>().size(), 40);
  EXPECT_GT(program["addresses"]["lines"], 5);
  EXPECT_EQ(program["debug_file"], program["path"]);

  const std::string text = Answer({"info", *recording_});
  EXPECT_THAT(text, HasSubstr("build id " + program["build_id"].get<std::string>()));
  EXPECT_THAT(text, HasSubstr("\nlabels (1):\n  \"early\" after "));
  EXPECT_THAT(text, HasSubstr(fmt::format("\nevents:    {} allocations of ",
                                          info["events"]["allocated_blocks"].get<int64_t>())));
  EXPECT_EQ(info["threads"].size(), 2) << "a record that counted nothing is not a thread";
}

// ---------------------------------------------------------------- snapshots that stand alone

TEST_F(ReportsTest, ASnapshotIsReadWhenRecordingAndProgramAreGone) {
  const TempDir place;
  const std::string program = place / "ledger", snapshot = place / "kept.allocline";
  fs::copy_file(E2eProgram("ledger"), program);
  const std::string recording = RecordInto(
      place / "recordings", {program, "rows", "7", "9", "label", "early", "names", "3", "200", "indexed", "2", "4"});
  const HeldBy before = Top(recording);
  const HeldBy threads = Top(recording, {"--by", "thread"});
  EXPECT_EQ(Answer({"snapshot", recording, "--label", "kept", "-o", snapshot}), snapshot + "\n");
  EXPECT_EQ(Answer({"snapshot", recording + "@early", "--label", "kept early", "-o", snapshot + "2"}),
            snapshot + "2\n");
  fs::remove(program);
  fs::remove_all(place / "recordings");

  EXPECT_EQ(Top(snapshot), before);
  EXPECT_EQ(Top(snapshot, {"--by", "thread"}), threads);
  EXPECT_EQ(Top(snapshot + "@kept"), before);
  EXPECT_EQ(Top(snapshot + "2"), (HeldBy{{rows_, {63, 7}}}));
  EXPECT_THAT(Answer({"top", snapshot}), ContainsRegex("^ledger .*, snapshot \"kept\" [0-9.]+ s after the start\n"));
  EXPECT_EQ(AnswerJson({"top", snapshot})["profile"]["label"], "kept");
  EXPECT_THAT(Answer({"top", snapshot + "2"}), ContainsRegex("^ledger .*, snapshot \"kept early\" "));
  EXPECT_EQ(AnswerJson({"info", snapshot})["stands_alone"], true);
  EXPECT_EQ(GroupsOf(AnswerJson({"diff", snapshot + "2", snapshot}), "_diff").at(rows_), Held{});
}

TEST_F(ReportsTest, ASnapshotIsWrittenOnceUnlessForced) {
  const TempDir place;
  const std::string file = place / "s.allocline";
  const Json first = AnswerJson({"snapshot", *recording_, "--label", "x", "-o", file});
  EXPECT_EQ(first["schema"], "allocline.snapshot/1");
  EXPECT_EQ(first["file"], file);
  EXPECT_EQ(first["label"], "x");
  struct stat status {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const Outcome again = Allocline({"snapshot", *recording_, "--label", "x", "-o", file});
  EXPECT_EQ(again.Ending(), "exit 5");
  EXPECT_THAT(again.err, AllOf(IsOneLine(), HasSubstr(file)));
  Answer({"snapshot", *recording_, "--label", "y", "-o", file, "--force"});
  EXPECT_EQ(AnswerJson({"top", file})["profile"]["label"], "y");
}

// ---------------------------------------------------------------- where names come from

class NamesTest : public ReportsTest {
 protected:
  void SetUp() override {
    fs::create_directories(place_ / "app");
    program_ = place_ / "app/ledger";
    fs::copy_file(E2eProgram("ledger"), program_);
  }
  static void Run(const Words& words) {
    const Outcome outcome = RunProgram({.argv = words});
    EXPECT_TRUE(outcome.ok()) << outcome.err;
  }
  std::string Record() const { return RecordInto(place_ / "recordings", {program_, "rows", "7", "9"}); }

  const HeldBy expected_ = {{rows_, {63, 7}}};
  TempDir place_;
  std::string program_;
};

TEST_F(NamesTest, DebugInformationIsFoundWhereDebugPathSays) {
  const std::string id = AnswerJson({"info", Record(), "--no-symbols"})["modules"][0]["build_id"];
  fs::create_directories(place_ / "debug/.build-id/" + id.substr(0, 2));
  const std::string debug = place_ / ("debug/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug");
  Run({"objcopy", "--only-keep-debug", program_, debug});
  Run({"strip", program_});
  const std::string recording = Record();
  EXPECT_THAT(Top(recording), Not(::testing::Contains(Key(rows_))));
  EXPECT_THAT(Answer({"top", recording}), HasSubstr("no debug information"));
  EXPECT_EQ(Top(recording, {"--debug-path", place_ / "debug"}), expected_);
  const Json info = AnswerJson({"info", recording, "--debug-path", place_ / "debug"});
  EXPECT_EQ(info["modules"][0]["debug_file"], debug);
}

TEST_F(NamesTest, AMovedProgramIsFoundWhereMapSays) {
  const std::string recording = Record();
  fs::rename(place_ / "app", place_ / "moved");
  EXPECT_THAT(Answer({"top", recording}), AllOf(ContainsRegex("\nledger[+]0x[0-9a-f]+: size=63 B, count=7"),
                                                HasSubstr("No such file or directory")));
  EXPECT_EQ(Top(recording, {"--map", (place_ / "app") + "=" + (place_ / "moved")}), expected_);
  Answer({"snapshot", recording, "--label", "x", "-o", place_ / "x", "--map",
          (place_ / "app") + "=" + (place_ / "moved")});
  EXPECT_EQ(Top(place_ / "x"), expected_);
}

// ---------------------------------------------------------------- exit codes and help

TEST_F(ReportsTest, ExitCodesAreTheManPages) {
  const std::string bad = directory_->WriteFile("bad", "no recording");
  const auto code = [](const Words& words) {
    const Outcome outcome = Allocline(words);
    if (ExitCodeOf(outcome) != 0) {
      EXPECT_THAT(outcome.err, AllOf(IsOneLine(), StartsWith("allocline: ")));
    }
    return ExitCodeOf(outcome);
  };
  for (const char* command : {"top", "info"}) {
    SCOPED_TRACE(command);
    EXPECT_EQ(code({command, *recording_}), 0);
    EXPECT_EQ(code({command, *recording_, "--no-such-option"}), 1);
    EXPECT_EQ(code({command}), 1);
    EXPECT_EQ(code({command, bad}), 2);
    EXPECT_EQ(code({command, *recording_ + "@none"}), 3);
    EXPECT_EQ(code({command, "4194303"}), 4);
  }
  for (const Words& options : {Words{"--by", "colour"},
                               {"--sort", "name"},
                               {"--format", "html"},
                               {"--once"},
                               {"-n", "few"},
                               {"--cumulative", "--by", "thread"},
                               {"--filter", "domain=pool"},
                               {"--map", "x"}}) {
    EXPECT_EQ(code(Words{"top", *recording_} + options), 1) << ::testing::PrintToString(options);
  }
  EXPECT_EQ(code({"top", *recording_ + "@early", "--by", "thread"}), 1);
  EXPECT_EQ(code({"diff", *recording_}), 1);
  EXPECT_EQ(code({"diff", *recording_, bad}), 2);
  EXPECT_EQ(code({"diff", *recording_ + "@none", *recording_}), 3);
  EXPECT_EQ(code({"diff", "4194303", *recording_}), 4);
  EXPECT_EQ(code({"snapshot", *recording_}), 1);
  EXPECT_EQ(code({"snapshot", bad, "--label", "x"}), 2);
  EXPECT_EQ(code({"snapshot", *recording_ + "@none", "--label", "x"}), 3);
  EXPECT_EQ(code({"snapshot", "4194303", "--label", "x"}), 4);
  EXPECT_EQ(code({"snapshot", *recording_, "--label", "x", "-o", "/no/such/directory/file"}), 5);
}

TEST_F(ReportsTest, AnAnswerThatCannotBeWrittenIsAnError) {
  for (const std::string& command :
       {"top " + *recording_, "info " + *recording_, "diff " + *recording_ + " " + *recording_, std::string("--help"),
        std::string("top --help")}) {
    const Outcome outcome = RunProgram({.argv = {"/bin/sh", "-c", CliPath() + " " + command + " > /dev/full"}});
    EXPECT_EQ(outcome.Ending(), "exit 5") << command;
    EXPECT_THAT(outcome.err, AllOf(IsOneLine(), HasSubstr("No space left on device"))) << command;
  }
}

// "--by", "-n": the options a text speaks of.
std::set<std::string> OptionsIn(const std::string& text, const std::string& pattern) {
  std::set<std::string> options;
  const std::regex option(pattern);
  for (std::sregex_iterator match(text.begin(), text.end(), option), end; match != end; ++match)
    options.insert((*match)[1]);
  options.erase("--help");
  options.erase("-h");
  return options;
}

TEST_F(ReportsTest, HelpAndManPageNameTheSameOptions) {
  for (const std::string command : {"run", "top", "snapshot", "info"}) {  // diff's are top's but --stacks
    SCOPED_TRACE(command);
    const std::set<std::string> help = OptionsIn(Answer({command, "--help"}), "(?:\n  |,)(--?[a-z][-a-z]*)");
    const std::string page = ReadFile(SourceDir() + "/tools/cmd_" + command + ".md");
    const std::set<std::string> manual = OptionsIn(page, "(?:\n|, )\\*\\*\\\\?(--?[a-z][-a-z]*)\\*\\*");
    EXPECT_EQ(help, manual);
    EXPECT_GT(help.size(), 3);
  }
  std::set<std::string> of_top = OptionsIn(Answer({"top", "--help"}), "(?:\n  |,)(--?[a-z][-a-z]*)");
  of_top.erase("--stacks");
  EXPECT_EQ(OptionsIn(Answer({"diff", "--help"}), "(?:\n  |,)(--?[a-z][-a-z]*)"), of_top);
}

}  // namespace
}  // namespace allocline::testing
