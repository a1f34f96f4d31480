#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/diff.h"
#include "report/notes.h"
#include "report/profile_builder.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/statistics.h"
#include "tests/report/traces.h"

namespace allocline {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kMiB = 1 << 20;
constexpr const char* kProgram = "/app/prog";

// A profile with a bit of everything. `factor` scales the first line.
class Fixture {
 public:
  explicit Fixture(int64_t factor = 1) {
    Location main{.file = "/src/main.cc", .line = 9, .function = "main", .module = kProgram, .level = kLine};
    Location fetch{.file = "/src/api/client.cc",
                   .line = 61,
                   .function = "Fetch(std::string const&)",
                   .module = kProgram,
                   .level = kLine};
    Location grow{.file = "/usr/include/c++/12/bits/new_allocator.h",
                  .line = 137,
                  .function = "std::__new_allocator<Row>::allocate(unsigned long, void const*)",
                  .module = kProgram,
                  .level = kLine,
                  .inlined = true};
    Location other{
        .file = "/src/db/client.cc", .line = 5, .function = "Fetch(int)", .module = "/app/libdb.so", .level = kLine};
    Location symbol{.function = "parse", .module = "/app/libdb.so", .level = ResolutionLevel::kSymbol};
    Location bare{.where = "libbare.so+0x40", .module = "/app/libbare.so", .level = ResolutionLevel::kModule};
    Add({grow, fetch, main}, 188 * kMiB * factor, 600000);
    Add({other, main}, 3 * kMiB, 3);
    Add({symbol, main}, 2 * kMiB, 2);
    Add({bare}, kMiB, 1);
    ProfileSummary& summary = builder_.summary();
    summary.recording = "prog.4711.allocline";
    summary.program = kProgram;
    summary.pid = 4711;
    summary.peak_bytes = static_cast<uint64_t>(201 * kMiB);
    summary.rss_bytes = static_cast<uint64_t>(214 * kMiB);
  }
  ProfileSummary& summary() { return builder_.summary(); }
  Profile Build() { return std::move(builder_).Build(UserLineRule({.main_executable = kProgram})); }

 private:
  static constexpr ResolutionLevel kLine = ResolutionLevel::kLine;

  void Add(const std::vector<Location>& frames, int64_t bytes, int64_t blocks) {
    StackId stack = kRootStack;
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
      stack = builder_.Push(stack, builder_.AddLocation(*frame));
    }
    builder_.AddSite({.stack = stack,
                      .live_bytes = bytes,
                      .live_blocks = blocks,
                      .total_bytes = static_cast<uint64_t>(2 * bytes),
                      .total_blocks = static_cast<uint64_t>(2 * blocks)});
  }

  ProfileBuilder builder_;
};

std::string Table(const Profile& profile, const StatisticsOptions& options, TextOptions text = {}) {
  text.cumulative = options.cumulative;
  text.line_of = options.line_of;
  return RenderStatistics(profile, ComputeStatistics(profile, options).value(), text);
}

TEST(RenderTextTest, LinesAreTracemallocsWithShortUnambiguousNames) {
  EXPECT_EQ(Table(Fixture().Build(), {}),
            "api/client.cc:61: size=188 MiB, count=600000, average=329 B\n"
            "db/client.cc:5: size=3072 KiB, count=3, average=1024 KiB\n"
            "parse [libdb.so]: size=2048 KiB, count=2, average=1024 KiB\n"
            "libbare.so+0x40: size=1024 KiB, count=1, average=1024 KiB\n");
}

TEST(RenderTextTest, InnermostLinesAreThePhysicalOnes) {
  EXPECT_THAT(Table(Fixture().Build(), {.line_of = LineOf::kInnermost}, {.limit = 1}),
              testing::StartsWith("new_allocator.h:137: size=188 MiB, count=600000, average=329 B\n"));
}

