// tracemalloc's semantics on the snapshots of CPython's own tests: sums, order, texts, filters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "report/diff.h"
#include "report/filter.h"
#include "report/statistics.h"
#include "report/traceback.h"
#include "tests/report/traces.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class GoldenTest : public ::testing::Test {
 protected:
  std::vector<std::string> Lines(const Profile& profile, std::string_view key, bool cumulative = false) {
    return Texts(Statistics(profile, key, cumulative).value());
  }
  std::vector<std::string> Differences(std::string_view key, bool cumulative = false) {
    return Texts(CompareTo(second_, first_, key, cumulative).value());
  }
  // The traces that a filter leaves, one text per group of equal ones.
  std::vector<std::string> Kept(const Profile& profile) {
    std::vector<std::string> texts;
    std::vector<Statistic> tracebacks = Statistics(profile, "traceback").value();
    for (const Statistic& statistic : tracebacks) {
      texts.push_back(Repr(statistic));
    }
    return texts;
  }

  const Profile first_ = ProfileOfTraces(FirstTraces());
  const Profile second_ = ProfileOfTraces(SecondTraces());
};

TEST_F(GoldenTest, LinesAreSummedAndSortedBySizeDescending) {
  EXPECT_THAT(Lines(first_, "lineno"),
              ElementsAre("b.py:1: size=66 B, count=1, average=66 B", "a.py:2: size=30 B, count=3, average=10 B",
                          "<unknown>:0: size=7 B, count=1, average=7 B", "a.py:5: size=2 B, count=1, average=2 B"));
  EXPECT_THAT(Lines(second_, "lineno"),
              ElementsAre("a.py:5: size=5002 B, count=2, average=2501 B",
                          "c.py:578: size=400 B, count=1, average=400 B", "a.py:2: size=30 B, count=3, average=10 B"));
}

TEST_F(GoldenTest, LinesAreComparedWithUnchangedOnesKept) {
  EXPECT_THAT(Differences("lineno"),
              ElementsAre("a.py:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B",
                          "c.py:578: size=400 B (+400 B), count=1 (+1), average=400 B",
                          "b.py:1: size=0 B (-66 B), count=0 (-1)", "<unknown>:0: size=0 B (-7 B), count=0 (-1)",
                          "a.py:2: size=30 B (+0 B), count=3 (+0), average=10 B"));
}

TEST_F(GoldenTest, FilesAreSummedUnderLineZero) {
  EXPECT_THAT(Lines(first_, "filename"),
              ElementsAre("b.py:0: size=66 B, count=1, average=66 B", "a.py:0: size=32 B, count=4, average=8 B",
                          "<unknown>:0: size=7 B, count=1, average=7 B"));
}

TEST_F(GoldenTest, FilesAreCompared) {
  EXPECT_THAT(Differences("filename"),
              ElementsAre("a.py:0: size=5032 B (+5000 B), count=5 (+1), average=1006 B",
                          "c.py:0: size=400 B (+400 B), count=1 (+1), average=400 B",
                          "b.py:0: size=0 B (-66 B), count=0 (-1)", "<unknown>:0: size=0 B (-7 B), count=0 (-1)"));
}

TEST_F(GoldenTest, TracebacksPrintTheirOutermostFrame) {
  EXPECT_THAT(Lines(first_, "traceback"),
              ElementsAre("b.py:1: size=66 B, count=1, average=66 B", "b.py:4: size=30 B, count=3, average=10 B",
                          "<unknown>:0: size=7 B, count=1, average=7 B", "b.py:4: size=2 B, count=1, average=2 B"));
  Profile z = ProfileOfTraces({{0, 1, {{"a.py", 2}, {"z.py", 9}}}});
  EXPECT_THAT(Lines(z, "traceback"), ElementsAre("z.py:9: size=1 B, count=1, average=1 B"));
}

