// Verify mode: `allocline run --verify` passes where the unwinder is right, and where it is made wrong (by the faults
// of tracer/fault_points.h) says so, in its exit code, on stderr and in `allocline info`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "recording/builder.h"
#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;

class VerifyTest : public ::testing::Test {
 protected:
  Outcome Verify(const Words& words, const std::string& fault = "") {
    Words all = {"run", "--verify", "-o", directory_.path()};
    all.insert(all.end(), words.begin(), words.end());
    Environment environment;
    if (!fault.empty()) {
      environment = {{"ALLOCLINE_LIBRARY", BuildDir() + "/programs/faulty/liballocline_faulty.so"},
                     {"ALLOCLINE_FAULT", fault}};
    }
    return Allocline(all, environment);
  }
  std::string OnlyRecording() const {
    const std::vector<std::string> recordings = RecordingsIn(directory_.path());
    EXPECT_EQ(recordings.size(), 1);
    return recordings.at(0);
  }
  Json Info() const { return Json::parse(Allocline({"info", "--json", OnlyRecording()}).out); }
  static std::string FunctionOf(const Json& frame) {
    return frame["locations"].empty() ? "" : frame["locations"][0]["function"].get<std::string>();
  }

  const std::string two_callers_ = TrapPath("two_callers");
  TempDir directory_;
};

TEST_F(VerifyTest, AProgramWhoseStacksAreRightKeepsItsExitCode) {
  const Outcome outcome = Verify({"--", two_callers_});
  EXPECT_EQ(ExitCodeOf(outcome), 0);
  EXPECT_THAT(outcome.err, HasSubstr("allocline: verify: 100 stacks, all as libunwind takes them\n"));
  const Json info = Info();
  EXPECT_EQ(info["tracer"]["verified_stacks"], 100);
  EXPECT_EQ(info["tracer"]["different_stacks"], 0);
  EXPECT_THAT(info["differences"], IsEmpty());
}

