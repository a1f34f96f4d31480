// `allocline check` from outside: what is kept and what is broken, how it ends, and what CI servers are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "recording/builder.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CheckTest : public ::testing::Test {
 protected:
  // Two lines, named by symbols that the recording carries: one keeps 500 bytes more at each of ten checkpoints, one
  // held 5000 bytes at the peak and holds nothing.
  void SetUp() override {
    RecordingBuilder builder;
    std::strcpy(builder.header().program, "/bin/sync <&>");
    builder.header().flags |= format::kFlagSnapshot;
    builder.header().peak_bytes = 8000;
    builder.AddModule({.start = 0x1000, .end = 0x3000, .path = "/bin/sync"});
    const SiteId grows = builder.AddSite(std::vector<format::Frame>{0x1234});
    const SiteId spikes = builder.AddSite(std::vector<format::Frame>{0x2234});
    AddSymbol(&builder, 0x1234, "Orders::Keep(int)", "/src/sync/orders,1.cc", 61);
    AddSymbol(&builder, 0x2234, "Pages::Parse(char*)", "/src/sync/pages.cc", 7);
    const size_t thread = builder.AddThread({.tid = 1, .threads_served = 1, .name = "main"});
    builder.AddCounters(thread, spikes,
                        {.allocated_bytes = 5000, .allocated_blocks = 5, .freed_bytes = 5000, .freed_blocks = 5});
    for (uint64_t i = 1; i <= 10; ++i) {
      builder.AddCounters(thread, grows, {.allocated_bytes = 500, .allocated_blocks = 5});
      builder.AddSnapshotOfNow({.label = "batch", .monotonic_ns = i, .rss_bytes = 100000, .rows = 20 * i});
    }
    builder.SetPeakCopy({.monotonic_ns = 2, .live_bytes = 7000, .live = {{grows, {2000, 20}}, {spikes, {5000, 5}}}});
    recording_ = directory_ / "sync.allocline";
    ASSERT_TRUE(builder.WriteFile(recording_).ok());
  }
  static void AddSymbol(RecordingBuilder* builder, format::Frame frame, const char* function, const char* file,
                        uint32_t line) {
    builder->AddSymbol({.frame = frame, .level = 4, .locations = {{.function = function, .file = file, .line = line}}});
  }

  Outcome Check(const std::string& budgets, Words options = {}) {
    const Words words = {"check", recording_, "--budget", directory_.WriteFile("b.toml", budgets)};
    options.insert(options.begin(), words.begin(), words.end());
    return Allocline(options);
  }
  // The line of the table whose title is this, after the state and the title.
  static std::string RowOf(const Outcome& outcome, const std::string& title) {
    const size_t at = outcome.out.find("  " + title + " ");
    if (at == outcome.out.npos) return "no row " + title + " in\n" + outcome.out + outcome.err;
    const size_t begin = outcome.out.rfind('\n', at) + 1, end = outcome.out.find('\n', at);
    std::string row = outcome.out.substr(begin, end - begin);
    for (size_t twice; (twice = row.find("   ")) != row.npos;) row.erase(twice, 1);
    return row;
  }

  TempDir directory_;
  std::string recording_;
};

constexpr char kEveryMeasure[] =
    "[total]\npeak = 7999\nlive = 5000\nblocks = 49\ngrowth = 499\ngrowth_per_row = 25\n"
    "[[label]]\nname = \"b*\"\nlive = 4999\nrss = 100000\n"
    "[[line]]\nname = \"orders,1.cc:61\"\ngrowth = 0\npeak = 2000\n"
    "[[file]]\nname = \"/src/sync/*\"\npeak = 6999\n"
    "[[function]]\nname = \"Pages::*\"\nlive = 0\npeak = 4999\ngrowth = 0\n";

