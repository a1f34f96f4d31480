// The unusual ways to become a child: every process has a recording of its own, with what it inherited and what is its.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

using ::testing::ContainerEq;
using ::testing::ElementsAre;

Recorded Fork(std::vector<std::string> args, std::map<std::string, std::string> env = {}) {
  Recorded run = Record("traps/fork_odds", {.args = std::move(args), .env = std::move(env)});
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  EXPECT_EQ(run.outcome.err, "");
  EXPECT_THAT(run.main().UserLines(), ContainerEq(run.truth));
  return run;
}

// Amounts of the children's `in_child`, and how many of them there are.
std::map<int64_t, int> Children(const Recorded& run) {
  std::map<int64_t, int> bytes;
  for (const RecordedProcess& process : run.processes) {
    if (process.pid() == run.main().pid()) continue;
    ++bytes[process.At("in_child").live_bytes];
    const format::FileHeader& header = process.recording().header();
    EXPECT_TRUE(header.flags & format::kFlagForked);
    EXPECT_FALSE(header.state & format::kStateInMemory);
    if (header.state & format::kStateActive) {
      EXPECT_EQ(process.At("before"), (Amount{64, 1, 64, 1})) << "what is inherited";
    }
  }
  return bytes;
}

using Count = std::map<int64_t, int>;

TEST(ForkTest, AChildThatForksBeforeItAllocatesHandsOnWhatItInherited) {
  EXPECT_EQ(Children(Fork({"twice"})), (Count{{0, 1}, {3000, 1}}));
}

TEST(ForkTest, AChildThatClonesBeforeItAllocatesKeepsItsFileToItself) {
  EXPECT_EQ(Children(Fork({"twice_clone"})), (Count{{3000, 2}}));
}

TEST(ForkTest, AChildThatPutsFilesInPlaceOfAllDescriptorsIsRecordedAndItsFilesAreIntact) {
  TempDir directory;
  EXPECT_EQ(Children(Fork({"closed", directory / "mine"})), (Count{{3000, 1}}));
  EXPECT_EQ(ReadFile(directory / "mine"), "mine");
}

TEST(ForkTest, AnotherLibrarysAtforkHandlerMayAllocateInTheChildBeforeOurs) {
  Recorded run = Fork({"plain"}, {{"LD_PRELOAD", TrapPath("lib_atfork_allocates.so")}});
  EXPECT_EQ(Children(run), (Count{{3000, 1}}));
  EXPECT_EQ(run.other().Total().live_bytes - run.main().Total().live_bytes, 3000 + 5000 - 32);
}

TEST(ForkTest, SnapshotsOfAChildBeginAnew) {
  Recorded run = Fork({"snapshots"});
  const Recording& child = run.other().recording();
  ASSERT_EQ(child.snapshots().size(), 2);
  for (size_t i = 0; i < 2; ++i) {
    int64_t live = 0;
    for (const SiteCounters& counters : child.CountersAt(i)) live += counters.live_bytes();
    EXPECT_EQ(live, child.snapshots()[i].live_bytes) << child.snapshots()[i].label;
  }
  EXPECT_EQ(child.snapshots()[1].live_bytes - child.snapshots()[0].live_bytes, 3000);
}

}  // namespace
}  // namespace allocline::testing
