#include "tracer/module_list.h"

#include <gtest/gtest.h>

#include "tests/tracer/recording_fixture.h"

namespace allocline::testing {
namespace {

// A destructor of a library may fork in the middle of a dlclose, which then ends in the child, too.
TEST(ModuleListTest, AnUnloadThatAForkFellIntoEndsInTheChildAsWell) {
  WrittenRecording recording;
  ModuleList modules;
  modules.Init(&recording.writer(), "/a/program");
  modules.BeginUnload();
  EXPECT_TRUE(modules.AnyUnloaded());
  modules.InitAfterFork();
  EXPECT_FALSE(modules.AnyUnloaded());
  modules.EndUnload();
  EXPECT_FALSE(modules.AnyUnloaded());
  modules.BeginUnload();
  EXPECT_TRUE(modules.AnyUnloaded());
  modules.EndUnload();
  EXPECT_FALSE(modules.AnyUnloaded());
}

}  // namespace
}  // namespace allocline::testing
