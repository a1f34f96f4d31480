// The timeline as a plot, CSV and JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "recording/builder.h"
#include "report/timeline.h"

namespace allocline {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSecond = 1'000'000'000;

// Memory that rises to `top` and is given back, over ten seconds.
TimelineView Hill(uint64_t top) {
  TimelineView view{.recording = "connector.7.allocline",
                    .program = "/app/connector",
                    .host = "host",
                    .pid = 7,
                    .end_ns = 10 * kSecond,
                    .points_taken = 3,
                    .points = {},
                    .marks = {}};
  for (const auto& [second, live] : {std::pair{0u, uint64_t{0}}, {5u, top}, {10u, uint64_t{0}}}) {
    view.points.push_back({.monotonic_ns = second * kSecond, .live_bytes = live, .rss_bytes = live + kMiB});
  }
  return view;
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Characters as a terminal counts them.
size_t Columns(const std::string& line) {
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

TEST(RenderTimelineTest, TheWholePlotToTheLetter) {
  TimelineView view = Hill(15 * kMiB);
  view.marks.push_back({.elapsed_ns = 5 * kSecond,
                        .label = "half",
                        .kind = format::SnapshotKind::kCheckpoint,
                        .rows = 12,
                        .figures = {.monotonic_ns = 5 * kSecond, .live_bytes = 15 * kMiB, .rss_bytes = 16 * kMiB}});
  EXPECT_EQ(RenderTimeline(view, {.width = 40, .height = 4, .utf8 = false}),
            "connector (pid 7), last seen after 10.0 s; 3 points\n"
            "16.0 MiB |           --------\n"
            "12.0 MiB |       ----########----\n"
            "8192 KiB |   ----################----\n"
            "4096 KiB |---########################---\n"
            "       0 +---------------a--------------\n"
            "          0 s                     10.0 s\n"
            "          # live bytes, most 15.0 MiB\n"
            "          - RSS, most 16.0 MiB\n"
            "  a      5.0 s  half                  live 15.0 MiB, RSS 16.0 MiB, 12 rows\n");
}

TEST(RenderTimelineTest, NoLineIsWiderThanTheTerminalAndNoneEndsInBlanks) {
  for (const size_t width : {20u, 21u, 40u, 80u, 100u, 237u}) {
    for (const bool utf8 : {false, true}) {
      const std::vector<std::string> lines =
          Lines(RenderTimeline(Hill(900 * kMiB), {.width = width, .height = 5, .utf8 = utf8}));
      for (size_t i = 1; i <= 6; ++i) {  // the plot and its axis
        EXPECT_LE(Columns(lines[i]), std::max<size_t>(width, 23)) << width << ": " << lines[i];
        EXPECT_FALSE(lines[i].ends_with(' ')) << lines[i];
      }
    }
  }
}

TEST(RenderTimelineTest, APeakOfOneInstantIsSeenHoweverFewTheColumns) {
  TimelineView view = Hill(0);
  view.points = {};
  for (uint64_t i = 0; i <= 1000; ++i) {
    view.points.push_back({.monotonic_ns = i * kSecond / 100, .live_bytes = i == 567 ? 64 * kMiB : kMiB});
  }
  const std::vector<std::string> lines = Lines(RenderTimeline(view, {.width = 30, .height = 4, .utf8 = false}));
  EXPECT_THAT(lines[1], HasSubstr("#")) << "the top row";
}

TEST(RenderTimelineTest, ALimitInSightIsDrawnAndOneFarAboveIsNamed) {
  TimelineView view = Hill(50 * kMiB);
  for (TimelinePoint& point : view.points) point.container_limit_bytes = 64 * kMiB;
  EXPECT_THAT(Lines(RenderTimeline(view, {.width = 60, .height = 4, .utf8 = false}))[1],
              ContainsRegex("^64\\.0 MiB \\|~~~~~~~"));
  for (TimelinePoint& point : view.points) point.container_limit_bytes = 64'000 * kMiB;
  const std::string far = RenderTimeline(view, {.width = 60, .height = 4, .utf8 = false});
  EXPECT_THAT(far, Not(HasSubstr("~")));
  EXPECT_THAT(far, HasSubstr("limit 62.5 GiB, far above"));
}

TEST(RenderTimelineTest, AnEmulatedLimitCountsWhereItIsLess) {
  TimelineView view = Hill(50 * kMiB);
  view.emulated_limit = 60 * kMiB;
  EXPECT_EQ(view.limit(), 60 * kMiB);
  for (TimelinePoint& point : view.points) point.container_limit_bytes = 55 * kMiB;
  EXPECT_EQ(view.limit(), 55 * kMiB);
  view.points.back().container_limit_bytes = 70 * kMiB;  // it was raised
  EXPECT_EQ(view.limit(), 60 * kMiB);
  EXPECT_THAT(RenderTimeline(view, {.width = 60, .height = 4, .utf8 = false}), HasSubstr("limit 60.0 MiB (emulated)"));
}

TEST(RenderTimelineTest, OnePointAndNoTimeAreAPlotToo) {
  TimelineView view = Hill(kMiB);
  view.points.resize(1);
  view.points_taken = 1;
  view.end_ns = 0;
  const std::string text = RenderTimeline(view, {.width = 60, .height = 2, .utf8 = true});
  EXPECT_THAT(text, HasSubstr("; 1 point\n"));
  EXPECT_THAT(text, HasSubstr("0 s"));
}

TEST(RenderTimelineTest, MoreMarksThanLettersAreCounted) {
  TimelineView view = Hill(kMiB);
  for (uint64_t i = 0; i < 60; ++i) {
    view.marks.push_back({.elapsed_ns = i * kSecond / 6, .label = "batch", .figures = {}});
  }
  const std::string text = RenderTimeline(view, {.width = 80, .height = 4, .utf8 = true});
  EXPECT_THAT(text, HasSubstr("\n  Z "));
  EXPECT_THAT(text, HasSubstr("8 more: --json or --csv lists all\n"));
}

TEST(RenderTimelineTest, LabelsAreCutBetweenCharactersAndCannotReachTheTerminal) {
  TimelineView view = Hill(kMiB);
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ü";
  view.marks = {{.elapsed_ns = 1, .label = umlauts, .figures = {}},
                {.elapsed_ns = 2, .label = "\033[2J\r\n\"", .figures = {}},
                {.elapsed_ns = 3, .label = "", .figures = {}}};
  const std::string text = RenderTimeline(view, {.width = 80, .height = 2, .utf8 = true});
  EXPECT_THAT(text, ContainsRegex("ü\\.\\.\\.  live"));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_THAT(text, HasSubstr("(no label)"));
  EXPECT_EQ(Lines(text).size(), 1u + 2 + 1 + 1 + 1 + 3) << text;  // title, plot, axis, times, legend, marks

  EXPECT_THAT(RenderTimelineCsv(view), HasSubstr(",\"\033[2J\r\n\"\"\",\r\n"));
  const nlohmann::json document = nlohmann::json::parse(RenderTimelineJson(view));
  EXPECT_EQ(document["marks"][1]["label"], "\033[2J\r\n\"");
  EXPECT_EQ(document["marks"][1]["rows"], nullptr);
}

TEST(RenderTimelineTest, CsvHasPointsAndMarksByRisingTimeAndNothingForTheUnknown) {
  TimelineView view = Hill(kMiB);
  view.marks.push_back(
      {.elapsed_ns = 5 * kSecond, .label = "a", .rows = 3, .figures = {.monotonic_ns = 5 * kSecond, .live_bytes = 9}});
  const std::vector<std::string> lines = Lines(RenderTimelineCsv(view));
  EXPECT_THAT(
      lines,
      ElementsAre("seconds,live_bytes,rss_bytes,container_usage_bytes,container_limit_bytes,kind,label,"
                  "rows\r",
                  ContainsRegex("^0(\\.0+)?,0,1048576,,,,,\r$"), ContainsRegex("^5(\\.0+)?,9,,,,label,\"a\",3\r$"),
                  ContainsRegex("^5(\\.0+)?,1048576,2097152,,,,,\r$"), ContainsRegex("^10(\\.0+)?,0,1048576,,,,,\r$")));
}

// ---------------------------------------------------------------- of a recording

TEST(MakeTimelineTest, TimesAreSinceTheStartAndAClockThatWentBackStandsStill) {
  RecordingBuilder builder;
  builder.header().start_monotonic_ns = 100 * kSecond;
  builder.AddTimelinePoint({.monotonic_ns = 99 * kSecond, .live_bytes = 1});  // before the recording was opened
  builder.AddTimelinePoint({.monotonic_ns = 103 * kSecond, .live_bytes = 2});
  const absl::StatusOr<Recording> recording = Recording::Parse(builder.Build(), "made.allocline");
  ASSERT_TRUE(recording.ok()) << recording.status();
  const TimelineView view =
      MakeTimeline(*recording, TimelinePoint{.monotonic_ns = 101 * kSecond, .live_bytes = 3, .rss_bytes = 4});
  ASSERT_EQ(view.points.size(), 3u);
  EXPECT_EQ(view.points[0].monotonic_ns, 0u);
  EXPECT_EQ(view.points[1].monotonic_ns, 3 * kSecond);
  EXPECT_EQ(view.points[2].monotonic_ns, 3 * kSecond) << "the machine was restored from an image meanwhile";
  EXPECT_EQ(view.end_ns, 3 * kSecond);
  EXPECT_TRUE(view.running);
}

}  // namespace
}  // namespace allocline