TEST(RenderTextTest, WhatDoesNotFitIsSummedUpInOneLine) {
  EXPECT_EQ(Table(Fixture().Build(), {}, {.limit = 2}),
            "api/client.cc:61: size=188 MiB, count=600000, average=329 B\n"
            "db/client.cc:5: size=3072 KiB, count=3, average=1024 KiB\n"
            "2 other: size=3072 KiB, count=3\n");
  EXPECT_THAT(Table(Fixture().Build(), {.cumulative = true}, {.limit = 1}), testing::EndsWith("\n5 other\n"))
      << "lines of one stack overlap: their sum would mean nothing";
}

TEST(RenderTextTest, FullPathsAreShownOnRequest) {
  EXPECT_THAT(Table(Fixture().Build(), {}, {.limit = 1, .full_paths = true}),
              testing::StartsWith("/src/api/client.cc:61: size="));
}

TEST(RenderTextTest, FilesHaveNoLineAndAModuleStandsInForAnUnknownFile) {
  EXPECT_EQ(Table(Fixture().Build(), {.by = GroupBy::kFile}),
            "api/client.cc: size=188 MiB, count=600000, average=329 B\n"
            "db/client.cc: size=3072 KiB, count=3, average=1024 KiB\n"
            "libdb.so: size=2048 KiB, count=2, average=1024 KiB\n"
            "libbare.so: size=1024 KiB, count=1, average=1024 KiB\n");
}

TEST(RenderTextTest, FunctionsThatShareAShortNameAreShownInFull) {
  EXPECT_EQ(Table(Fixture().Build(), {.by = GroupBy::kFunction}),
            "Fetch(std::string const&): size=188 MiB, count=600000, average=329 B\n"
            "Fetch(int) [libdb.so]: size=3072 KiB, count=3, average=1024 KiB\n"
            "parse [libdb.so]: size=2048 KiB, count=2, average=1024 KiB\n"
            "libbare.so+0x40: size=1024 KiB, count=1, average=1024 KiB\n");
}

TEST(RenderTextTest, ModulesAreNamedByTheirFile) {
  EXPECT_EQ(Table(Fixture().Build(), {.by = GroupBy::kModule}),
            "prog: size=188 MiB, count=600000, average=329 B\n"
            "libdb.so: size=5120 KiB, count=5, average=1024 KiB\n"
            "libbare.so: size=1024 KiB, count=1, average=1024 KiB\n");
}

TEST(RenderTextTest, TracebacksAreNamedByTheUsersLineAndFollowedByTheirFrames) {
  EXPECT_EQ(Table(Fixture().Build(), {.by = GroupBy::kTraceback}, {.limit = 1}),
            "api/client.cc:61: size=188 MiB, count=600000, average=329 B\n"
            "    std::__new_allocator<Row>::allocate at new_allocator.h:137 (inlined)\n"
            "  > Fetch at api/client.cc:61\n"
            "    main at main.cc:9\n"
            "3 other: size=6144 KiB, count=6\n");
}

TEST(RenderTextTest, TotalsAreShownOnRequest) {
  EXPECT_THAT(
      Table(Fixture().Build(), {.sort = SortBy::kTotal}, {.limit = 1, .show_totals = true}),
      testing::StartsWith("api/client.cc:61: size=188 MiB, count=600000, average=329 B, total=376 MiB in 1200000 "
                          "blocks\n"));
}

TEST(RenderTextTest, AnEmptyTableSaysSo) {
  EXPECT_EQ(Table(ProfileOfTraces({}), {}), "no live blocks\n");
  EXPECT_EQ(Table(ProfileOfTraces({}), {}, {.tracemalloc = true}), "");
}

TEST(RenderTextTest, InTracemallocsFormTheTextIsPythons) {
  EXPECT_EQ(Table(ProfileOfTraces(FirstTraces()), {.by = GroupBy::kFile, .line_of = LineOf::kInnermost},
                  {.limit = 2, .tracemalloc = true}),
            "b.py:0: size=66 B, count=1, average=66 B\n"
            "a.py:0: size=32 B, count=4, average=8 B\n");
}

