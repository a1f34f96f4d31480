// What is said of a container that fills up, how often, and by which names.
#include "tools/rung_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/rung_lines.h"

namespace allocline::testing {
namespace {

using format::SnapshotKind;
using ::testing::HasSubstr;
using ::testing::Pointee;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kSecond = 1'000'000'000;

RungNews Rung(unsigned percent, uint32_t pid = 7, uint64_t at_ns = 0) {
  RungNews news{.recording = "connector." + std::to_string(pid), .program = "connector", .pid = pid, .snapshot = {}};
  news.snapshot.label = "limit-" + std::to_string(percent) + "%";
  news.snapshot.kind = SnapshotKind::kRung;
  news.snapshot.monotonic_ns = at_ns;
  news.snapshot.live_bytes = percent * kMebibyte / 2;
  news.snapshot.rss_bytes = percent * kMebibyte * 3 / 4;
  news.snapshot.container_usage_bytes = percent * kMebibyte;
  news.snapshot.container_limit_bytes = 100 * kMebibyte;
  return news;
}
RungNews OfProcess(RungNews news) {
  news.snapshot.container_limit_bytes = 0;
  news.emulated_limit = 75 * kMebibyte;
  return news;
}
RungNews Failure(uint32_t pid = 7) {
  RungNews news = Rung(50, pid);
  news.snapshot.label = "failed-allocation";
  news.snapshot.kind = SnapshotKind::kFailedAllocation;
  return news;
}
std::string LabelOf(const std::optional<LogPacer::Message>& message) {
  return message ? message->news.snapshot.label : "";
}

TEST(RungNewsTest, TheLevelIsThatOfTheRung) {
  EXPECT_EQ(Rung(50).level(), LogLevel::kInfo);
  EXPECT_EQ(Rung(69).level(), LogLevel::kInfo);
  EXPECT_EQ(Rung(70).level(), LogLevel::kWarning);
  EXPECT_EQ(Rung(89).level(), LogLevel::kWarning);
  EXPECT_EQ(Rung(90).level(), LogLevel::kSevere);
  EXPECT_EQ(Rung(100).level(), LogLevel::kSevere);
  EXPECT_EQ(Failure().level(), LogLevel::kSevere);
}

TEST(RungNewsTest, TheLowerLimitCountsAndWithoutAContainersTheResidentSet) {
  RungNews news = Rung(80);
  EXPECT_EQ(news.limit_bytes(), 100 * kMebibyte);
  EXPECT_EQ(news.usage_bytes(), 80 * kMebibyte);
  news.emulated_limit = 90 * kMebibyte;
  EXPECT_EQ(news.limit_bytes(), 90 * kMebibyte);
  news.emulated_limit = 200 * kMebibyte;
  EXPECT_EQ(news.limit_bytes(), 100 * kMebibyte);
  EXPECT_EQ(OfProcess(Rung(80)).limit_bytes(), 75 * kMebibyte);
  EXPECT_EQ(OfProcess(Rung(80)).usage_bytes(), 60 * kMebibyte);
}

TEST(LogPacerTest, OfWhatComesAtOnceTheWorstIsToldAndTheRestCounted) {
  LogPacer pacer;
  for (const unsigned percent : {50u, 70u, 95u, 90u}) pacer.Add(Rung(percent));
  const std::optional<LogPacer::Message> message = pacer.Take(kSecond);
  EXPECT_EQ(LabelOf(message), "limit-95%");
  EXPECT_EQ(message->left_out, 3u);
  EXPECT_EQ(pacer.Take(100 * kSecond), std::nullopt);
}

TEST(LogPacerTest, TheNextWaitsUnlessItIsWorse) {
  LogPacer pacer;
  pacer.Add(Rung(50));
  EXPECT_EQ(LabelOf(pacer.Take(kSecond)), "limit-50%");
  pacer.Add(Rung(60));
  EXPECT_EQ(pacer.Take(2 * kSecond), std::nullopt);
  pacer.Add(Rung(80));
  EXPECT_EQ(LabelOf(pacer.Take(3 * kSecond)), "limit-80%");
  pacer.Add(Rung(85));
  EXPECT_EQ(pacer.Take(4 * kSecond), std::nullopt);
  EXPECT_EQ(LabelOf(pacer.Take(3 * kSecond + LogPacer::kDistanceNs)), "limit-85%");
  pacer.Add(Rung(55));
  EXPECT_EQ(pacer.Take(9 * kSecond), std::nullopt);
  EXPECT_EQ(LabelOf(pacer.Take(9 * kSecond, /*at_the_end=*/true)), "limit-55%");
}

TEST(LogPacerTest, ARungOfTheContainerIsToldOnceForAllItsProcesses) {
  LogPacer pacer;
  pacer.Add(Rung(50, 7));
  pacer.Add(Rung(50, 8));
  EXPECT_EQ(pacer.Take(kSecond)->left_out, 1u);
  pacer.Add(Rung(50, 9));
  pacer.Add(Rung(50, 7));  // it fell, and rose again
  EXPECT_EQ(pacer.Take(100 * kSecond), std::nullopt);
  pacer.Add(Rung(60, 7));
  EXPECT_EQ(pacer.Take(100 * kSecond)->left_out, 2u);
}

TEST(LogPacerTest, WhatIsOfAProcessIsToldOfEach) {
  LogPacer pacer;
  pacer.Add(OfProcess(Rung(50, 7)));
  EXPECT_EQ(pacer.Take(kSecond)->news.pid, 7u);
  pacer.Add(OfProcess(Rung(50, 8)));
  EXPECT_EQ(pacer.Take(100 * kSecond)->news.pid, 8u);
  pacer.Add(Failure(7));
  pacer.Add(Failure(7));
  EXPECT_EQ(pacer.Take(200 * kSecond)->left_out, 1u);
  pacer.Add(Failure(8));
  EXPECT_EQ(pacer.Take(300 * kSecond)->news.pid, 8u);
}

TEST(RungTextTest, OneLineHasTheFiguresAndTheLines) {
  const RungLines lines = {.lines = {{"fetch.cc:22", 40 * kMebibyte}, {"parse.cc:7", 2 * kMebibyte}},
                           .live_bytes = 45 * kMebibyte,
                           .processes = 1};
  EXPECT_EQ(RungText({.news = Rung(90), .left_out = 2}, lines),
            "allocline: limit-90%: the container is at 90 of 100 MiB; connector (pid 7) has 45.0 MiB live: fetch.cc:22 "
            "40.0 MiB, parse.cc:7 2048 KiB (2 before it not told)");
  EXPECT_EQ(RungText({.news = OfProcess(Rung(80))}, {}),
            "allocline: limit-80%: connector (pid 7) is at 60 of 75 MiB, with 40.0 MiB live")
      << "nothing could be read";
  RungLines of_many = lines;
  of_many.processes = 7;
  EXPECT_THAT(RungText({.news = Rung(90)}, of_many), HasSubstr("; 7 processes have 45.0 MiB live: fetch.cc:22"));
}

TEST(RungTextTest, ItIsShortAndCannotReachTheTerminalWhateverTheNames) {
  RungLines lines = {.lines = {}, .live_bytes = 45 * kMebibyte, .processes = 1};
  for (int i = 0; i < 10; ++i) {
    std::string name = "\033[2J\n";
    for (int k = 0; k < 1000; ++k) name += "ü";
    lines.lines.push_back({name + ":" + std::to_string(i), kMebibyte});
  }
  const std::string text = RungText({.news = Rung(90), .left_out = 1}, lines);
  EXPECT_LE(text.size(), 1000u);
  EXPECT_EQ(text.find_first_of("\033\n"), text.npos);
  EXPECT_THAT(text, HasSubstr("ü:0 1024 KiB"));
  EXPECT_THAT(text, HasSubstr("(1 before it not told)"));
}

TEST(LineNamesTest, NamesGoThroughAPipeThatMayCutThemShort) {
  LineNames names;
  for (SiteId site = 1; site <= 100; ++site) names.Add("a.allocline", site, "file.cc:" + std::to_string(site));
  names.Add("b.allocline", 1, "other.cc:1");
  const std::string packed = names.Packed(64 << 10);
  LineNames all, some, none;
  all.AddPacked(packed);
  EXPECT_THAT(all.Find("a.allocline", 100), Pointee(std::string("file.cc:100")));
  EXPECT_THAT(all.Find("b.allocline", 1), Pointee(std::string("other.cc:1")));
  EXPECT_EQ(all.Find("c.allocline", 1), nullptr);
  some.AddPacked(std::string_view(packed).substr(0, packed.size() / 2));
  size_t found = 0;
  for (SiteId site = 1; site <= 100; ++site) {
    const std::string* name = some.Find("a.allocline", site);
    if (name == nullptr) continue;
    EXPECT_EQ(*name, "file.cc:" + std::to_string(site));
    ++found;
  }
  EXPECT_GT(found, 30u);
  EXPECT_LT(found, 70u);
  none.AddPacked("nonsense");
  EXPECT_LE(names.Packed(1000).size(), 1000u);
}

}  // namespace
}  // namespace allocline::testing
