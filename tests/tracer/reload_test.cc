// Code that goes and comes back: what was is known as what it was, and what is new is not taken for it.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/record.h"

namespace allocline::testing {
namespace {

size_t ModulesNamed(const Recording& recording, const std::string& name) {
  size_t n = 0;
  for (const auto& module : recording.modules()) n += module.path.ends_with("/" + name);
  return n;
}

struct Way {
  const char* how;
  const char* suffix;
};
class ReloadTest : public ::testing::TestWithParam<Way> {};

TEST_P(ReloadTest, APluginLoadedAThousandTimesIsOneModuleAndAnotherInItsPlaceIsAnother) {
  Recorded run = Record("traps/reloads_plugins", {.args = {GetParam().how, GetParam().suffix}});
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  const Recording& recording = run.main().recording();
  EXPECT_EQ(ModulesNamed(recording, std::string("lib_plugin_one") + GetParam().suffix + ".so"), 1);
  EXPECT_EQ(ModulesNamed(recording, std::string("lib_plugin_two") + GetParam().suffix + ".so"), 1);
  EXPECT_EQ(run.main().At("traps/lib_plugin_one.cc:6"), (Amount{100'000, 1000, 100'000, 1000}));
  EXPECT_EQ(run.main().At("traps/lib_plugin_two.cc:8"), (Amount{100, 1, 100, 1}));
}

INSTANTIATE_TEST_SUITE_P(Unloads, ReloadTest,
                         ::testing::Values(Way{"seen", ""}, Way{"unseen", ""}, Way{"seen", "_without_build_id"},
                                           Way{"unseen", "_without_build_id"}),
                         [](const auto& way) { return std::string(way.param.how) + way.param.suffix; });

}  // namespace
}  // namespace allocline::testing