TEST_F(VerifyTest, SuccessIsQuietWhereQuietWasAskedFor) {
  const Outcome outcome = Verify({"-q", "--", two_callers_});
  EXPECT_EQ(ExitCodeOf(outcome), 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(VerifyTest, WithoutAFaultTheFaultyTracerIsRight) {
  EXPECT_EQ(ExitCodeOf(Verify({"-q", "--", two_callers_}, "none")), 0);
  EXPECT_EQ(Info()["tracer"]["verified_stacks"], 100);
}

// Both lines of main() are reported as the first: all other frames are right, as is their number.
TEST_F(VerifyTest, AFrameThatWasNotComparedIsFound) {
  const Outcome outcome = Verify({"-q", "--", two_callers_}, "slot");
  EXPECT_EQ(ExitCodeOf(outcome), 124);
  EXPECT_THAT(outcome.err,
              ContainsRegex("^allocline: verify: 50 of 100 stacks differ from libunwind's; `allocline info "
                            "/.*allocline` shows the first\n$"));
  const Json info = Info();
  EXPECT_EQ(info["tracer"]["different_stacks"], 50);
  ASSERT_EQ(info["differences"].size(), 16);  // the first ones
  for (const Json& difference : info["differences"]) {
    ASSERT_EQ(difference["common_frames"], 2);
    EXPECT_EQ(FunctionOf(difference["tracer"][0]), "Allocate()");
    EXPECT_EQ(FunctionOf(difference["tracer"][1]), "Between()");
    EXPECT_EQ(FunctionOf(difference["tracer"][2]), "main");
    EXPECT_EQ(FunctionOf(difference["libunwind"][2]), "main");
    const int ours = difference["tracer"][2]["locations"][0]["line"];
    const int theirs = difference["libunwind"][2]["locations"][0]["line"];
    EXPECT_EQ(ours + 1, theirs);
  }
  EXPECT_THAT(Allocline({"info", OnlyRecording()}).out,
              AllOf(HasSubstr("100 stacks were compared with libunwind's, 50 differed"),
                    HasSubstr("stacks that differ from libunwind's (the first 16 of 50):"),
                    ContainsRegex("  1. in both, most recent first \\(2 frames\\):\n"
                                  "      Allocate\\(\\) .*two_callers.cc:6\n"
                                  "      Between\\(\\) .*two_callers.cc:12\n"
                                  "    then the tracer \\([0-9]+ frames\\):\n"
                                  "      main .*two_callers.cc:18\n"),
                    ContainsRegex("    and libunwind \\([0-9]+ frames\\):\n"
                                  "      main .*two_callers.cc:19\n")));
}

// Allocate() is taken to be as large as itself and Between() together.
TEST_F(VerifyTest, AFrameThatIsTakenForLargerThanItIsIsFound) {
  const Outcome outcome = Verify({"-q", "--", two_callers_}, "row");
  EXPECT_EQ(ExitCodeOf(outcome), 124);
  EXPECT_THAT(outcome.err, HasSubstr("allocline: verify: 100 of 100 stacks differ"));
  const Json first = Info()["differences"][0];
  EXPECT_EQ(first["common_frames"], 1);
  EXPECT_EQ(FunctionOf(first["tracer"][1]), "main");
  EXPECT_EQ(FunctionOf(first["libunwind"][1]), "Between()");
}

// The addresses are those of libunwind; the plugin that a reader would see in them is the one from before.
TEST_F(VerifyTest, CodeThatIsTakenForWhatWasAtItsPlaceBeforeIsFound) {
  const Words reloads = {"-q", "--", TrapPath("reloads_plugins"), "seen"};
  const Outcome outcome = Verify(reloads, "unload");
  EXPECT_EQ(ExitCodeOf(outcome), 124);
  const Json differences = Info()["differences"];
  ASSERT_FALSE(differences.empty());
  const Json& difference = differences.back();
  ASSERT_EQ(difference["tracer"].size(), difference["libunwind"].size());
  const size_t common = difference["common_frames"];
  EXPECT_EQ(difference["tracer"][common]["address"], difference["libunwind"][common]["address"]);
  EXPECT_THAT(difference["tracer"][common]["module"], HasSubstr("lib_plugin_one.so"));
  EXPECT_THAT(difference["libunwind"][common]["module"], HasSubstr("lib_plugin_two.so"));
}

TEST_F(VerifyTest, CodeThatComesAndGoesIsKnownForWhatItIs) {
  EXPECT_EQ(ExitCodeOf(Verify({"-q", "--", TrapPath("reloads_plugins"), "seen"})), 0);
  EXPECT_GT(Info()["tracer"]["verified_stacks"], 1000);
}

TEST_F(VerifyTest, TheProgramsOwnFailureComesFirstAndTheLineIsPrintedAllTheSame) {
  const Outcome outcome = Verify({"-q", "--", two_callers_, "7"}, "slot");
  EXPECT_EQ(ExitCodeOf(outcome), 7);
  EXPECT_THAT(outcome.err, HasSubstr("allocline: verify: 50 of 100 stacks differ"));
}

TEST_F(VerifyTest, ProcessesThatTheProgramStartsAreVerifiedToo) {
  const std::string twice = two_callers_ + "; " + two_callers_ + "; exit 0";
  EXPECT_EQ(ExitCodeOf(Verify({"-q", "--", "sh", "-c", twice})), 0);
  const Outcome outcome = Verify({"-q", "--", "sh", "-c", twice}, "slot");
  EXPECT_EQ(ExitCodeOf(outcome), 124);
  EXPECT_THAT(outcome.err, ContainsRegex("others are in [1-9] more recordings"));
}

TEST_F(VerifyTest, NothingComparedIsNotVerified) {
  for (const Words& words :
       {Words{"-q", "--start-stopped", "--", two_callers_}, Words{"-q", "--", "/bin/sh", "-c", ":"}}) {
    const bool stopped = words[1] == "--start-stopped";
    const Outcome outcome = Verify(words);
    EXPECT_EQ(ExitCodeOf(outcome), stopped ? 124 : 0);
    EXPECT_EQ(outcome.err.find("allocline: verify: no stack was compared") != std::string::npos, stopped)
        << outcome.err;
  }
  const Outcome untraceable = Verify({"-q", "--", CliProgram("plain_static")});
  EXPECT_EQ(ExitCodeOf(untraceable), 7);  // its own
  EXPECT_THAT(untraceable.err, HasSubstr("allocline: verify: no stack was compared"));
}

TEST_F(VerifyTest, StacksDeeperThanAnyLimitAreComparedAsFarAsTheyAreKept) {
  const std::string deep = BuildDir() + "/programs/g++-O0/deep_recursion";
  EXPECT_EQ(ExitCodeOf(Verify({"-q", "--", deep})), 0);
  EXPECT_GT(Info()["tracer"]["verified_stacks"], 20);
}

TEST_F(VerifyTest, ADifferenceInADeepStackIsShownWhereItIs) {
  RecordedDifference difference;
  for (format::Frame frame = 1; frame <= 1000; ++frame) difference.ours.push_back(0x1000 + frame);
  difference.theirs = difference.ours;
  difference.theirs[900] = 0xabcdef;
  RecordingBuilder builder;
  builder.header().flags = format::kFlagVerify;
  builder.header().verified_stacks = 5;
  builder.header().different_stacks = 1;
  builder.AddDifference(difference);
  ASSERT_TRUE(builder.WriteFile(directory_ / "deep.allocline").ok());
  const std::string text = Allocline({"info", directory_ / "deep.allocline"}).out;
  EXPECT_THAT(text, AllOf(HasSubstr("  1. in both, most recent first (900 frames):\n"
                                    "      ... 888 frames before\n"
                                    "      0x1379 [no module]\n"),
                          HasSubstr("      0x1384 [no module]\n"
                                    "    then the tracer (100 frames):\n"
                                    "      0x1385 [no module]\n"),
                          HasSubstr("      ... 88 frames more\n"
                                    "    and libunwind (100 frames):\n"
                                    "      0xabcdef [no module]\n")));
}

TEST_F(VerifyTest, TheSummaryAsJsonCountsTheStacksOfEachProcess) {
  const Outcome outcome = Verify({"--json", "--summary", directory_ / "summary.json", "--", two_callers_}, "slot");
  EXPECT_EQ(ExitCodeOf(outcome), 124);
  const Json process = Json::parse(RunProgram({.argv = {"cat", directory_ / "summary.json"}}).out)["processes"][0];
  EXPECT_EQ(process["verified_stacks"], 100);
  EXPECT_EQ(process["different_stacks"], 50);
}

// ---------------------------------------------------------------- all stacks of all programs

// The programs of tests/programs: realigned and variable frames, exceptions, longjmp, coroutines, fibers, signals,
// plugins, threads, forks, by two compilers at all levels, with frame pointers and without.
class EveryProgram : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryProgram, IsRecordedWithTheStacksThatLibunwindTakes) {
  const std::string directory = BuildDir() + "/programs/" + GetParam();
  ASSERT_TRUE(std::filesystem::exists(directory)) << "no compiler for " << GetParam();
  size_t programs = 0;
  uint64_t stacks = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().has_extension()) continue;  // a plugin, or what the compiler says it depends on
    SCOPED_TRACE(file.path().filename().string());
    TempDir here, recordings;
    Command command = {.argv = {file.path()}, .directory = here.path()};
    const Outcome untraced = RunProgram(command);
    command.env = TracingEnvironment(recordings.path(), {{"ALLOCLINE_VERIFY", "1"}});
    const Outcome traced = RunProgram(command);
    EXPECT_EQ(traced.Ending(), untraced.Ending()) << traced.err;
    EXPECT_EQ(traced.out, untraced.out);
    for (const std::string& path : RecordingsIn(recordings.path())) {
      const RecordedProcess process(path, {});
      EXPECT_EQ(process.recording().header().different_stacks, 0);
      stacks += process.recording().header().verified_stacks;
    }
    ++programs;
  }
  EXPECT_GT(programs, 30);
  EXPECT_GT(stacks, 100'000);
}
INSTANTIATE_TEST_SUITE_P(Compiler, EveryProgram,
                         ::testing::Values("g++-O0", "g++-O2", "clang++-O0", "clang++-O2", "clang++-O3",
                                           "clang++-O3-rbp"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           std::erase(name, '+');
                           return name;
                         });

