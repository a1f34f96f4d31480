// Stacks that cannot be followed to their end: what is recorded of them is right as far as it goes, and says where it
// stops and why. The program runs, and ends, as it does untraced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Stack = std::vector<std::string>;  // functions, most recent first; in brackets, why there is no more

constexpr const char* kTooDeep = "[callers unknown: more than 1000 frames]";
constexpr const char* kNoInfo = "[callers unknown: code without unwind information]";
constexpr const char* kAstray = "[callers unknown: unwind information that leads astray]";

// The stacks in which `function` allocated.
std::vector<Stack> StacksOf(const RecordedProcess& process, const std::string& function) {
  const Profile profile = process.Load();
  std::vector<Stack> stacks;
  for (const Site& site : profile.sites()) {
    Stack stack;
    for (LocationId id : profile.stacks().Frames(site.stack)) {
      const Location& location = profile.stacks().locations()[id];
      stack.emplace_back(location.function.empty() ? location.where : location.function);
    }
    if (!stack.empty() && stack.front() == function) stacks.push_back(stack);
  }
  return stacks;
}

Stack StackOf(const Recorded& run, const std::string& function) {
  const std::vector<Stack> stacks = StacksOf(run.main(), function);
  EXPECT_EQ(stacks.size(), 1) << function;
  return stacks.empty() ? Stack{} : stacks.front();
}

// Both with verify mode and without: libunwind, too, has to survive it.
class BadStackTest : public ::testing::TestWithParam<bool> {
 protected:
  Recorded Run(const std::string& program, RecordOptions options = {}) {
    if (GetParam()) options.env["ALLOCLINE_VERIFY"] = "1";
    options.time_limit = std::chrono::minutes(2);
    Recorded run = RecordUnharmed(program, options);
    EXPECT_EQ(run.main().recording().header().different_stacks, 0);
    return run;
  }
  Stack StackOfWay(const std::string& way) {
    const Recorded run = Run("traps/bad_stacks", {.args = {way}});
    EXPECT_EQ(run.main().At("block"), run.truth.at("block"));
    return StackOf(run, "AllocateHere");
  }
};
INSTANTIATE_TEST_SUITE_P(Mode, BadStackTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "verified" : "plain"; });

#if defined(__x86_64__)
TEST_P(BadStackTest, OfCodeWrittenAtRunTimeTheCallIsKnownAndNothingFurtherOut) {
  EXPECT_THAT(StackOfWay("jit"), ElementsAre("AllocateHere", "<unknown>", kNoInfo));
}

TEST_P(BadStackTest, AClaimThatLeadsOutOfTheStackEndsIt) {
  EXPECT_THAT(StackOfWay("far"), ElementsAre("AllocateHere", "ClaimsAFarCaller", kAstray));
}

TEST_P(BadStackTest, AWordThatIsNoReturnAddressIsNotTakenForOne) {
  EXPECT_THAT(StackOfWay("near"), ElementsAre("AllocateHere", "ClaimsANearCaller", kAstray));
  EXPECT_THAT(StackOfWay("garbage"), ElementsAre("AllocateHere", "Outermost", kNoInfo));
  EXPECT_THAT(StackOfWay("data"), ElementsAre("AllocateHere", "Outermost", kNoInfo));
  EXPECT_THAT(StackOfWay("function"), ElementsAre("AllocateHere", "Outermost", kAstray));
}

// What the register holds would lead on, and leave out a frame.
TEST_P(BadStackTest, AFramePointerThatIsSaidToBeLostIsNotGuessed) {
  EXPECT_THAT(StackOfWay("lost"),
              ElementsAre("AllocateHere", "LosesFramePointer", "HasFramePointer(unsigned long)", kAstray));
}

TEST_P(BadStackTest, MemoryBesideAStackMayGoThatWrongInformationLedInto) {
  for (const char* way : {"unmap", "protect", "truncate"}) {
    const Recorded run = Run("traps/takes_memory_beside_wrong_cfi", {.args = {way}});
    EXPECT_TRUE(run.outcome.ok()) << way << ": " << run.outcome.Ending();
  }
}