TEST(RenderTextTest, DifferencesShowWhatChanged) {
  Profile old = Fixture().Build(), now = Fixture(2).Build();
  std::vector<StatisticDiff> diffs = ComputeDiff(now, old, {}).value();
  EXPECT_EQ(RenderDiff(now, old, diffs, {.limit = 2}),
            "api/client.cc:61: size=376 MiB (+188 MiB), count=600000 (+0), average=657 B\n"
            "db/client.cc:5: size=3072 KiB (+0 B), count=3 (+0), average=1024 KiB\n"
            "2 other: size=3072 KiB (+0 B), count=3 (+0)\n");
}

TEST(RenderTextTest, NothingFromARecordingReachesTheTerminalUnescaped) {
  ProfileBuilder builder;
  const char* evil = "\x1b]0;owned\x07\n\xff";
  StackId stack = builder.Push(
      kRootStack, builder.AddLocation(
                      {.file = evil, .line = 1, .function = evil, .module = evil, .level = ResolutionLevel::kLine}));
  builder.AddSite({.stack = stack, .live_bytes = 1, .live_blocks = 1});
  builder.AddThread({.tid = 1, .name = evil, .label = evil});
  ProfileSummary& summary = builder.summary();
  summary.program = summary.host = summary.allocator = evil;
  summary.label = evil;
  summary.by_thread = true;
  summary.damage = {evil};
  summary.problems = {{.path = evil, .problem = evil, .live_bytes = 1}};
  Profile profile = std::move(builder).Build(UserLineRule({}));
  for (GroupBy by :
       {GroupBy::kLine, GroupBy::kFunction, GroupBy::kFile, GroupBy::kModule, GroupBy::kThread, GroupBy::kTraceback}) {
    for (bool plain : {false, true}) {
      TextOptions text{.full_paths = plain, .tracemalloc = plain};
      std::string all = RenderHeader(profile, text) + RenderDiffHeader(profile, profile, text) +
                        Table(profile, {.by = by}, text) +
                        RenderDiff(profile, profile, ComputeDiff(profile, profile, {.by = by}).value(), text);
      for (char c : all) ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f)) << all;
    }
  }
}

// ------------------------------------------------------------ header and notes

TEST(RenderHeaderTest, ItSaysWhatWasTracedBesideWhatTheKernelSees) {
  Fixture fixture;
  fixture.summary().label = "after fetch";
  fixture.summary().elapsed_ns = 2'100'000'000;
  fixture.summary().container_usage_bytes = 230 * kMiB;
  fixture.summary().container_limit_bytes = 512 * kMiB;
  EXPECT_EQ(RenderHeader(fixture.Build(), {}),
            "prog (pid 4711), snapshot \"after fetch\" 2.1 s after the start\n"
            "traced:   live 194 MiB in 600006 blocks, peak 201 MiB\n"
            "memory:   RSS 214 MiB, container 230 MiB of 512 MiB\n"
            "resolved: 98.5% of live bytes to a line, 1.0% to a function, 0.5% to a module\n"
            "dropped:  nothing\n"
            "\n");
}

TEST(RenderHeaderTest, ARunningProcessHasNoEndAndOneBlockIsSingular) {
  ProfileBuilder builder;
  builder.summary().program = kProgram;
  builder.summary().pid = 4711;
  builder.summary().running = true;
  builder.summary().elapsed_ns = 61'000'000'000;
  builder.summary().truncated_blocks = 1;
  builder.AddSite({.live_bytes = 7, .live_blocks = 1});
  const std::string header = RenderHeader(std::move(builder).Build(UserLineRule({})), {});
  EXPECT_THAT(header, testing::StartsWith("prog (pid 4711), running for 61.0 s\n"
                                          "traced:   live 7 B in 1 block, peak "));
  EXPECT_THAT(header, HasSubstr("note:     1 allocation with a stack that is not whole: "));
}

