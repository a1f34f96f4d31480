// What the tracer says an event costs: measured on few events, of both kinds, whatever follows what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "tests/support/paths.h"
#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

struct Costs {
  EventTimes allocations, frees;
};

class EventCostTest : public ::testing::TestWithParam<const char*> {
 protected:
  static Costs CostsOf(const std::string& pace, const std::string& count) {
    return CostsWith({{"ALLOCLINE_SAMPLE", GetParam()}}, pace, count);
  }
  static Costs CostsWith(std::map<std::string, std::string> env, const std::string& pace, const std::string& count) {
    const Recorded run = RecordCommand({.argv = {TrapPath("paces"), pace, count}, .env = std::move(env)});
    EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
    Costs costs;
    for (const RecordedThread& thread : run.main().recording().threads()) {
      costs.allocations += thread.timed_allocations;
      costs.frees += thread.timed_frees;
    }
    return costs;
  }
  // What the usual event costs may be less than the clock can tell.
  static void ExpectPlausible(const EventTimes& times, uint64_t least, uint64_t most) {
    EXPECT_GE(times.events, least);
    EXPECT_LE(times.events, most);
    EXPECT_GE(times.mean_ns(), 0);
    EXPECT_LT(times.mean_ns(), 10'000'000);
  }
};

// One event of some thousands, so the bounds are six standard deviations and more away.
TEST_P(EventCostTest, WhereAllocationsAndFreesComeByTurnsBothAreTimedAlike) {
  const Costs costs = CostsOf("pairs", "2000000");
  ExpectPlausible(costs.allocations, 60, 2000);
  ExpectPlausible(costs.frees, 60, 2000);
  const double share =
      static_cast<double>(costs.frees.events) / static_cast<double>(costs.allocations.events + costs.frees.events);
  EXPECT_NEAR(share, 0.5, 0.25);
}

TEST_P(EventCostTest, WhereTheyComeByThreesToo) {
  const Costs costs = CostsOf("bursts", "700000");
  ExpectPlausible(costs.allocations, 60, 2000);
  ExpectPlausible(costs.frees, 60, 2000);
  const double share =
      static_cast<double>(costs.frees.events) / static_cast<double>(costs.allocations.events + costs.frees.events);
  EXPECT_NEAR(share, 0.5, 0.25);
}

TEST_P(EventCostTest, WhereMemoryOnlyGrowsAllocationsAreTimed) {
  ExpectPlausible(CostsOf("growth", "1000000").allocations, 30, 2000);
}

// With libunwind at every stack an allocation takes well over 100 ns, and a free what it always takes.
TEST_P(EventCostTest, WhatAllocationsCostMoreIsTheirsAlone) {
  if (*GetParam() != '\0') GTEST_SKIP() << "nothing is unwound for a block that is only counted";
  const Costs costs = CostsWith({{"ALLOCLINE_VERIFY", "1"}}, "pairs", "400000");
  ExpectPlausible(costs.allocations, 20, 1000);
  EXPECT_GT(costs.allocations.mean_ns(), 20);
  EXPECT_LT(costs.frees.mean_ns(), costs.allocations.mean_ns());
}

INSTANTIATE_TEST_SUITE_P(ExactAndSampled, EventCostTest, ::testing::Values("", "512K"),
                         [](const auto& param) { return *param.param == '\0' ? "Exact" : "Sampled"; });

TEST(EventCostInfoTest, InfoPrintsIt) {
  const Recorded run = RecordCommand({.argv = {TrapPath("paces"), "pairs", "500000"}});
  const std::string path = run.directory / run.main().file_name();
  EXPECT_THAT(Allocline({"info", "--no-symbols", path}).out,
              ::testing::ContainsRegex("\n  cost per event: [0-9]+ ns an allocation \\([1-9][0-9]* timed\\), "
                                       "[0-9]+ ns a free \\([1-9][0-9]* timed\\)\n"));
}

}  // namespace
}  // namespace allocline::testing