// All of that at once, at random, while timers interrupt it and their handlers allocate.
TEST(TortureTest, StacksAreRightWhateverComesTogether) {
  uint64_t stacks = 0, children = 0;
  for (const char* seed : {"1", "2"}) {
    const Recorded run = Record(
        "traps/torture", {.args = {seed},
                          .env = {{"ALLOCLINE_VERIFY", "1"}, {"LD_PRELOAD", TrapPath("lib_signal_safe_malloc.so")}},
                          .time_limit = std::chrono::minutes(2)});
    EXPECT_EQ(run.outcome.Ending(), "exit 0") << run.outcome.err;
    for (const RecordedProcess& process : run.processes) {
      EXPECT_EQ(process.recording().header().different_stacks, 0) << process.file_name();
      stacks += process.recording().header().verified_stacks;
    }
    children += run.processes.size() - 1;
    EXPECT_GT(run.main().recording().header().nested_events, 0);  // handlers did meet the tracer at work
  }
  EXPECT_GT(stacks, 50'000);
  EXPECT_GT(children, 20);
}

TEST(ObjectTest, AnObjectWithHolesBetweenItsSegmentsIsKnownByItsBuildIdAndUnwound) {
  for (const char* program : {"traps/segments_with_holes", "traps/fixed_segments_with_holes"}) {
    SCOPED_TRACE(program);
    const Recorded run =
        Record(program, {.env = {{"ALLOCLINE_VERIFY", "1"}}, .libraries = {"traps/segments_with_holes"}});
    EXPECT_EQ(run.main().At("kept").live_bytes, 100);
    EXPECT_EQ(run.main().recording().header().verified_stacks, 1);
    EXPECT_EQ(run.main().recording().header().different_stacks, 0);
    const std::vector<RecordedModule>& modules = run.main().recording().modules();
    ASSERT_FALSE(modules.empty());
    EXPECT_EQ(modules.front().build_id.size(), 20) << modules.front().path;
  }
}

// With libunwind under a lock of its own that the loader's was waited for with, this took two threads and no luck.
TEST(LoaderLockTest, AThreadThatAllocatesWhileItWalksTheLoadedObjectsWaitsForNobody) {
  const Recorded run = Record("traps/walks_objects", {.env = {{"ALLOCLINE_VERIFY", "1"}}});
  EXPECT_EQ(run.outcome.Ending(), "exit 0") << run.outcome.err;
  EXPECT_EQ(run.main().recording().header().different_stacks, 0);
  EXPECT_GT(run.main().recording().header().verified_stacks, 10'000);
}

// ---------------------------------------------------------------- what verifying itself must not change

// The second look needs room of its own, and the loader allocates libunwind's thread-local variables: neither is the
// program's.
TEST_F(VerifyTest, WhatIsRecordedIsTheSameWithAndWithout) {
  for (const char* program : {"threads", "small_stacks", "signals", "fibers"}) {
    const std::string name = std::string(program) == "small_stacks" ? "traps/small_stacks" : program;
    const Recorded plain = Record(name);
    const Recorded verified = Record(name, {.env = {{"ALLOCLINE_VERIFY", "1"}}});
    EXPECT_EQ(verified.main().Total(), plain.main().Total()) << program;
    EXPECT_EQ(verified.main().recording().header().nested_events, plain.main().recording().header().nested_events)
        << program;
    EXPECT_EQ(verified.main().recording().header().different_stacks, 0) << program;
  }
}

TEST_F(VerifyTest, WhatLibunwindMapsIsNotTheProgramsEither) {
  const Recorded plain = Record("anonymous_maps", {.env = {{"ALLOCLINE_MMAP", "1"}}});
  const Recorded verified = Record("anonymous_maps", {.env = {{"ALLOCLINE_MMAP", "1"}, {"ALLOCLINE_VERIFY", "1"}}});
  EXPECT_EQ(verified.main().Total(), plain.main().Total());
  EXPECT_EQ(verified.main().recording().header().nested_events, 0);
  EXPECT_GT(verified.main().recording().header().verified_stacks, 0);
}

}  // namespace
}  // namespace allocline::testing
