// include/allocline/allocline.h and .hpp, as programs use them. What each function does is checked by the programs
// themselves (programs/api_in_*); here, that they are content, and what others see of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/ledger.h"
#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ApiTest : public ::testing::Test {
 protected:
  Outcome Traced(const std::string& program) {
    return RunProgram({.argv = {E2eProgram(program), "traced"}, .env = TracingEnvironment(directory_.path())});
  }
  std::string Recording() {
    EXPECT_EQ(RecordingsIn(directory_.path()).size(), 1);
    return RecordingsIn(directory_.path()).front();
  }
  TempDir directory_;
};

TEST_F(ApiTest, WithoutTheTracerProgramsRunSilentlyAndEveryFunctionSaysSo) {
  for (const char* program : {"api_in_c", "api_in_cxx"}) {
    const Outcome outcome = RunProgram({.argv = {E2eProgram(program), "untraced"}});
    EXPECT_EQ(outcome.Ending(), "exit 0") << program;
    EXPECT_EQ(outcome.out, "") << program;
    EXPECT_EQ(outcome.err, "") << program;
  }
}

TEST_F(ApiTest, InCEveryFunctionDoesWhatTracemallocsDoes) {
  const Outcome outcome = Traced("api_in_c");
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.Ending(), "exit 0");
}

TEST_F(ApiTest, InCxxToo) {
  const Outcome outcome = Traced("api_in_cxx");
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.Ending(), "exit 0");
}

// Quotes, newlines, more than is kept, none.
TEST_F(ApiTest, LabelsMayBeAnything) {
  const std::string err = Traced("api_in_cxx").err;
  const std::string endless(format::kMaxLabelBytes, 'x');
  EXPECT_THAT(err, ContainsRegex("\nallocline: " + std::string(60, 'x') + "x*: RSS .*, traced .*, peak [0-9.]+ .*\n"));
  EXPECT_THAT(err, HasSubstr("snapshot \"" + endless + "\""));
  EXPECT_THAT(err, HasSubstr("snapshot \"\""));
  const Json labels = AnswerJson({"info", Recording(), "--no-symbols"})["labels"];
  ASSERT_EQ(labels.size(), 8u);
  EXPECT_EQ(labels[1]["label"], "say \"it\",\nthen\tgo");
  EXPECT_EQ(labels[1]["rows"], 3);
  EXPECT_EQ(labels[2]["label"], endless);
  EXPECT_EQ(labels[2]["rows"], nullptr);
  EXPECT_EQ(labels[3]["label"], "");
  EXPECT_EQ(labels[4]["label"], "");
  EXPECT_THAT(Answer({"top", Recording() + "@say \"it\",\nthen\tgo"}),
              HasSubstr("snapshot \"say \"it\",\\x0athen\\x09go\""));
}

TEST_F(ApiTest, MemoryUsageIsOneLineAndTheTopLinesAreAReport) {
  const std::string err = Traced("api_in_c").err;
  const std::string usage = err.substr(0, err.find('\n') + 1);
  EXPECT_THAT(usage, AllOf(IsOneLine(), StartsWith("allocline: usage ?[2J: RSS "),
                           ContainsRegex(", traced 11[.]. KiB, peak [0-9.]+ KiB\n$")));
  EXPECT_THAT(err, Not(HasSubstr("\033")));
  const std::string top = err.substr(usage.size());
  EXPECT_THAT(top, StartsWith("api_in_c (pid "));
  EXPECT_THAT(top, HasSubstr("snapshot \"logged\""));
  EXPECT_THAT(top,
              HasSubstr("\n" + LineOfMarker("api_in_c.c", "made") + ": size=10.9 KiB, count=1, average=10.9 KiB\n"));
  EXPECT_THAT(top, Not(HasSubstr(LineOfMarker("api_in_c.c", "tracked")))) << "one line was asked for";
}

TEST_F(ApiTest, SnapshotsHoldWhatWasLiveWhenTheyWereTaken) {
  Traced("api_in_c");
  const Json info = AnswerJson({"info", Recording(), "--no-symbols"});
  std::vector<std::string> labels;
  for (const Json& label : info["labels"]) labels.push_back(label["label"]);
  EXPECT_THAT(labels, ElementsAre("one", "two \033[2J", "", "", "logged")) << "none was taken while stopped";

  const std::string made = LineOfMarker("api_in_c.c", "made"), tracked = LineOfMarker("api_in_c.c", "tracked");
  EXPECT_EQ(Top(Recording() + "@one"), (HeldBy{{made, {11111, 1}}}));
  EXPECT_EQ(Top(Recording() + "@two \033[2J"), (HeldBy{{made, {11111, 1}}, {tracked, {222, 1}}}));
  EXPECT_EQ(Top(Recording() + "@logged", {"--filter", "domain=20"}), (HeldBy{{tracked, {222, 1}}}));
  EXPECT_EQ(Top(Recording() + "@logged", {"--filter", "domain=malloc"}), (HeldBy{{made, {11111, 1}}}));
}

TEST_F(ApiTest, StartStoppedRecordsNothingUntilTheProgramStarts) {
  const Outcome outcome = Allocline(
      {"run", "--start-stopped", "-q", "-o", directory_.path(), "--", E2eProgram("ledger"), "rows", "9", "9"});
  EXPECT_EQ(outcome.Ending(), "exit 0");
  EXPECT_EQ(Top(Recording()), HeldBy{});
}

}  // namespace
}  // namespace allocline::testing
