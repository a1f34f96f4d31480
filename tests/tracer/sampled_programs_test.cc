// Whole programs whose blocks are sampled: the totals are exact to the byte, the lines are right but for chance, and a
// program does what it does without us.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "recording/sampling.h"
#include "report/statistics.h"
#include "tests/support/harm.h"
#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

// What is live at a snapshot, or at the end.
struct Live {
  int64_t bytes = 0, blocks = 0;
  int64_t estimated_bytes = 0;  // of what is not recorded exactly
  int64_t counted_bytes = 0;    // the truth about that
  double variance = 0;
};

Live LiveIn(const Recording& recording, const std::vector<SiteCounters>& counters) {
  Live live;
  const SiteCounters totals = recording.Totals(counters);
  live.bytes = totals.live_bytes();
  live.blocks = totals.live_blocks();
  live.counted_bytes = counters[0].live_bytes();
  for (SiteId site = 1; site < counters.size(); ++site) {
    const uint64_t interval = recording.SampleInterval(site);
    if (interval == 0) continue;
    live.estimated_bytes += counters[site].live_bytes();
    live.variance += EstimateVariance(counters[site].live_bytes(), counters[site].live_blocks(), interval);
  }
  return live;
}

Live LiveAt(const Recording& recording, const std::string& label) {
  const auto index = recording.FindSnapshot(label);
  if (!index.ok()) throw std::runtime_error(index.status().ToString());
  return LiveIn(recording, recording.CountersAt(*index));
}

std::pair<Live, Live> BeforeAndAfter(const Recorded& run) {
  return {LiveAt(run.main().recording(), "before"), LiveAt(run.main().recording(), "after")};
}

struct Growth {
  int64_t bytes = -1, blocks = -1;
  bool operator==(const Growth&) const = default;
};
void PrintTo(const Growth& growth, std::ostream* out) { *out << growth.bytes << " in " << growth.blocks; }

Growth Said(const Outcome& outcome) {
  Growth growth;
  std::istringstream(outcome.out) >> growth.bytes >> growth.blocks;
  return growth;
}

// Six standard deviations, as the variance is a bound: chance alone fails one run in a billion.
void ExpectEstimated(const Live& live) {
  ASSERT_GT(live.variance, 0);
  EXPECT_NEAR(static_cast<double>(live.estimated_bytes), static_cast<double>(live.counted_bytes),
              6 * std::sqrt(live.variance));
}

class SampledProgramTest : public ::testing::TestWithParam<const char*> {
 protected:
  static Recorded Run(std::vector<std::string> args, std::map<std::string, std::string> env = {}) {
    env["ALLOCLINE_SAMPLE"] = GetParam();
    args.insert(args.begin(), TrapPath("samples"));
    Recorded run = RecordCommand({.argv = std::move(args), .env = std::move(env)});
    EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
    EXPECT_EQ(run.outcome.err, "");
    EXPECT_NE(run.main().recording().header().state & format::kStateSampled, 0);
    return run;
  }

  // The growth between two labels is what the program said, to the byte.
  static void ExpectExactTotals(const Recorded& run, const std::string& from = "before") {
    const Recording& recording = run.main().recording();
    const Live before = from.empty() ? Live{} : LiveAt(recording, from), after = LiveAt(recording, "after");
    EXPECT_EQ((Growth{after.bytes - before.bytes, after.blocks - before.blocks}), Said(run.outcome));
    EXPECT_GT(after.bytes, 1 << 20) << "so little that it means nothing";
    const auto index = recording.FindSnapshot("after");
    EXPECT_EQ(recording.snapshots()[*index].live_bytes, static_cast<uint64_t>(after.bytes));
    ExpectEstimated(after);
  }
};

TEST_P(SampledProgramTest, EveryWayToAllocateCountsExactly) { ExpectExactTotals(Run({"family"})); }

TEST_P(SampledProgramTest, BlocksFreedByOtherThreadsCountExactly) {
  const Recorded run = Run({"threads"});
  const auto [before, after] = BeforeAndAfter(run);
  // libc keeps the stacks' bookkeeping of ended threads: a little more than what the program counts.
  EXPECT_GE(after.bytes - before.bytes, Said(run.outcome).bytes);
  EXPECT_LE(after.bytes - before.bytes, Said(run.outcome).bytes + 8192);
  EXPECT_LE(after.blocks - before.blocks, Said(run.outcome).blocks + 16);
  ExpectEstimated(after);
}

TEST_P(SampledProgramTest, HandlersThatAllocateCountExactly) {
  const Recorded run = Run({"signals"});
  const auto [before, after] = BeforeAndAfter(run);
  // libunwind, which takes the stacks through a signal frame, allocates a little for itself.
  EXPECT_GE(after.bytes - before.bytes, Said(run.outcome).bytes);
  EXPECT_LE(after.bytes - before.bytes, Said(run.outcome).bytes + 1024);
  ExpectEstimated(after);
}

TEST_P(SampledProgramTest, BlocksOfIgnoredThreadsAreInTheTotalsAndInNoLine) {
  const Recorded run = Run({"ignored"});
  const auto [before, after] = BeforeAndAfter(run);
  EXPECT_NEAR(static_cast<double>(after.bytes - before.bytes), static_cast<double>(Said(run.outcome).bytes), 8192);
}