TEST(RenderHeaderTest, WhatIsNotKnownIsNotShownAsZero) {
  Fixture fixture;
  fixture.summary().rss_bytes = 0;
  std::string header = RenderHeader(fixture.Build(), {});
  EXPECT_THAT(header, HasSubstr("memory:   RSS not known, container not known\n"));
  EXPECT_THAT(header, testing::StartsWith("prog (pid 4711)\n")) << "no end is told of a process that may be running";
}

TEST(RenderHeaderTest, APeakThatMayBeLowSaysByHowMuch) {
  Fixture fixture;
  fixture.summary().peak_slack_bytes = 8 * kMiB;
  EXPECT_THAT(RenderHeader(fixture.Build(), {}), HasSubstr("peak 201 MiB (or up to 8192 KiB more)\n"));
}

TEST(RenderHeaderTest, DropsAreToldWithTheirReason) {
  Fixture fixture;
  fixture.summary().drops[static_cast<size_t>(format::DropReason::kBeforeStart)] = {1, 72704};
  fixture.summary().drops[static_cast<size_t>(format::DropReason::kRecordingFull)] = {1200, 1 << 20};
  EXPECT_THAT(
      RenderHeader(fixture.Build(), {}),
      HasSubstr("dropped:  1 event (71.0 KiB) before the tracer had started, 1200 events (1024 KiB) counted but "
                "under no line, as the recording could not grow\n"));
}

TEST(RenderHeaderTest, ADiffShowsTheChangeOfEveryFigure) {
  Fixture fixture(2), old_fixture;
  fixture.summary().rss_bytes = 400 * kMiB;
  old_fixture.summary().label = "before";
  old_fixture.summary().truncated_blocks = 3;
  EXPECT_EQ(
      RenderDiffHeader(fixture.Build(), old_fixture.Build(), {}),
      "new: prog (pid 4711)\n"
      "old: prog (pid 4711), snapshot \"before\"\n"
      "traced:   live 382 MiB (+188 MiB) in 600006 (+0) blocks, peak 201 MiB (+0 B)\n"
      "memory:   RSS 400 MiB (+186 MiB), container not known\n"
      "resolved: 99.2% of live bytes to a line, 0.5% to a function, 0.3% to a module\n"
      "dropped:  nothing\n"
      "note:     old: 3 allocations with a stack that is not whole: too deep, or through code that cannot be unwound\n"
      "\n");
}

// ------------------------------------------------------------ domains and Python

// `python` and `mmap` bytes of these domains, one block each, and what is known of the interpreter.
Profile PythonProfile(int64_t python, int64_t mapped, uint64_t arena_bytes, int64_t small_bytes,
                      uint32_t version = 0x030b07f0) {
  ProfileBuilder builder;
  const auto at = [&](uint32_t line) {
    return builder.Push(kRootStack, builder.AddLocation({.file = "/src/connector.py", .line = line, .python = true}));
  };
  builder.AddSite({.stack = at(1), .domain = format::kDomainPython, .live_bytes = python, .live_blocks = 1});
  builder.AddSite({.stack = at(2), .domain = format::kDomainPython, .live_bytes = kMiB, .live_blocks = 1});
  builder.AddSite({.stack = at(1), .domain = format::kDomainMalloc, .live_bytes = 30 * kMiB, .live_blocks = 1});
  if (mapped > 0) {
    builder.AddSite({.stack = at(1), .domain = format::kDomainMmap, .live_bytes = mapped, .live_blocks = 1});
  }
  ProfileSummary& summary = builder.summary();
  summary.python_version = version;
  if (version != 0) summary.python_state = format::kPythonTraced;
  summary.python_arena_bytes = arena_bytes;
  summary.python_small_bytes = small_bytes;
  return std::move(builder).Build(UserLineRule({}));
}

// What a process wrote down of a resident set that is all live blocks.
RecordedLedger LedgerOf(uint64_t bytes) {
  RecordedLedger ledger;
  ledger.figures.traced_bytes = ledger.figures.heap_bytes = ledger.figures.rss_bytes = bytes;
  ledger.figures.flags = format::kLedgerNoContainer;
  return ledger;
}