TEST_F(GoldenTest, TracebacksAreComparedByAllTheirFrames) {
  EXPECT_THAT(Differences("traceback"),
              ElementsAre("b.py:4: size=5002 B (+5000 B), count=2 (+1), average=2501 B",
                          "c.py:578: size=400 B (+400 B), count=1 (+1), average=400 B",
                          "b.py:1: size=0 B (-66 B), count=0 (-1)", "<unknown>:0: size=0 B (-7 B), count=0 (-1)",
                          "b.py:4: size=30 B (+0 B), count=3 (+0), average=10 B"));
}

TEST_F(GoldenTest, CumulativeFilesAreChargedForEveryFrame) {
  EXPECT_THAT(Lines(first_, "filename", true),
              ElementsAre("b.py:0: size=98 B, count=5, average=20 B", "a.py:0: size=32 B, count=4, average=8 B",
                          "<unknown>:0: size=7 B, count=1, average=7 B"));
}

TEST_F(GoldenTest, CumulativeLinesAreChargedForEveryFrame) {
  EXPECT_THAT(Lines(first_, "lineno", true),
              ElementsAre("b.py:1: size=66 B, count=1, average=66 B", "b.py:4: size=32 B, count=4, average=8 B",
                          "a.py:2: size=30 B, count=3, average=10 B", "<unknown>:0: size=7 B, count=1, average=7 B",
                          "a.py:5: size=2 B, count=1, average=2 B"));
}

TEST_F(GoldenTest, CumulativeDifferencesCountEveryFrameToo) {
  EXPECT_THAT(Differences("filename", true), ElementsAre("a.py:0: size=5032 B (+5000 B), count=5 (+1), average=1006 B",
                                                         "b.py:0: size=5032 B (+4934 B), count=5 (+0), average=1006 B",
                                                         "c.py:0: size=400 B (+400 B), count=1 (+1), average=400 B",
                                                         "<unknown>:0: size=0 B (-7 B), count=0 (-1)"));
}

TEST(CumulativeTest, ARecursiveLineIsChargedAsOftenAsItOccurs) {
  Profile profile = ProfileOfTraces({{0, 10, {{"a.py", 2}, {"a.py", 2}, {"b.py", 1}}}});
  EXPECT_THAT(Texts(Statistics(profile, "lineno", true).value()),
              ElementsAre("a.py:2: size=20 B, count=2, average=10 B", "b.py:1: size=10 B, count=1, average=10 B"));
}

TEST(CumulativeTest, ARecursiveLineIsChargedOncePerStackOnRequest) {
  Profile profile = ProfileOfTraces({{0, 10, {{"a.py", 2}, {"c.py", 3}, {"a.py", 2}, {"b.py", 1}}},
                                     {0, 5, {{"c.py", 3}, {"b.py", 1}}},
                                     {0, 1, {{"a.py", 2}, {"b.py", 1}}}});
  auto lines = ComputeStatistics(profile, {.cumulative = true, .once_per_stack = true});
  EXPECT_THAT(Texts(lines.value()),
              ElementsAre("b.py:1: size=16 B, count=3, average=5 B", "c.py:3: size=15 B, count=2, average=8 B",
                          "a.py:2: size=11 B, count=2, average=6 B"));
}

TEST(StatisticsOrderTest, TiesAreSortedByFrameDescendingAndLinesAsNumbers) {
  Profile profile = ProfileOfTraces({{0, 10, {{"a.py", 10}}}, {0, 10, {{"b.py", 1}}}, {0, 10, {{"a.py", 2}}}});
  EXPECT_THAT(Texts(Statistics(profile, "lineno").value()),
              ElementsAre("b.py:1: size=10 B, count=1, average=10 B", "a.py:10: size=10 B, count=1, average=10 B",
                          "a.py:2: size=10 B, count=1, average=10 B"));
}