TEST_P(BadStackTest, AFrameIsNotFoundByARegisterThatWrongInformationGave) {
  const Recorded run = Run("traps/realigned_beside_wrong_cfi");
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending();
  std::vector<Stack> cut;
  for (const Stack& stack : StacksOf(run.main(), "Allocate")) {
    if (stack.back() == kAstray) cut.push_back(stack);
  }
  ASSERT_EQ(cut.size(), 2);  // of four: in the handler, and not
  for (const Stack& stack : cut) EXPECT_EQ(stack[stack.size() - 2], "Realigned");
}

TEST_P(BadStackTest, AStackSwitchedByHandEndsAtTheSwitch) {
  EXPECT_THAT(StackOfWay("executable"), ElementsAre("AllocateHere", "OnExecutableStack()", kAstray));
}
#endif

TEST_P(BadStackTest, CodeWithoutUnwindTablesEndsTheStack) {
  EXPECT_THAT(StackOf(Run("traps/without_unwind_tables"), "Allocate"), ElementsAre("Allocate", kNoInfo));
}

TEST_P(BadStackTest, AHundredThousandFramesAreCountedAndTheInnermostKept) {
  const Recorded run = Run("traps/deep_stacks");
  EXPECT_EQ(run.main().At("block"), run.truth.at("block"));
  const std::vector<Stack> stacks = StacksOf(run.main(), "Descend(int)");
  ASSERT_EQ(stacks.size(), 2);  // a hundred times the same frames; and from the outermost call
  EXPECT_GT(std::max(stacks[0].size(), stacks[1].size()), format::kFewestOfTooDeep);
  for (const Stack& stack : stacks) {
    EXPECT_LE(stack.size(), format::kMaxDepth + 1);
    EXPECT_TRUE(stack.size() < format::kFewestOfTooDeep || stack.back() == kTooDeep) << stack.back();
  }
}

// However the stack came to be as deep as it is: enough of it is there, or all.
TEST_P(BadStackTest, AStackThatGrowsAndShrinksBeyondTheRoomKeepsEnoughFrames) {
  const Recorded run = Run("traps/deep_walks");
  const Recording& recording = run.main().recording();
  const std::vector<SiteCounters> counters = recording.Counters();
  size_t whole = 0, cut = 0;
  for (SiteId site = 1; site < counters.size(); ++site) {
    if (!counters[site].any()) continue;
    const std::vector<format::Frame> stack = recording.Stack(site);
    if (format::IsVirtual(stack.back())) {
      EXPECT_EQ(format::PayloadOf(stack.back()), static_cast<uint64_t>(format::TruncationReason::kTooDeep));
      EXPECT_GT(stack.size(), format::kFewestOfTooDeep);
      ++cut;
    } else {
      ++whole;
    }
    EXPECT_LE(stack.size(), format::kMaxDepth + 1);
  }
  EXPECT_GT(whole, 100);
  EXPECT_GT(cut, 100);
}

TEST_P(BadStackTest, AStackOverflowIsRecoveredFromAsUntraced) {
  const Recorded run = Run("traps/overflows_stack", {.args = {"recover"}});
  EXPECT_EQ(run.main().At("afterwards").live_blocks, 1000);
  EXPECT_THAT(StackOf(run, "main"), AllOf(Each(Not(StartsWith("["))), ::testing::Contains("_start")));
}

TEST_P(BadStackTest, AStackOverflowKillsAsUntraced) {
  const Recorded run = Run("traps/overflows_stack");
  EXPECT_THAT(run.outcome.Ending(), HasSubstr("signal 11"));
}

// Interrupted in the PLT the stack is cut there; it never goes on by guessing.
TEST_P(BadStackTest, APltWithoutUnwindInformationEndsTheStackOfAHandler) {
  const Recorded run = Run("traps/interrupted_plt", {.env = {{"LD_PRELOAD", TrapPath("lib_signal_safe_malloc.so")}}});
  const std::vector<Stack> stacks = StacksOf(run.main(), "OnTimer(int)");
  ASSERT_FALSE(stacks.empty());
  for (const Stack& stack : stacks) {
    if (stack.back() == "[callers unknown: allocated by a signal handler inside the tracer]") continue;
    const auto main = std::find(stack.begin(), stack.end(), "main");
    const bool whole = main != stack.end() && std::find(main, stack.end(), "_start") != stack.end();
    EXPECT_TRUE(whole || stack.back() == kNoInfo || stack.back() == kAstray) << ::testing::PrintToString(stack);
  }
}

}  // namespace
}  // namespace allocline::testing
