// What the tracer may hold: when that is used up it records less, says so, and does no harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "report/notes.h"
#include "report/render_text.h"
#include "tests/support/harm.h"
#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int64_t kStacks = 60000;  // of traps/many_stacks, a block each: about 50 MiB when recorded exactly

Recorded RunWith(const std::string& budget, std::map<std::string, std::string> env = {}) {
  env["ALLOCLINE_TRACER_MEMORY"] = budget;
  Recorded run = RecordCommand({.argv = {TrapPath("many_stacks")}, .env = std::move(env)});
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  EXPECT_EQ(run.outcome.err, "");
  return run;
}

uint64_t Held(const Recording& recording) {
  return recording.header().file_bytes + recording.header().tracer_private_bytes;
}

// Exact until then, estimates from then on: together still every block.
TEST(BudgetTest, WhenItIsUsedUpBlocksAreSampledAndTheTotalsGoOn) {
  for (const uint64_t mebibytes : {4, 8, 16, 24}) {
    SCOPED_TRACE(mebibytes);
    const uint64_t budget = mebibytes << 20;
    const Recorded run = RunWith(std::to_string(budget));
    const Recording& recording = run.main().recording();
    const format::FileHeader& header = recording.header();
    EXPECT_EQ(header.tracer_budget_bytes, budget);
    ASSERT_TRUE(header.state & format::kStateSampled);
    EXPECT_FALSE(header.state & format::kStateTotalsOnly);
    EXPECT_GT(header.sampled_ns, header.start_monotonic_ns);
    EXPECT_GT(header.sampled_live_bytes, 0u);
    EXPECT_LE(Held(recording), budget);
    EXPECT_GT(Held(recording), budget / 4) << "given up too early";
    const SiteCounters totals = recording.Totals(recording.Counters());
    EXPECT_EQ(totals.live_blocks(), kStacks);
    EXPECT_EQ(static_cast<uint64_t>(totals.live_bytes()), recording.live_bytes());
    EXPECT_TRUE(recording.damage().empty());
    const Profile profile = run.main().Load();
    EXPECT_THAT(NotesOf(profile.summary()), Contains(HasSubstr("every block was recorded until")));
    EXPECT_THAT(RenderHeader(profile, {}), HasSubstr("exact, then sampled, one in 512 KiB; totals are exact"));
  }
}

TEST(BudgetTest, WhenSamplesAreTooMuchTooOnlyTotalsAreLeft) {
  const Recorded run = RunWith("1M", {{"ALLOCLINE_SAMPLE", "4K"}});  // the tables of an empty process are nearly that
  const Recording& recording = run.main().recording();
  const format::FileHeader& header = recording.header();
  EXPECT_TRUE(header.state & format::kStateSampled);
  EXPECT_TRUE(header.state & format::kStateTotalsOnly);
  EXPECT_GT(header.totals_ns, header.start_monotonic_ns);
  EXPECT_LE(Held(recording), 3u << 20);
  EXPECT_EQ(recording.Totals(recording.Counters()).live_blocks(), kStacks);
  const Profile profile = run.main().Load();
  EXPECT_THAT(NotesOf(profile.summary()), Contains(HasSubstr("stacks were taken until")));
  EXPECT_THAT(RenderHeader(profile, {}), HasSubstr("then only totals"));
  EXPECT_THAT(NotesOf(profile.summary()), Contains(HasSubstr("counted without a stack: ")));
  int64_t blocks_of_lines = 0;
  for (const Site& site : profile.sites()) blocks_of_lines += site.live_blocks;
  EXPECT_GT(profile.summary().without_stack_blocks, kStacks / 10);
  EXPECT_EQ(blocks_of_lines + profile.summary().without_stack_blocks, kStacks);
}

TEST(BudgetTest, WithinItEveryBlockIsRecorded) {
  for (const char* budget : {"128M", "1G"}) {
    const Recorded run = RunWith(budget);
    EXPECT_EQ(run.main().recording().header().state & format::kStateSampled, 0u);
    EXPECT_EQ(run.main().recording().header().sample_interval_bytes, 0u);
    EXPECT_EQ(run.main().Total().live_blocks, kStacks);
    EXPECT_EQ(run.main().Total().live_bytes, 4 * kStacks);
  }
}

TEST(BudgetTest, TheDefaultIsAFiftiethOfTheLimitAndAtLeast32MiB) {
  const Recorded run = RunWith("");
  const format::FileHeader& header = run.main().recording().header();
  EXPECT_GE(header.tracer_budget_bytes, 32u << 20);
  if (header.container_limit_bytes != 0) {
    EXPECT_LE(header.tracer_budget_bytes, std::max<uint64_t>(32 << 20, header.container_limit_bytes / 50));
  }
}

TEST(BudgetTest, WhatIsNoBudgetIsSaidAndTheDefaultTaken) {
  for (const char* wrong : {"0", "x", "1000", "-1", "12Q"}) {
    SCOPED_TRACE(wrong);
    const Recorded run =
        RecordCommand({.argv = {TrapPath("many_stacks"), "10"}, .env = {{"ALLOCLINE_TRACER_MEMORY", wrong}}});
    EXPECT_THAT(run.outcome.err, HasSubstr("ALLOCLINE_TRACER_MEMORY"));
    EXPECT_GE(run.main().recording().header().tracer_budget_bytes, 32u << 20);
  }
}

// Whatever a program is at when the tracer steps down: blocks from before are freed after, threads and children go on.
TEST(BudgetTest, ProgramsAreUnharmedWhereverTheStepIsTaken) {
  const std::vector<std::string> budgets = {"1M", "1200K", "1500K"};
  for (const std::string program : {"traps/torture", "traps/async_signals", "traps/fork_storm",
                                    "traps/exits_among_threads", "containers", "threads", "fork_frees"}) {
    EXPECT_EQ(HarmDoneTo(program, "ALLOCLINE_TRACER_MEMORY", budgets), "") << program;
  }
}

TEST(BudgetTest, WhereverTheStepIsTakenBlocksOfThreadsAreFreedUnharmed) {
  for (const char* budget : {"1M", "1200K", "1500K"}) {  // checks itself, and needs the tracer for it
    const Recorded run =
        RecordCommand({.argv = {TrapPath("samples"), "threads"}, .env = {{"ALLOCLINE_TRACER_MEMORY", budget}}});
    EXPECT_TRUE(run.outcome.ok()) << budget << run.outcome.Ending() << run.outcome.err;
    EXPECT_TRUE(run.main().recording().damage().empty()) << budget;
  }
}

}  // namespace
}  // namespace allocline::testing