TEST_F(CheckTest, EveryMeasureIsComparedWithWhatTheRecordingSays) {
  const Outcome outcome = Check(kEveryMeasure);
  EXPECT_EQ(ExitCodeOf(outcome), 6);
  EXPECT_EQ(RowOf(outcome, "total, peak"), "broken  total, peak  8000 B, 7999 B allowed");
  EXPECT_EQ(RowOf(outcome, "total, live"), "kept  total, live  5000 B, 5000 B allowed");
  EXPECT_EQ(RowOf(outcome, "total, blocks"), "broken  total, blocks  50 blocks, 49 blocks allowed");
  EXPECT_THAT(
      RowOf(outcome, "total, growth"),
      StartsWith("broken  total, growth  500 B a checkpoint, 499 B a checkpoint allowed (accumulating: grew in 9 "
                 "of 9 checkpoints"));
  EXPECT_THAT(RowOf(outcome, "total, growth_per_row"),
              StartsWith("kept  total, growth_per_row  25 B a row, 25 B a row"));
  EXPECT_EQ(RowOf(outcome, "label b*, live"), "broken  label b*, live  5000 B, 4999 B allowed (at \"batch\")");
  EXPECT_THAT(RowOf(outcome, "label b*, rss"), StartsWith("kept"));
  EXPECT_THAT(RowOf(outcome, "line orders,1.cc:61, growth"), StartsWith("broken"));
  EXPECT_THAT(RowOf(outcome, "line orders,1.cc:61, peak"), StartsWith("kept"));
  EXPECT_EQ(RowOf(outcome, "file /src/sync/*, peak"), "broken  file /src/sync/*, peak  7000 B, 6999 B allowed");
  EXPECT_THAT(RowOf(outcome, "function Pages::*, live"), StartsWith("kept"));
  EXPECT_THAT(RowOf(outcome, "function Pages::*, peak"), StartsWith("broken"));
  EXPECT_THAT(RowOf(outcome, "function Pages::*, growth"), StartsWith("kept"));
  EXPECT_THAT(outcome.out, HasSubstr("\n7 of 13 budgets not kept\n"));
  EXPECT_THAT(outcome.err, HasSubstr("b.toml: 7 of 13 budgets not kept"));
}

TEST_F(CheckTest, ExitCodesTellKeptBrokenAndNotUnderstood) {
  EXPECT_EQ(Check("[total]\npeak = 8000\n").Ending(), "exit 0");
  EXPECT_EQ(Check("[total]\npeak = 8000\n").err, "");
  EXPECT_EQ(ExitCodeOf(Check("[total]\npeak = 1\n")), 6);
  const Outcome unknown = Check("[total]\npeek = 1\n");
  EXPECT_EQ(ExitCodeOf(unknown), 7);
  EXPECT_EQ(unknown.out, "");
  EXPECT_THAT(unknown.err, HasSubstr("b.toml:2: unknown key 'peek' of a total; did you mean 'peak'?\n"));
  const Outcome label = Check("[[label]]\nname = \"none\"\nlive = 1\n");
  EXPECT_EQ(ExitCodeOf(label), 3);
  EXPECT_THAT(label.err, ::testing::EndsWith("its labels: 'batch'\n"));
  EXPECT_EQ(ExitCodeOf(Allocline({"check", recording_, "--budget", directory_ / "missing"})), 7);
  EXPECT_EQ(ExitCodeOf(Allocline({"check", recording_})), 1);
  EXPECT_EQ(ExitCodeOf(Check("[total]\npeak = 1\n", {"--json", "--github"})), 1);
  EXPECT_EQ(ExitCodeOf(Check("[total]\npeak = 1\n", {"--junit", directory_ / "no/where"})), 5);
}

TEST_F(CheckTest, ABudgetThatMatchesNothingIsSaidToAndIsBrokenWhenStrict) {
  const std::string budgets = "[[line]]\nname = \"orders.cc:62\"\nlive = 0\n";
  EXPECT_THAT(Check(budgets).out, HasSubstr("matches no block"));
  EXPECT_EQ(ExitCodeOf(Check(budgets)), 0);
  EXPECT_EQ(ExitCodeOf(Check(budgets, {"--strict"})), 6);
}

