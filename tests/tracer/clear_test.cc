// Forgetting all blocks while other threads allocate and free: each block is charged once.
#include <gtest/gtest.h>

#include "tests/support/record.h"

namespace allocline::testing {
namespace {

TEST(ClearTest, BlocksFreedWhileAllAreForgottenAreChargedOnce) {
  Recorded run = Record("traps/clears_among_threads");
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  const Profile profile = run.main().Load();
  for (const Site& site : profile.sites()) {
    EXPECT_EQ(site.live_bytes, 0);
    EXPECT_EQ(site.live_blocks, 0);
  }
}

}  // namespace
}  // namespace allocline::testing