TEST(RenderHeaderTest, TheLedgerOfARunningProcessSaysHowOldItIs) {
  Fixture program;
  program.summary().ledger = LedgerOf(200 * kMiB);
  program.summary().ledger_after_ns = 2'500'000'000;
  EXPECT_THAT(RenderHeader(program.Build(), {}),
              HasSubstr("\nledger:   RSS 200 MiB = 200 traced (2.5 s after the start)\n"));
  Fixture running;
  running.summary().ledger = LedgerOf(200 * kMiB);
  running.summary().ledger_after_ns = 2'500'000'000;
  running.summary().elapsed_ns = 62'500'000'000;
  running.summary().running = true;
  EXPECT_THAT(RenderHeader(running.Build(), {}), HasSubstr(" (2.5 s after the start, 60.0 s ago)\n"));
  Fixture of_now;
  of_now.summary().ledger = LedgerOf(214 * kMiB);  // its resident set
  EXPECT_THAT(RenderHeader(of_now.Build(), {}), HasSubstr("\nledger:   RSS 214 MiB = 214 traced\n"));
}

TEST(RenderHeaderTest, ADiffTellsHowTheLedgersPartsMovedWhereBothHaveOne) {
  Fixture before, after, without;
  before.summary().ledger = LedgerOf(214 * kMiB);
  after.summary().ledger = LedgerOf(250 * kMiB);
  after.summary().ledger_after_ns = 1'000'000'000;
  const Profile was = before.Build(), is = after.Build(), none = without.Build();
  EXPECT_THAT(RenderDiffHeader(is, was, {}),
              HasSubstr("\nledger:   RSS +36.0 MiB: traced +36.0 MiB (new: 1.0 s after the start)\n"));
  EXPECT_THAT(RenderDiffHeader(is, none, {}), Not(HasSubstr("ledger:")));
  EXPECT_THAT(RenderDiffHeader(none, was, {}), Not(HasSubstr("ledger:")));
}

TEST(RenderHeaderTest, DomainsAndTheInterpreterHaveALineEach) {
  EXPECT_THAT(RenderHeader(PythonProfile(120 * kMiB, 0, 12 * kMiB, 9 * kMiB), {}),
              HasSubstr("peak 0 B\n"
                        "domains:  python 121 MiB, malloc 30.0 MiB\n"
                        "python:   3.11.7, pymalloc: 12.0 MiB in arenas, 9216 KiB live in them, 3072 KiB slack\n"
                        "memory:   "));
}

TEST(RenderHeaderTest, ArenasOfAnotherMomentAreNotShown) {
  EXPECT_THAT(RenderHeader(PythonProfile(kMiB, 0, 0, 0), {}), HasSubstr("\npython:   3.11.7\n"));
}

TEST(RenderHeaderTest, MoreLiveThanInArenasIsNoSlack) {
  EXPECT_THAT(RenderHeader(PythonProfile(kMiB, 0, kMiB, 2 * kMiB), {}), HasSubstr("2048 KiB live in them, 0 B slack"));
}

TEST(RenderHeaderTest, ADiffShowsTheChangeOfEveryDomain) {
  EXPECT_THAT(
      RenderDiffHeader(PythonProfile(120 * kMiB, 0, 12 * kMiB, 9 * kMiB),
                       PythonProfile(20 * kMiB, 2 * kMiB, 10 * kMiB, 8 * kMiB), {}),
      HasSubstr("domains:  python 121 MiB (+100 MiB), malloc 30.0 MiB (+0 B), mmap 0 B (-2048 KiB)\n"
                "python:   3.11.7, pymalloc: 12.0 MiB (+2048 KiB) in arenas, 9216 KiB (+1024 KiB) live in them, "
                "3072 KiB (+1024 KiB) slack\n"));
}

