// `allocline growth` on real programs: the shapes that verdict_test.cc has as numbers, followed with blocks.
#include <gmock/gmock.h>

#include <iostream>

#include "tests/e2e/ledger.h"
#include "tests/report/shapes.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class GrowthTest : public ::testing::Test {
 protected:
  std::string Grow(const std::string& shape, int seed) {
    return RecordInto(directory_.path(), {E2eProgram("grows"), shape, std::to_string(seed)});
  }
  // The line that all blocks of the shape are of.
  static Json HeldLine(const Json& report) {
    const std::string name = LineOfMarker("grows.cc", "held");
    for (const Json& line : report["lines"]) {
      if (ShortName(line["name"]) == name) return line;
    }
    ADD_FAILURE() << "no " << name;
    return Json::object({{"verdict", "none"}, {"evidence", ""}});
  }

  TempDir directory_;
};

TEST_F(GrowthTest, ProgramsOfKnownShapeAreJudgedRight) {
  std::string table = "drawn: judged\n";
  for (const Shape& shape : kShapes) {
    const Json report = AnswerJson({"growth", Grow(std::string(shape.name), 7), "--filter", "grows.cc"});
    const Json line = HeldLine(report);
    table += fmt::format("  {}: {}: {}\n", shape.name, std::string(line["verdict"]), std::string(line["evidence"]));
    EXPECT_EQ(line["verdict"], shape.verdict) << shape.name;
  }
  std::cout << table;
}

TEST_F(GrowthTest, TheSeriesIsWhatTheProgramHeldAtEachCheckpointAndItsRateIsPerRow) {
  Dice dice(3, "a steady leak");
  const ShapeSteps steps = shapes::SteadyLeak(dice);
  const Json report = AnswerJson({"growth", Grow("a steady leak", 3), "--limit", "1G"});
  const Json line = HeldLine(report);
  std::vector<int64_t> held;
  for (const ShapeStep& step : steps) held.push_back(static_cast<int64_t>(step.live / kShapeBlock) * 4096);
  EXPECT_EQ(line["live_bytes"], Json(held));
  EXPECT_EQ(report["lines"][0], line) << "what grows is first";

  const double per_checkpoint = static_cast<double>(held.back() - held.front()) / static_cast<double>(held.size() - 1);
  EXPECT_NEAR(line["bytes_per_checkpoint"], per_checkpoint, 4096);
  EXPECT_NEAR(line["bytes_per_row"], per_checkpoint / 1000, 4.096);
  const Json outlook = report["outlook"];
  EXPECT_EQ(outlook["limit_bytes"], 1 << 30);
  EXPECT_NEAR(outlook["rows_left"].get<double>() * outlook["bytes_per_row"].get<double>(),
              (1 << 30) - outlook["usage_bytes"].get<double>(), 1);
}

TEST_F(GrowthTest, AKilledProgramsEndIsACheckpointAndATidyOnesIsNot) {
  const Words grown = {"rows", "100",   "64", "label", "a",   "rows", "100",   "64", "label", "b",   "rows", "100",
                       "64",   "label", "c",  "rows",  "100", "64",   "label", "d",  "rows",  "100", "64"};
  const std::string exited = RecordLedger(directory_ / "exited", grown);
  EXPECT_EQ(AnswerJson({"growth", exited})["checkpoints"].size(), 4u);
  EXPECT_THAT(Answer({"growth", exited}), AllOf(HasSubstr("4 checkpoints are too few for a verdict, which needs 5"),
                                                HasSubstr("the end is no checkpoint")));

  std::filesystem::create_directories(directory_ / "killed");
  const auto process = StartLedger(directory_ / "killed", grown);
  EXPECT_THAT(Answer({"growth", std::to_string(process->pid())}),
              AllOf(HasSubstr("5 checkpoints, \"a\" to now\n"),
                    HasSubstr(LedgerLine("rows") + ": accumulating: grew in 4 of 4 checkpoints, +6400 B each")));
  process->Signal(SIGKILL);
  process->Wait();
  const std::string killed = RecordingsIn(directory_ / "killed").at(0);
  EXPECT_THAT(Answer({"growth", killed}),
              AllOf(HasSubstr("5 checkpoints, \"a\" to the end\n"), Not(HasSubstr("too few"))));
  EXPECT_EQ(AnswerJson({"growth", killed + "@c"})["checkpoints"].size(), 3u);
}

}  // namespace
}  // namespace allocline::testing