TEST(StatisticsOrderTest, ABlockOfZeroBytesCounts) {
  Profile profile = ProfileOfTraces({{0, 0, {{"a.py", 1}}}});
  EXPECT_THAT(Texts(Statistics(profile, "lineno").value()), ElementsAre("a.py:1: size=0 B, count=1, average=0 B"));
}

TEST_F(GoldenTest, UnknownKeysAndCumulativeTracebacksAreRefusedInTracemallocsWords) {
  EXPECT_EQ(Statistics(first_, "x").status().message(), "unknown key_type: 'x'");
  EXPECT_EQ(Statistics(first_, "it's").status().message(), "unknown key_type: \"it's\"");
  EXPECT_EQ(Statistics(first_, "traceback", true).status().message(),
            "cumulative mode cannot by used with key type 'traceback'");
  EXPECT_EQ(CompareTo(second_, first_, "traceback", true).status().message(),
            "cumulative mode cannot by used with key type 'traceback'");
}

TEST_F(GoldenTest, ReprsAreThoseOfPython) {
  std::vector<Statistic> lines = Statistics(first_, "lineno").value();
  EXPECT_EQ(Repr(lines[0]), "<Statistic traceback=<Traceback (<Frame filename='b.py' lineno=1>,)> size=66 count=1>");
  std::vector<StatisticDiff> diffs = CompareTo(second_, first_, "lineno").value();
  EXPECT_EQ(Repr(diffs[0]),
            "<StatisticDiff traceback=<Traceback (<Frame filename='a.py' lineno=5>,)> size=5002 (+5000) count=2 (+1)>");
  std::vector<Statistic> tracebacks = Statistics(first_, "traceback").value();
  EXPECT_EQ(Repr(tracebacks[1].group.traceback()),
            "<Traceback (<Frame filename='b.py' lineno=4>, <Frame filename='a.py' lineno=2>)>");
}

TEST_F(GoldenTest, AnExclusiveFilterDropsOnlyTheTracesItMatches) {
  Profile kept = FilterProfile(first_, std::vector<Filter>{FileFilter(false, "b.py")}, LineOf::kInnermost);
  EXPECT_THAT(Lines(kept, "lineno"),
              ElementsAre("a.py:2: size=30 B, count=3, average=10 B", "<unknown>:0: size=7 B, count=1, average=7 B",
                          "a.py:5: size=2 B, count=1, average=2 B"));
  std::vector<Filter> both = {FileFilter(true, "a.py", 2), FileFilter(true, "a.py", 5)};
  EXPECT_THAT(Lines(FilterProfile(kept, both, LineOf::kInnermost), "lineno"),
              ElementsAre("a.py:2: size=30 B, count=3, average=10 B", "a.py:5: size=2 B, count=1, average=2 B"));
}

TEST_F(GoldenTest, AnExclusiveFilterWithADomainDropsOnlyThatDomain) {
  Profile kept =
      FilterProfile(first_, std::vector<Filter>{FileFilter(false, "a.py", std::nullopt, false, 1)}, LineOf::kInnermost);
  EXPECT_THAT(Lines(kept, "lineno"),
              ElementsAre("b.py:1: size=66 B, count=1, average=66 B", "a.py:2: size=30 B, count=3, average=10 B",
                          "<unknown>:0: size=7 B, count=1, average=7 B"));
}

TEST_F(GoldenTest, DomainFiltersKeepOrDropOneDomain) {
  EXPECT_THAT(Lines(FilterProfile(first_, std::vector<Filter>{DomainFilter(false, 3)}), "lineno"),
              ElementsAre("b.py:1: size=66 B, count=1, average=66 B", "a.py:2: size=30 B, count=3, average=10 B",
                          "a.py:5: size=2 B, count=1, average=2 B"));
  EXPECT_THAT(Lines(FilterProfile(first_, std::vector<Filter>{DomainFilter(true, 3)}), "lineno"),
              ElementsAre("<unknown>:0: size=7 B, count=1, average=7 B"));
}