TEST_P(SampledProgramTest, AChildInheritsTheTotalsAndTheSamples) {
  const Recorded run = Run({"fork"});
  ExpectExactTotals(run);
  ASSERT_EQ(run.processes.size(), 2);
  const Recording& parent = run.main().recording();
  const Recording& child = run.other().recording();
  EXPECT_EQ(child.header().sample_interval_bytes, parent.header().sample_interval_bytes);
  // It freed every block of the program's; what is left is what its parent had before the first of them.
  const Live end = LiveAt(child, "child");
  EXPECT_GE(end.bytes, 0);
  EXPECT_LT(end.bytes, 16 << 10);
  EXPECT_LT(end.blocks, 20);
  EXPECT_LT(std::abs(end.estimated_bytes), int64_t{40} * static_cast<int64_t>(parent.header().sample_interval_bytes))
      << "its samples are gone with their blocks";
}

TEST_P(SampledProgramTest, AfterClearTheTotalsAreWhatCameSince) {
  const Recorded run = Run({"clear"});
  ExpectExactTotals(run, "cleared");
  const Live cleared = LiveAt(run.main().recording(), "cleared");
  EXPECT_EQ(cleared.bytes, 0);
  EXPECT_EQ(cleared.blocks, 0);
  EXPECT_EQ(cleared.estimated_bytes, 0);
}

TEST_P(SampledProgramTest, AfterStopAndStartTheTotalsAreWhatCameSince) { ExpectExactTotals(Run({"stop"}), ""); }

TEST_P(SampledProgramTest, PoolsAndMappingsAreRecordedExactly) {
  const Recorded run = Run({"domains"}, {{"ALLOCLINE_MMAP", "1"}});
  ExpectExactTotals(run);
  int64_t tracked = 0, mapped = 0;
  const Profile profile = run.main().Load();
  for (const Site& site : profile.sites()) {
    if (site.domain == format::kDomainMalloc) continue;
    EXPECT_EQ(site.variance, 0);
    (site.domain == format::kDomainMmap ? mapped : tracked) += site.live_bytes;
  }
  EXPECT_EQ(tracked, 600 * 900);
  EXPECT_EQ(mapped, 30 << 12);
}

TEST_P(SampledProgramTest, LookupKnowsTheSamples) {
  if (std::string(GetParam()) != "16K") GTEST_SKIP() << "too few samples";
  Run({"lookup"});  // checks it by itself
}

TEST_P(SampledProgramTest, OtherAllocatorsCountExactlyToo) {
  for (const char* library : {"libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"}) {
    SCOPED_TRACE(library);
    for (const char* mode : {"family", "clear", "threads"}) {
      SCOPED_TRACE(mode);
      const Recorded run = Run({mode, "not-glibc"}, {{"LD_PRELOAD", library}});
      EXPECT_NE(run.main().recording().header().state & format::kStateNotGlibc, 0);
      if (std::string(mode) == "threads") continue;
      ExpectExactTotals(run, std::string(mode) == "clear" ? "cleared" : "before");
    }
  }
}

TEST_P(SampledProgramTest, EveryStackOfASampleIsLibunwindsToo) {
  const Recorded run = Run({"family"}, {{"ALLOCLINE_VERIFY", "1"}});
  EXPECT_GT(run.main().recording().header().verified_stacks, 10);
  EXPECT_EQ(run.main().recording().header().different_stacks, 0);
}

INSTANTIATE_TEST_SUITE_P(Intervals, SampledProgramTest, ::testing::Values("16K", "524288"),
                         [](const auto& parameter) { return std::string("Of") + parameter.param; });

// Of all programs of known truth: what they print, and how they end, is what it is without us.
TEST(SampledProgramsTest, ProgramsPrintAndEndAsTheyDoUntraced) {
  for (const std::string program : {"malloc_sizes",
                                    "aligned_family",
                                    "containers",
                                    "threads",
                                    "cross_thread_free",
                                    "fork_frees",
                                    "vfork_child",
                                    "exec_self",
                                    "exceptions",
                                    "coroutines",
                                    "fibers",
                                    "long_jumps",
                                    "operator_new",
                                    "replaced_new",
                                    "new_handler",
                                    "signals",
                                    "raw_clone_thread",
                                    "thread_destructors",
                                    "thread_lifetimes",
                                    "leaves_by_underscore_exit",
                                    "traps/async_signals",
                                    "traps/torture",
                                    "traps/fork_storm",
                                    "traps/raw_fork",
                                    "traps/cancelled_thread",
                                    "traps/foreign_blocks",
                                    "traps/double_free",
                                    "traps/invalid_free",
                                    "traps/calls_that_fail",
                                    "traps/exits_among_threads",
                                    "traps/clears_among_threads",
                                    "traps/maps_among_threads"}) {
    EXPECT_EQ(HarmDoneTo(program, "ALLOCLINE_SAMPLE", {"4K", "512K"}), "") << program;
  }
}

TEST(SampledProgramsTest, WhatIsNoIntervalIsSaidAndEverythingIsRecorded) {
  for (const char* wrong : {"0", "x", "512Q", "12 K", "-4096", "99999999999999999999", "100", "0x1000", ""}) {
    SCOPED_TRACE(wrong);
    const Recorded run = Record("malloc_sizes", {.env = {{"ALLOCLINE_SAMPLE", wrong}}});
    EXPECT_EQ(run.main().recording().header().state & format::kStateSampled, 0);
    if (wrong[0] == '\0') {
      EXPECT_EQ(run.outcome.err, "") << "as if it were not set";
    } else {
      EXPECT_THAT(run.outcome.err, ::testing::HasSubstr("ALLOCLINE_SAMPLE"));
    }
  }
}

}  // namespace
}  // namespace allocline::testing
