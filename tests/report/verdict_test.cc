// Verdicts on series of known shape, as a confusion table; and on what makes a series hard to judge.
#include "report/verdict.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "report/trend.h"
#include "tests/report/shapes.h"

namespace allocline {
namespace {

using testing::Dice;
using testing::kShapeBlock;
using testing::kShapes;
using testing::Shape;
using testing::ShapeStep;
using testing::ShapeSteps;

// What a recording of a program that follows the steps would hold.
LineSeries SeriesOf(const ShapeSteps& steps) {
  LineSeries series;
  double allocated = 0, live = 0, peak = 0;
  for (const ShapeStep& step : steps) {
    const double now = std::floor(step.live / kShapeBlock) * kShapeBlock;
    allocated += std::max(0.0, now - live) + step.tooth + step.turnover;
    if (step.one_block && now != live) allocated += live;
    peak = std::max({peak, now, live + step.tooth});
    live = now;
    series.live_bytes.push_back(static_cast<int64_t>(live));
    series.live_blocks.push_back(step.one_block ? live > 0 : static_cast<int64_t>(live / kShapeBlock));
    series.allocated_bytes.push_back(static_cast<uint64_t>(allocated));
  }
  series.peak_bytes = static_cast<int64_t>(peak);
  return series;
}

LineSeries Bytes(const std::vector<int64_t>& live) {
  LineSeries series{.live_bytes = live, .live_blocks = {}, .allocated_bytes = {}, .error_bytes = {}, .peak_bytes = {}};
  uint64_t allocated = 0;
  for (size_t i = 0; i < live.size(); ++i) {
    if (i > 0 && live[i] > live[i - 1]) allocated += static_cast<uint64_t>(live[i] - live[i - 1]);
    series.live_blocks.push_back(live[i] / 100);
    series.allocated_bytes.push_back(allocated);
  }
  return series;
}
std::string NameOf(const std::vector<int64_t>& live) {
  return std::string(VerdictName(JudgeSeries(Bytes(live), {}).kind));
}

constexpr VerdictKind kKinds[] = {VerdictKind::kAccumulating, VerdictKind::kLevelling, VerdictKind::kStep,
                                  VerdictKind::kBuffer,       VerdictKind::kSawtooth,  VerdictKind::kSpike,
                                  VerdictKind::kChurn,        VerdictKind::kShrinking, VerdictKind::kStable};

TEST(VerdictTest, SeriesOfKnownShapeAreJudgedRight) {
  constexpr size_t kSeeds = 300;
  std::string table = fmt::format("{:<56}", "drawn: meant (rows), judged (columns), in 1000");
  for (const VerdictKind kind : kKinds) table += fmt::format(" {:>12}", VerdictName(kind));
  size_t standing = 0, false_leaks = 0;
  for (const Shape& shape : kShapes) {
    std::map<std::string_view, size_t> counts;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      Dice dice(seed, shape.name);
      ++counts[VerdictName(JudgeSeries(SeriesOf(shape.draw(dice)), {}).kind)];
    }
    table += fmt::format("\n{:<56}", fmt::format("{}: {}", shape.name, shape.verdict));
    for (const VerdictKind kind : kKinds) {
      const size_t count = counts[VerdictName(kind)];
      table += count == 0 ? fmt::format(" {:>12}", ".") : fmt::format(" {:>12}", count * 1000 / kSeeds);
    }
    EXPECT_GE(counts[shape.verdict], kSeeds * 98 / 100) << shape.name;
    if (shape.verdict == "accumulating") continue;
    standing += kSeeds;
    false_leaks += counts["accumulating"];
  }
  EXPECT_LE(false_leaks, standing * 2 / 1000) << "what does not leak is called a leak";
  std::cout << table << "\n";
}

TEST(VerdictTest, FewerCheckpointsThanNeededGiveNoVerdict) {
  EXPECT_EQ(NameOf({}), "too_few_checkpoints");
  EXPECT_EQ(NameOf({1, 2, 3, 4}), "too_few_checkpoints");
  EXPECT_EQ(NameOf({1, 2, 3, 4, 5}), "accumulating");
  EXPECT_EQ(NameOf({1, 2, 3, 5, 4}), "stable");
}

TEST(VerdictTest, WhatHoldsNothingIsStable) {
  EXPECT_EQ(NameOf(std::vector<int64_t>(20, 0)), "stable");
  EXPECT_EQ(NameOf(std::vector<int64_t>(20, 100)), "stable");
}

TEST(VerdictTest, TheFiguresAreThoseOfTheSeries) {
  const Verdict verdict = JudgeSeries(Bytes({1000, 1100, 1300, 1300, 1400, 1500, 1600, 1700}), {});
  EXPECT_EQ(verdict.kind, VerdictKind::kAccumulating);
  EXPECT_EQ(verdict.first, 1000);
  EXPECT_EQ(verdict.last, 1700);
  EXPECT_EQ(verdict.rises, 6u);
  EXPECT_EQ(verdict.falls, 0u);
  EXPECT_EQ(verdict.of, 7u);
  EXPECT_EQ(verdict.bytes_per_checkpoint, 100);
  EXPECT_FALSE(verdict.bytes_per_row);
}

TEST(VerdictTest, BytesPerRowFollowRowsAndNotCheckpoints) {
  // Batches of very different size, 50 bytes a row, and one odd checkpoint.
  std::vector<double> rows;
  std::vector<int64_t> live;
  double done = 0;
  for (const double batch : {10.0, 500.0, 20.0, 1000.0, 5.0, 300.0, 40.0, 800.0, 60.0}) {
    done += batch;
    rows.push_back(done);
    live.push_back(static_cast<int64_t>(5000 + 50 * done));
  }
  live[4] += 10000;
  const Verdict verdict = JudgeSeries(Bytes(live), rows);
  EXPECT_EQ(verdict.kind, VerdictKind::kAccumulating);
  EXPECT_NEAR(verdict.bytes_per_row.value(), 50, 2);
}

TEST(VerdictTest, WhatIsWithinTheErrorOfSamplingHasNotMoved) {
  LineSeries series = Bytes({1000, 1010, 1020, 1030, 1040, 1050, 1060, 1070});
  EXPECT_EQ(JudgeSeries(series, {}).kind, VerdictKind::kAccumulating);
  series.error_bytes.assign(8, 500);
  EXPECT_EQ(JudgeSeries(series, {}).kind, VerdictKind::kStable);
}

TEST(VerdictTest, AThousandCheckpointsAreJudgedByTheirShapeToo) {
  std::vector<int64_t> leak, full;
  for (int64_t i = 0; i < 1000; ++i) {
    leak.push_back(100000 + 10 * i + (i * 7919) % 1000);
    full.push_back(std::min<int64_t>(i, 600) * 100);
  }
  EXPECT_EQ(NameOf(leak), "accumulating");
  EXPECT_EQ(NameOf(full), "levels_off");
}

TEST(VerdictTest, NegativeSeriesOfTheOverflowSiteAreJudgedAsWell) {
  EXPECT_EQ(NameOf({-100, -200, -300, -400, -500, -600}), "shrinking");
  EXPECT_EQ(NameOf({0, 0, 0, 0, 0, 0}), "stable");
}

// ---------------------------------------------------------------- the statistics

TEST(TrendTest, TheChanceOfSeriesThatRiseThroughoutIsCountedOut) {
  EXPECT_DOUBLE_EQ(MannKendall(std::vector<double>{1, 2, 3, 4, 5}).p, 1.0 / 120);
  EXPECT_DOUBLE_EQ(MannKendall(std::vector<double>{1, 2, 3, 5, 4}).p, 5.0 / 120);
  EXPECT_DOUBLE_EQ(MannKendall(std::vector<double>{1, 2, 3, 4, 5, 6, 7}).p, 1.0 / 5040);
  EXPECT_EQ(MannKendall(std::vector<double>{5, 4, 3, 2, 1}).p, 1);
}

TEST(TrendTest, OfTwoKindsOfNoiseOneInAThousandRisesOrFewer) {
  size_t white = 0, wandering = 0;
  constexpr size_t kSeries = 4000;
  for (uint64_t seed = 0; seed < kSeries; ++seed) {
    Dice dice(seed, "noise");
    std::vector<double> independent, alike;
    double off = 0;
    for (size_t i = 0; i < 30; ++i) {
      independent.push_back(dice.Normal());
      alike.push_back(off = 0.5 * off + dice.Normal());
    }
    white += MannKendall(independent).significant;
    wandering += MannKendall(alike).significant;
  }
  EXPECT_LE(white, 2 * kSeries / 1000);
  EXPECT_LE(wandering, 8 * kSeries / 1000);
}

TEST(TrendTest, AThirdOfWildValuesLeavesTheSlopeAlone) {
  Points points;
  for (int i = 0; i < 40; ++i) {
    points.x.push_back(i);
    points.y.push_back(i % 4 == 1 ? 1e9 * (i % 3 - 1) : 3.0 * i);
  }
  EXPECT_NEAR(TheilSenSlope(points), 3, 0.5);
}

TEST(TrendTest, LowPointsAreTheFeetOfTeeth) {
  EXPECT_EQ(LowPoints(std::vector<double>{5, 1, 4, 2, 2, 6, 3}), (std::vector<size_t>{1, 4}));
  EXPECT_EQ(LowPoints(std::vector<double>{1, 2, 3}), std::vector<size_t>{});
  EXPECT_EQ(LowPoints(std::vector<double>{}), std::vector<size_t>{});
}

TEST(TrendTest, ARampIsFoundAtItsCorners) {
  Points points;
  for (int i = 0; i < 30; ++i) {
    points.x.push_back(i);
    points.y.push_back(100.0 * std::clamp(i, 8, 19));
  }
  const Ramp ramp = FitRamp(points);
  EXPECT_EQ(ramp.begin, 8u);
  EXPECT_EQ(ramp.end, 19u);
  EXPECT_NEAR(ramp.slope, 100, 1e-6);
}

}  // namespace
}  // namespace allocline