TEST_F(CheckTest, AnnotationsPointAtTheSourceFromItsRoot) {
  const std::string out = Check(kEveryMeasure, {"--github", "--source-root", "/src"}).out;
  EXPECT_THAT(out,
              HasSubstr("\n::error file=sync/orders%2C1.cc,line=61,title=memory budget%3A line orders%2C1.cc%3A61%2C "
                        "growth::500 B a checkpoint, 0 B a checkpoint allowed (accumulating: "));
  EXPECT_THAT(out,
              HasSubstr("\n::error file=sync/pages.cc,line=7,title=memory budget%3A function Pages%3A%3A*%2C peak::"));
  EXPECT_THAT(out, HasSubstr("b.toml,line=2,title=memory budget%3A total%2C peak::8000 B, 7999 B allowed\n"));
  // A name cannot begin a command of its own.
  const std::string forged =
      Check("[[function]]\nname = \"Pages::*\\n::error::x%\"\npeak = 0\n[total]\npeak = 0\n", {"--github"}).out;
  EXPECT_THAT(forged, AllOf(Not(HasSubstr("\n::error::")), HasSubstr("::error file=")));
}

TEST_F(CheckTest, JunitsXmlIsReadBackByAParser) {
  const std::string xml = directory_ / "memory.xml";
  const std::string budgets =
      std::string(kEveryMeasure) +
      "[[function]]\nname = \"<&\\\"'>\\u0001 ä\"\nlive = 1\n[[file]]\nname = \"*\"\npeak = 1\n";
  EXPECT_EQ(ExitCodeOf(Check(budgets, {"--junit", xml, "--source-root", "/src/sync/"})), 6);
  const Outcome read = RunProgram({.argv = {"/usr/bin/python3", "-c",
                                            "import sys, xml.etree.ElementTree as e\n"
                                            "suite = e.parse(sys.argv[1]).getroot().find('testsuite')\n"
                                            "print(suite.get('name'), suite.get('tests'), suite.get('failures'))\n"
                                            "cases = suite.findall('testcase')\n"
                                            "print(len(cases), sum(c.find('failure') is not None for c in cases))\n"
                                            "print([c.get('name') for c in cases if '<' in c.get('name')])\n"
                                            "print(cases[0].find('failure').get('message'))\n"
                                            "print(cases[7].find('failure').text.endswith(', at orders,1.cc:61'))\n",
                                            xml}});
  EXPECT_EQ(read.err, "");
  EXPECT_EQ(read.out,
            "memory budgets of sync <&> 15 8\n15 8\n"
            "['function <&\"\\'>\\\\x01 ä, live']\n8000 B, 7999 B allowed\nTrue\n");
}

TEST_F(CheckTest, JsonHoldsEveryBudget) {
  const nlohmann::json json = nlohmann::json::parse(Check(kEveryMeasure, {"--json"}).out);
  EXPECT_EQ(json["schema"], "allocline.check/1");
  EXPECT_EQ(json["kept"], false);
  EXPECT_EQ(json["not_kept"], 7);
  ASSERT_EQ(json["budgets"].size(), 13u);
  EXPECT_EQ(json["budgets"][0]["found"], 8000);
  EXPECT_EQ(json["budgets"][7]["file"], "/src/sync/orders,1.cc");
  EXPECT_EQ(json["budgets"][7]["line"], 61);
}

TEST_F(CheckTest, WhatTheRecordingDoesNotTellIsNotKept) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(std::vector<format::Frame>{0x1234});
  builder.AddCounters(builder.AddThread({.tid = 1, .name = "main"}), site,
                      {.allocated_bytes = 1, .allocated_blocks = 1});
  recording_ = directory_ / "short.allocline";
  ASSERT_TRUE(builder.WriteFile(recording_).ok());
  const Outcome outcome = Check("[total]\ngrowth = \"1G\"\nlive = 1\n[[file]]\nname = \"*\"\npeak = \"1G\"\n");
  EXPECT_EQ(ExitCodeOf(outcome), 6);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("1 checkpoint, and growth needs 5"),
                                 HasSubstr("has no copy of what was live"), HasSubstr("2 of 3 budgets not kept")));
}

}  // namespace
}  // namespace allocline::testing
