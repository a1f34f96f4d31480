// Code that goes and comes back: what was is known as what it was, and what is new is not taken for it.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/paths.h"
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
class PluginTest : public ::testing::TestWithParam<Way> {};

TEST_P(PluginTest, APluginLoadedAThousandTimesIsOneModuleAndAnotherInItsPlaceIsAnother) {
  Recorded run = Record("traps/reloads_plugins", {.args = {GetParam().how, GetParam().suffix}});
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  const Recording& recording = run.main().recording();
  EXPECT_EQ(ModulesNamed(recording, std::string("lib_plugin_one") + GetParam().suffix + ".so"), 1);
  EXPECT_EQ(ModulesNamed(recording, std::string("lib_plugin_two") + GetParam().suffix + ".so"), 1);
  EXPECT_EQ(run.main().At("traps/lib_plugin_one.cc:6"), (Amount{100'000, 1000, 100'000, 1000}));
  EXPECT_EQ(run.main().At("traps/lib_plugin_two.cc:8"), (Amount{100, 1, 100, 1}));
}

INSTANTIATE_TEST_SUITE_P(Unloads, PluginTest,
                         ::testing::Values(Way{"seen", ""}, Way{"unseen", ""}, Way{"seen", "_without_build_id"},
                                           Way{"unseen", "_without_build_id"}),
                         [](const auto& way) { return std::string(way.param.how) + way.param.suffix; });

TEST(ReloadTest, ThreadsAllocateWhileOthersUnloadCodeAndEveryStackIsRight) {
  for (const char* verify : {"0", "1"}) {
    SCOPED_TRACE(verify);
    Recorded run = Record("traps/unloads_among_threads", {.env = {{"ALLOCLINE_VERIFY", verify}}});
    ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
    EXPECT_EQ(run.main().At("traps/lib_plugin_one.cc:6"), (Amount{30'000, 300, 30'000, 300}));
    EXPECT_EQ(run.main().At("traps/lib_plugin_two.cc:8"), (Amount{30'000, 300, 30'000, 300}));
    EXPECT_EQ(run.main().recording().header().different_stacks, 0);
  }
}

// All stacks of the second converter are known from the first, which lay where it lies: no new node tells of the
// unload.
TEST(ReloadTest, AConverterThatLibcClosesIsNotTakenForTheNextAtItsPlace) {
  TempDir converters;
  std::string modules;
  for (const auto& [name, number] : {std::pair("ONE", "one"), std::pair("TWO", "two"), std::pair("THREE", "three")}) {
    modules +=
        std::string("module ") + name + "// INTERNAL " + TrapPath(std::string("lib_converter_") + number) + " 1\n";
  }
  converters.WriteFile("gconv-modules", modules);
  Recorded run = Record("traps/closes_converters", {.env = {{"GCONV_PATH", converters.path()}}});
  if (run.outcome.Ending() == "exit 77") GTEST_SKIP() << "the loader put the second converter elsewhere";
  ASSERT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  EXPECT_EQ(run.main().At("traps/lib_converter_one.c:8"), (Amount{10'000, 1, 10'000, 1}));
  EXPECT_EQ(run.main().At("traps/lib_converter_two.c:8"), (Amount{20'000, 2, 20'000, 2}));
}

}  // namespace
}  // namespace allocline::testing