TEST(RenderHeaderTest, ADiffOfTwoVersionsShowsBoth) {
  EXPECT_THAT(RenderDiffHeader(PythonProfile(kMiB, 0, 0, 0, 0x030e00c2), PythonProfile(kMiB, 0, 0, 0), {}),
              HasSubstr("python:   new: 3.14.0rc2\npython:   old: 3.11.7\n"));
  EXPECT_THAT(RenderDiffHeader(PythonProfile(kMiB, 0, 0, 0, 0), PythonProfile(kMiB, 0, 0, 0), {}),
              HasSubstr("python:   new: none\npython:   old: 3.11.7\n"));
}

TEST(RenderHeaderTest, OneDomainAndNoInterpreterHaveNoLine) {
  const std::string header = RenderHeader(Fixture().Build(), {});
  EXPECT_THAT(header, testing::Not(HasSubstr("domains:")));
  EXPECT_THAT(header, testing::Not(HasSubstr("python:")));
}

TEST(NotesTest, WhyPythonIsNotRecordedOrNotInFullIsTold) {
  const auto notes = [](uint32_t state, uint32_t version = 0x030b07f0) {
    ProfileSummary summary;
    summary.python_version = version;
    summary.python_state = state;
    summary.python_runtime = "/usr/bin/python\0333.11";
    return NotesOf(summary);
  };
  EXPECT_THAT(notes(format::kPythonTraced), IsEmpty());
  EXPECT_THAT(notes(0, 0), IsEmpty());
  EXPECT_THAT(notes(format::kPythonUnknownVersion, 0x031000f0),
              ElementsAre("of Python 3.16.0 only native lines are recorded: this version of allocline does not know "
                          "how it keeps frames"));
  EXPECT_THAT(notes(format::kPythonFreeThreaded), ElementsAre(HasSubstr("it is built without the GIL")));
  EXPECT_THAT(notes(format::kPythonBadLayout), ElementsAre(HasSubstr("its frames are not where")));
  EXPECT_THAT(notes(0), ElementsAre(HasSubstr("its allocators could not be hooked")));
  EXPECT_THAT(notes(format::kPythonIsPyPy, 0),
              ElementsAre("of PyPy only native lines are recorded: of interpreters only CPython's frames are known"));
  EXPECT_THAT(notes(format::kPythonTraced | format::kPythonIsPyPy), IsEmpty()) << "the one that is traced counts";
  EXPECT_THAT(notes(format::kPythonTraced | format::kPythonSecondRuntime | format::kPythonHooksReplaced),
              ElementsAre(HasSubstr("only of the first (/usr/bin/python\\x1b3.11) are the lines recorded"),
                          HasSubstr("Python's allocators were replaced")));
}

TEST(NotesTest, APerfectRecordingHasNone) { EXPECT_THAT(NotesOf(Fixture().Build().summary()), IsEmpty()); }

TEST(NotesTest, WhateverMakesTheNumbersLessThanCompleteIsTold) {
  Fixture fixture;
  ProfileSummary& summary = fixture.summary();
  summary.damage = {"nodes: 3 records are missing"};
  summary.state = format::kStateDiskFull | format::kStateNoUnwinder;
  summary.first_errno = 28;
  summary.flags = format::kFlagForked;
  summary.by_thread = true;
  summary.shared_bytes = 97 * kMiB;
  summary.problems = {{.path = "/app/libbare.so", .problem = "no symbols", .live_bytes = kMiB},
                      {.path = "/app/libdb.so", .problem = "no debug information", .live_bytes = 2 * kMiB}};
  EXPECT_THAT(NotesOf(fixture.Build().summary()),
              ElementsAre("the recording is damaged: nodes: 3 records are missing",
                          HasSubstr("the recording could not grow (No space left on device)"),
                          HasSubstr("libunwind was not found"), HasSubstr("pid 4711 began as a fork"),
                          HasSubstr("50.0% of live bytes are from lines where several threads allocate and free"),
                          "no lines for 1.0% of live bytes in /app/libdb.so: no debug information"))
      << "what hides less than a hundredth is not worth a line";
}

