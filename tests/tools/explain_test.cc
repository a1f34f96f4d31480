// `allocline explain` from outside: what it finds, what it does not, how it ends; on whole recordings and on poor ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/report/made_up_program.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr uint64_t kMiB = 1 << 20;

class ExplainTest : public ::testing::Test {
 protected:
  Outcome Explain(MadeUpProgram& program, Words options = {}, const std::string& label = "") {
    const Words words = {"explain", directory_.WriteFile("sync.allocline", program.Bytes()) + label};
    options.insert(options.begin(), words.begin(), words.end());
    return Allocline(options);
  }
  // Rows that a page function makes, of which a vector keeps all.
  static SiteId AddCollection(MadeUpProgram& program) {
    const SiteId page =
        program.Site({Lib("sqlite3_step", "libsqlite3.so.0"), Own("NextPage()", 60), Own("Update()", 20)});
    const SiteId rows = program.Site({Std("std::vector<Row>::push_back"), Own("Update()", 21)});
    for (int i = 0; i < 10; ++i) {
      program.Allocate(page, kMiB, 100);
      program.Free(page, kMiB, 100);
      program.Allocate(rows, 10 * kMiB, 50000);
      program.Snapshot("page");
    }
    return rows;
  }

  TempDir directory_;
};

TEST_F(ExplainTest, AFindingHasItsLineItsReasonsItsPathAndItsFix) {
  MadeUpProgram program;
  program.SetLimit(256 * kMiB);
  AddCollection(program);
  const Outcome outcome = Explain(program);
  EXPECT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("judged:   at the end"),
                    HasSubstr(": 100 MiB live; the limit is 256 MiB\n\n"
                              "1. all data is collected before it is sent\n"
                              "   sync.cc:21: size=100 MiB, count=500000, average=210 B\n"
                              "   why:  100% of the 100 MiB that were live\n"
                              "         39.1% of the limit of 256 MiB\n"
                              "         nothing of it was freed: all 500000 blocks that it allocated were live\n"
                              "         over the checkpoints it grew in 9 of 10 checkpoints"),
                    HasSubstr("         the program asks a database: sqlite3_step of libsqlite3.so.0\n"
                              "         it goes into a sequence: std::vector<Row>::push_back\n"
                              "   path: Update at sync.cc:21 < main at sync.cc:1\n"
                              "   fix:  Send each page")));
}

TEST_F(ExplainTest, AFindingEndsTheCommandWithAnErrorOnlyWhereThatIsAskedFor) {
  MadeUpProgram program;
  AddCollection(program);
  EXPECT_EQ(ExitCodeOf(Explain(program)), 0);
  const Outcome outcome = Explain(program, {"--fail-on-finding"});
  EXPECT_EQ(ExitCodeOf(outcome), 8);
  EXPECT_THAT(outcome.err, MatchesRegex("allocline: .*sync.allocline: 1 finding\n"));
  MadeUpProgram nothing;
  EXPECT_EQ(ExitCodeOf(Explain(nothing, {"--fail-on-finding"})), 0);
}

TEST_F(ExplainTest, JsonHoldsEveryFact) {
  MadeUpProgram program;
  AddCollection(program);
  const nlohmann::json json = nlohmann::json::parse(Explain(program, {"--json", "--limit", "1G"}).out);
  EXPECT_EQ(json["schema"], "allocline.explain/1");
  EXPECT_EQ(json["limit_bytes"], 1024 * kMiB);
  EXPECT_EQ(json["no_finding"], nullptr);
  ASSERT_EQ(json["count"], 1);
  const nlohmann::json& finding = json["findings"][0];
  EXPECT_EQ(finding["cause"], "collects_all");
  EXPECT_EQ(finding["size"], 100 * kMiB);
  EXPECT_EQ(finding["score"], 1);
  EXPECT_EQ(finding["lines"][0]["line"], 21);
  EXPECT_EQ(finding["lines"][0]["path"][0]["function"], "Update()");
  bool kept = false;
  for (const nlohmann::json& fact : finding["lines"][0]["facts"]) {
    if (fact["fact"] == "kept") kept = fact["value"] == 1;
  }
  EXPECT_TRUE(kept);
}

