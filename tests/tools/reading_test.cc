// The commands that read recordings: what they do with what is no recording, and what never reaches a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "recording/builder.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ReadingTest : public ::testing::Test {
 protected:
  // A recording of one site, with one snapshot of that label.
  std::string Recorded(const std::string& name, const std::string& label) {
    RecordingBuilder builder;
    builder.AddModule({.start = 0x1000, .end = 0x2000, .path = "/made/\033]0;up"});
    const SiteId site = builder.AddSite(std::vector<format::Frame>{0x1234});
    RecordedThread thread{.tid = 1, .threads_served = 1, .name = "main"};
    thread.counters.emplace_back(site, SiteCounters{.allocated_bytes = 100, .allocated_blocks = 1});
    builder.AddThread(thread);
    builder.AddSnapshotOfNow({.label = label});
    EXPECT_TRUE(builder.WriteFile(directory_ / name).ok());
    return directory_ / name;
  }
  void ExpectRefused(const std::string& path) {
    for (const char* command : {"top", "info"}) {
      const Outcome outcome = Allocline({command, path});
      EXPECT_EQ(ExitCodeOf(outcome), 2) << command << " " << path;
      EXPECT_THAT(outcome.err, StartsWith("allocline: " + path));
      EXPECT_EQ(CountLines(outcome.err), 1);
      EXPECT_EQ(outcome.out, "");
    }
  }

  TempDir directory_;
};

TEST_F(ReadingTest, WhatIsNoRecordingIsRefusedInOneLine) {
  ExpectRefused(directory_.WriteFile("empty", ""));
  ExpectRefused(directory_.WriteFile("text", std::string(10000, 'x')));
  ExpectRefused(directory_.path());
  ExpectRefused(directory_ / "missing");
  ExpectRefused("/dev/zero");
  std::string newer = ReadFile(Recorded("recording", "one"));
  newer[8] = 99;
  ExpectRefused(directory_.WriteFile("newer", newer));
}

TEST_F(ReadingTest, AnUnknownLabelListsTheKnownOnes) {
  const Outcome outcome = Allocline({"top", Recorded("recording", "one") + "@two"});
  EXPECT_EQ(ExitCodeOf(outcome), 3);
  EXPECT_THAT(outcome.err, HasSubstr("'one'"));
}

TEST_F(ReadingTest, AFileWithAnAtSignIsTakenLiterally) {
  EXPECT_EQ(ExitCodeOf(Allocline({"top", Recorded("a@b", "one")})), 0);
  EXPECT_EQ(ExitCodeOf(Allocline({"top", (directory_ / "a@b") + "@one"})), 0);
}

TEST_F(ReadingTest, NoEscapeOfARecordingReachesTheTerminal) {
  const std::string recording = Recorded("recording", "\033[2Jlabel");
  for (const char* command : {"top", "info"}) {
    const Outcome outcome = Allocline({command, recording});
    EXPECT_EQ(ExitCodeOf(outcome), 0);
    EXPECT_THAT(outcome.out, Not(HasSubstr("\033"))) << command;
  }
  EXPECT_THAT(Allocline({"top", recording + "@none"}).err, Not(HasSubstr("\033")));
}

TEST_F(ReadingTest, InfoSaysWhatAnEventCostsOrThatItIsNotKnown) {
  const std::string none = Recorded("none", "one");
  EXPECT_THAT(Allocline({"info", none}).out, HasSubstr("  cost per event: an allocation not measured, a free not"));
  RecordingBuilder builder;
  builder.AddThread({.tid = 1, .name = "one", .timed_allocations = {.events = 10, .ns = 215}, .timed_frees = {}});
  builder.AddThread({.tid = 2,
                     .name = "two",
                     .timed_allocations = {.events = 30, .ns = 625},
                     .timed_frees = {.events = 2, .ns = -3}});
  ASSERT_TRUE(builder.WriteFile(directory_ / "some").ok());
  EXPECT_THAT(Allocline({"info", directory_ / "some"}).out,
              HasSubstr("  cost per event: 21 ns an allocation (40 timed), 0 ns a free (2 timed)\n"));
  const nlohmann::json tracer = nlohmann::json::parse(Allocline({"info", "--json", directory_ / "some"}).out)["tracer"];
  EXPECT_EQ(tracer["timed_allocations"], nlohmann::json({{"events", 40}, {"mean_ns", 21.0}}));
  EXPECT_EQ(tracer["timed_frees"], nlohmann::json({{"events", 2}, {"mean_ns", 0.0}}));
}

TEST_F(ReadingTest, ATimelineWithoutPointsSaysWhyItHasNone) {
  RecordingBuilder builder;
  ASSERT_TRUE(builder.WriteFile(directory_ / "killed at once").ok());
  builder.header().state |= format::kStateDiskFull;
  ASSERT_TRUE(builder.WriteFile(directory_ / "full").ok());
  EXPECT_THAT(Allocline({"timeline", directory_ / "killed at once"}).err,
              EndsWith("has no points over time: it ended before the first\n"));
  EXPECT_THAT(Allocline({"timeline", directory_ / "full"}).err,
              EndsWith("has no points over time: its disk was full before the first\n"));
  builder.AddTimelinePoint({.monotonic_ns = 1, .live_bytes = 1});
  ASSERT_TRUE(builder.WriteFile(directory_ / "cut short").ok());
  ASSERT_EQ(truncate((directory_ / "cut short").c_str(), 2 * format::kPageBytes), 0);
  EXPECT_THAT(Allocline({"timeline", directory_ / "cut short"}).err,
              HasSubstr("has no points over time: the file was cut short: 48 of 48 bytes of the table of timeline"));
}

TEST_F(ReadingTest, UsageErrorsAndMissingProcessesHaveTheirCodes) {
  const std::string recording = Recorded("recording", "one");
  EXPECT_EQ(ExitCodeOf(Allocline({"top", recording, "--by", "colour"})), 1);
  EXPECT_EQ(ExitCodeOf(Allocline({"top"})), 1);
  EXPECT_EQ(ExitCodeOf(Allocline({"frobnicate"})), 1);
  EXPECT_EQ(ExitCodeOf(Allocline({"top", "4194304999"})), 2);
  EXPECT_EQ(ExitCodeOf(Allocline({"top", "4194303"})), 4);
  EXPECT_EQ(ExitCodeOf(Allocline({"snapshot", recording, "--label", "a/b"})), 1);
  EXPECT_EQ(ExitCodeOf(Allocline({"snapshot", recording, "--label", "two"})), 0);
  EXPECT_EQ(ExitCodeOf(Allocline({"snapshot", recording, "--label", "two"})), 5);
  EXPECT_EQ(ExitCodeOf(Allocline({"top", recording + "@two"})), 0);
}

}  // namespace
}  // namespace allocline::testing