TEST(PercentTest, NeitherNothingNorAllIsSaidOfWhatIsNot) {
  EXPECT_EQ(PercentText(0, 10), "0%");
  EXPECT_EQ(PercentText(10, 10), "100%");
  EXPECT_EQ(PercentText(1, 1'000'000), "0.1%");
  EXPECT_EQ(PercentText(999'999, 1'000'000), "99.9%");
  EXPECT_EQ(PercentText(1, 3), "33.3%");
  EXPECT_EQ(PercentText(0, 0), "0%");
}

// ------------------------------------------------------------ JSON

TEST(RenderJsonTest, AReportHoldsItsNumbersAsIntegers) {
  Profile profile = Fixture().Build();
  StatisticsOptions options;
  json document = json::parse(
      RenderJson(profile, ComputeStatistics(profile, options).value(), {.limit = 1, .statistics = options}));
  EXPECT_EQ(document["schema"], "allocline.top/1");
  EXPECT_EQ(document["groups"], 4);
  ASSERT_EQ(document["statistics"].size(), 1u);
  EXPECT_EQ(document["statistics"][0], json::parse(R"json({
    "name": "/src/api/client.cc:61", "file": "/src/api/client.cc", "line": 61,
    "size": 197132288, "size_error": 0, "count": 600000, "average": 328.5538133333333,
    "total_bytes": 394264576, "total_blocks": 1200000})json"));
  EXPECT_EQ(document["profile"]["traced"]["live_bytes"], 194 * kMiB);
  EXPECT_EQ(document["profile"]["resolved"]["line_bytes"], 191 * kMiB);
  EXPECT_EQ(document["profile"]["memory"]["container_usage_bytes"], nullptr) << "not known is not zero";
  EXPECT_EQ(document["options"],
            json::parse(R"json({"by": "line", "cumulative": false, "line_of": "user", "sort": "size"})json"));
}

TEST(RenderJsonTest, DomainsAndTheInterpreterAreThere) {
  const auto profile_of = [](const Profile& profile) {
    return json::parse(RenderJson(profile, ComputeStatistics(profile, {}).value(), {}))["profile"];
  };
  const json python = profile_of(PythonProfile(kMiB, 0, 12, 9));
  EXPECT_EQ(
      python["domains"],
      json::parse(R"([{"name": "malloc", "domain": 0, "live_bytes": 31457280, "live_bytes_error": 0, "live_blocks": 1},
                            {"name": "python", "domain": 2, "live_bytes": 2097152, "live_bytes_error": 0, "live_blocks": 2}])"));
  EXPECT_EQ(python["python"], json::parse(R"({"version": "3.11.7", "runtime": null, "state": ["traced"],
                                              "arena_bytes": 12, "live_in_arenas_bytes": 9})"));
  EXPECT_EQ(profile_of(PythonProfile(kMiB, 0, 0, 0))["python"]["arena_bytes"], nullptr);
  ProfileSummary nameless;
  nameless.python_state = format::kPythonUnknownVersion;
  EXPECT_EQ(profile_of(PythonProfile(kMiB, 0, 0, 0).WithSummary(nameless))["python"],
            json::parse(R"({"version": null, "runtime": null, "state": ["unknown_version"],
                            "arena_bytes": null, "live_in_arenas_bytes": null})"));
  EXPECT_EQ(profile_of(Fixture().Build())["python"], nullptr);
}

TEST(RenderJsonTest, EveryGroupingNamesWhatItsBlocksShare) {
  Profile profile = Fixture().Build();
  auto first = [&](GroupBy by) {
    json document = json::parse(
        RenderJson(profile, ComputeStatistics(profile, {.by = by}).value(), {.limit = 1, .statistics = {.by = by}}));
    json group = document["statistics"][0];
    for (const char* number : {"size", "size_error", "count", "average", "total_bytes", "total_blocks"})
      group.erase(number);
    return group;
  };
  EXPECT_EQ(first(GroupBy::kFile),
            json::parse(R"json({"name": "/src/api/client.cc", "file": "/src/api/client.cc"})json"));
  EXPECT_EQ(first(GroupBy::kFunction), json::parse(R"json({
    "name": "Fetch(std::string const&)", "function": "Fetch(std::string const&)", "module": "/app/prog"
})json"));
  EXPECT_EQ(first(GroupBy::kModule), json::parse(R"json({"name": "/app/prog", "module": "/app/prog"})json"));
  json traceback = first(GroupBy::kTraceback);
  EXPECT_EQ(traceback["name"], "/src/api/client.cc:61");
  ASSERT_EQ(traceback["traceback"].size(), 3u);
  EXPECT_EQ(traceback["traceback"][1], json::parse(R"json({
    "name": "/src/api/client.cc", "file": "/src/api/client.cc", "line": 61, "function": "Fetch(std::string const&)",
    "module": "/app/prog", "inlined": false, "python": false, "user": true
  })json"));
}

TEST(RenderJsonTest, StacksAreATreeThatHoldsEachFrameOnceAndNoneThatHoldsNothing) {
  ProfileBuilder builder;
  auto line = [&](uint32_t number) {
    return builder.AddLocation({.file = "a.cc", .line = number, .level = ResolutionLevel::kLine});
  };
  const StackId freed = builder.Push(kRootStack, line(9)), outer = builder.Push(kRootStack, line(1));
  const StackId inner = builder.Push(outer, line(2)), recursive = builder.Push(inner, line(1));
  builder.AddSite({.stack = freed, .total_bytes = 5, .total_blocks = 1});
  builder.AddSite({.stack = inner, .domain = 1, .live_bytes = 70, .live_blocks = 2});
  builder.AddSite({.stack = recursive, .live_blocks = 3});  // of no bytes each
  const std::string text = RenderStacksJson(std::move(builder).Build(UserLineRule({})), LineOf::kUser);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const json document = json::parse(text);
  EXPECT_EQ(document["schema"], "allocline.stacks/1");
  ASSERT_EQ(document["frames"].size(), 2u);
  EXPECT_EQ(document["frames"][1]["line"], 2);
  EXPECT_EQ(document["stacks"], json::parse("[[0, null, 0], [0, 0, 1], [1, 1, 2], [2, 0, 3]]"));
  EXPECT_EQ(document["blocks"], json::parse("[[2, 1, 70, 2], [3, 0, 0, 3]]"));
}

TEST(RenderJsonTest, ADiffHoldsBothProfiles) {
  Profile old = Fixture().Build(), now = Fixture(2).Build();
  json document = json::parse(RenderDiffJson(now, old, ComputeDiff(now, old, {}).value(), {.limit = 1}));
  EXPECT_EQ(document["schema"], "allocline.diff/1");
  EXPECT_EQ(document["statistics"][0]["size_diff"], 188 * kMiB);
  EXPECT_EQ(document["statistics"][0]["count_diff"], 0);
  EXPECT_EQ(document["profile"]["traced"]["live_bytes"], 382 * kMiB);
  EXPECT_EQ(document["old_profile"]["traced"]["live_bytes"], 194 * kMiB);
}

TEST(RenderJsonTest, TextThatIsNotUtf8BecomesValid) {
  ProfileBuilder builder;
  builder.AddSite({.stack = builder.Push(kRootStack, builder.AddLocation({.file = "a\xff\x1b.cc", .line = 1})),
                   .live_bytes = 1,
                   .live_blocks = 1});
  builder.summary().label = "\xc3";
  Profile profile = std::move(builder).Build(UserLineRule({}));
  json document = json::parse(RenderJson(profile, ComputeStatistics(profile, {}).value(), {}));
  EXPECT_EQ(document["statistics"][0]["file"], "a\ufffd\x1b.cc");
  EXPECT_EQ(document["profile"]["label"], "\ufffd");
}

}  // namespace
}  // namespace allocline
