// Anonymous mappings by several threads at once: whoever is given a range that another thread is just giving up, each
// page is charged once.
#include <gtest/gtest.h>

#include "recording/format.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

TEST(MapsTest, RangesThatPassFromThreadToThreadAreChargedOnce) {
  Recorded run = Record("traps/maps_among_threads", {.env = {{"ALLOCLINE_MMAP", "1"}}});
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  uint64_t pages = 0;
  const Profile profile = run.main().Load();
  for (const Site& site : profile.sites()) {
    if (site.domain != format::kDomainMmap) continue;
    pages += site.total_bytes;
    EXPECT_EQ(site.live_bytes, 0);
    EXPECT_EQ(site.live_blocks, 0);
  }
  EXPECT_GT(pages, 4 * 3000 * 2 * 4096u);
}

}  // namespace
}  // namespace allocline::testing