TEST_F(ExplainTest, WhatComesAndGoesInBatchesIsNoFinding) {
  MadeUpProgram program;
  program.SetLimit(256 * kMiB);
  const SiteId rows = program.Site({Std("std::vector<Row>::push_back"), Own("Update()", 21)});
  for (int i = 0; i < 20; ++i) {
    program.Allocate(rows, 60 * kMiB, 1000);
    program.FreeAll(rows);
  }
  const Outcome outcome = Explain(program);
  EXPECT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("judged:   at the peak"));
  EXPECT_THAT(outcome.out,
              HasSubstr("no finding: the line that holds most gives it back as it goes\n"
                        "sync.cc:21: size=60.0 MiB, count=1000, average=61.4 KiB\n"
                        "it held 60.0 MiB of the 1200 MiB that it ever allocated, and gave back the rest\n"));
}

// A killed program died of what it held; one that ended by itself has only not freed that yet, however it ended.
TEST_F(ExplainTest, ThePeakIsJudgedOfAProgramThatEndedByItselfAndTheEndOfOneThatWasKilled) {
  const auto judged = [&](uint32_t state) {
    MadeUpProgram program;
    program.builder().header().state |= state;
    const SiteId rows = program.Site({Std("std::vector<Row>::push_back"), Own("Update()", 21)});
    program.Allocate(rows, 100 * kMiB, 1000);
    program.Free(rows, 30 * kMiB, 300);
    return Explain(program).out;
  };
  EXPECT_THAT(judged(0), HasSubstr("judged:   at the end"));
  EXPECT_THAT(judged(format::kStateExited), HasSubstr("judged:   at the peak"));
  EXPECT_THAT(judged(format::kStateLeft), HasSubstr("judged:   at the peak"));
}

TEST_F(ExplainTest, ALabelIsTheMomentThatIsJudged) {
  MadeUpProgram program;
  program.Snapshot("before");
  const SiteId rows = AddCollection(program);
  program.FreeAll(rows);
  EXPECT_THAT(Explain(program, {}, "@before").out,
              AllOf(HasSubstr("judged:   at \"before\""), HasSubstr("no finding: ")));
  EXPECT_THAT(Explain(program, {}, "@page").out, AllOf(HasSubstr("judged:   at \"page\""), HasSubstr("1. all data")));
  EXPECT_THAT(Explain(program, {}, "@peak").out, AllOf(HasSubstr("judged:   at the peak"), HasSubstr("1. all data")));
  EXPECT_EQ(ExitCodeOf(Explain(program, {}, "@after")), 3);
}

TEST_F(ExplainTest, PoorRecordingsAreNoFindingAndSayWhy) {
  MadeUpProgram empty;
  EXPECT_THAT(Explain(empty).out, HasSubstr("no finding: no memory is on any line\n"));

  MadeUpProgram totals;
  totals.builder().header().state |= format::kStateTotalsOnly;
  EXPECT_THAT(Explain(totals).out, HasSubstr("no finding: the recording has totals only, and no lines\n"));

  MadeUpProgram of_libraries;
  of_libraries.Allocate(of_libraries.Site({{.function = "parse"}}), 100 * kMiB);
  EXPECT_THAT(Explain(of_libraries, {"--lib-path", "/src/sync"}).out,
              HasSubstr("of which 0 B on lines of the program's own code"));
  EXPECT_EQ(ExitCodeOf(Allocline({"explain", "/nowhere.allocline"})), 2);
  EXPECT_EQ(ExitCodeOf(Explain(empty, {"--limit", "much"})), 1);
}

TEST_F(ExplainTest, NamesThatWouldCommandATerminalAreShownAsText) {
  MadeUpProgram program;
  const SiteId rows = program.Site({Std("std::vector<Row>::push_back\x1b[2J"), Own("Up\x1b]0;date()", 21)});
  program.Allocate(rows, 100 * kMiB, 10000);
  const Outcome outcome = Explain(program);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\\x1b]0;date"), Not(HasSubstr("\x1b"))));
}

}  // namespace
}  // namespace allocline::testing