TEST_F(GoldenTest, NoFilterKeepsEverythingAndTheOriginalIsUntouched) {
  EXPECT_EQ(Kept(FilterProfile(first_, {})), Kept(first_));
  std::vector<std::string> before = Kept(first_);
  Profile none = FilterProfile(first_, std::vector<Filter>{FileFilter(true, "")}, LineOf::kInnermost);
  EXPECT_THAT(Kept(none), IsEmpty());
  EXPECT_EQ(Kept(first_), before);
}

TEST_F(GoldenTest, ATracebackFormatsWithItsSourceLines) {
  std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "allocline_golden";
  std::filesystem::create_directories(folder);
  std::string a = folder / "a.py", b = folder / "b.py";
  std::ofstream(a) << "1\n  <a, 2>  \n3\n4\n   <a, 5>";
  std::ofstream(b) << "1\r\n2\r\n3\r\n\t<b, 4>\r\n";
  Profile profile = ProfileOfTraces({{0, 10, {{a, 2}, {b, 4}}}});
  Traceback traceback(profile.stacks(), profile.sites()[0].stack);
  std::string b4 = "  File \"" + b + "\", line 4", a2 = "  File \"" + a + "\", line 2";
  EXPECT_THAT(traceback.Format(), ElementsAre(b4, "    <b, 4>", a2, "    <a, 2>"));
  EXPECT_THAT(traceback.Format(1), ElementsAre(a2, "    <a, 2>"));
  EXPECT_THAT(traceback.Format(-1), ElementsAre(b4, "    <b, 4>"));
  EXPECT_THAT(traceback.Format(0), IsEmpty());
  EXPECT_THAT(traceback.Format(-2), IsEmpty());
  EXPECT_THAT(traceback.Format(-3), IsEmpty());
  EXPECT_THAT(traceback.Format(7), ElementsAre(b4, "    <b, 4>", a2, "    <a, 2>"));
  EXPECT_THAT(traceback.Format(std::nullopt, true), ElementsAre(a2, "    <a, 2>", b4, "    <b, 4>"));
  EXPECT_THAT(traceback.Format(1, true), ElementsAre(a2, "    <a, 2>"));
  std::filesystem::remove_all(folder);
}

TEST(TracebackTest, SourcesThatAreNotRegularFilesAreNotRead) {
  Traceback traceback(std::vector<Frame>{{.file = "/dev/zero", .line = 1}, {.file = "/no/such", .line = 1}});
  EXPECT_THAT(traceback.Format(), ElementsAre("  File \"/dev/zero\", line 1", "  File \"/no/such\", line 1"));
}

TEST(TracebackTest, TextsAndOrderAreThoseOfPython) {
  EXPECT_EQ(Str(Frame{.file = "f", .line = 1}), "f:1");
  EXPECT_EQ(Repr(Frame{.file = "f", .line = 1}), "<Frame filename='f' lineno=1>");
  EXPECT_EQ(Repr(Traceback()), "<Traceback ()>");
  EXPECT_EQ(Repr(Traceback({{.file = "f", .line = 1}}, 5)),
            "<Traceback (<Frame filename='f' lineno=1>,) total_nframe=5>");
  EXPECT_EQ(Str(Traceback({{.file = "f", .line = 1}, {.file = "g", .line = 2}})), "f:1");
  EXPECT_LT((Frame{.file = "a", .line = 10}), (Frame{.file = "b", .line = 1}));
  EXPECT_LT((Frame{.file = "a", .line = 2}), (Frame{.file = "a", .line = 10}));
  Traceback shorter({{.file = "a", .line = 1}}), longer({{.file = "a", .line = 1}, {.file = "a", .line = 0}});
  EXPECT_LT(shorter, longer);
  EXPECT_EQ(Traceback({{.file = "f", .line = 1}}, 5), Traceback({{.file = "f", .line = 1}}));
}

}  // namespace
}  // namespace allocline
