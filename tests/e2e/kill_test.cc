// SIGKILL at any moment: the recording is what it was at that moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "report/load_profile.h"
#include "tests/e2e/publishing_program.h"

namespace allocline::testing {
namespace {

unsigned Seed() {
  const char* given = getenv("ALLOCLINE_TEST_SEED");
  unsigned seed = given != nullptr ? static_cast<unsigned>(atoi(given)) : std::random_device()();
  printf("ALLOCLINE_TEST_SEED=%u\n", seed);
  return seed;
}

int64_t LiveBytes(const RecordedProcess& process) {
  Lines lines = process.UserLines();
  return lines["allocated"].live_bytes + lines["reallocated"].live_bytes;
}

TEST(KillTest, AtAHundredMomentsTheRecordingIsWithinOneAllocationPerThreadOfTheTruth) {
  std::mt19937 random(Seed());
  const std::vector<Marker> markers = ReadMarkers(ProgramSources() + "/traps/publishes_truth.cc");
  constexpr int64_t kOneAllocationEach = int64_t{kPublishingThreads} * kLargestBlock;
  int64_t largest_difference = 0, largest_live = 0;
  for (int i = 0; i < 100; ++i) {
    SCOPED_TRACE(i);
    TempDir directory;
    PublishingProgram program(directory, random());
    ASSERT_TRUE(program.WaitForOperations(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
    Outcome outcome = program.Kill();
    ASSERT_EQ(outcome.Ending(), "signal 9 (Killed)") << outcome.err;
    ASSERT_EQ(RecordingsIn(directory.path()).size(), 1);
    RecordedProcess process(RecordingsIn(directory.path()).front(), markers);  // throws if it does not open
    EXPECT_FALSE(process.recording().header().state & format::kStateExited);
    int64_t difference = std::abs(LiveBytes(process) - program.live_bytes());
    EXPECT_LE(difference, kOneAllocationEach);
    // The header's total, which includes what libc allocated for threads, agrees with the sites.
    EXPECT_LE(std::abs(static_cast<int64_t>(process.recording().live_bytes()) - process.Total().live_bytes),
              kOneAllocationEach);
    largest_difference = std::max(largest_difference, difference);
    largest_live = std::max(largest_live, program.live_bytes());
  }
  EXPECT_GT(largest_live, 10 * kOneAllocationEach) << "so little was live that the bound means nothing";
  printf("largest difference %ld of at most %ld bytes; most live %ld\n", static_cast<long>(largest_difference),
         static_cast<long>(kOneAllocationEach), static_cast<long>(largest_live));
}

// Sampled, the total is as exact, in bytes as the allocator rounds them; the lines are estimates, and say how good.
TEST(KillTest, WhileBlocksAreSampledTheTotalIsTheTruthAndTheLinesAreWithinTheirError) {
  std::mt19937 random(Seed());
  const std::vector<Marker> markers = ReadMarkers(ProgramSources() + "/traps/publishes_truth.cc");
  constexpr int64_t kOneAllocationEach = int64_t{kPublishingThreads} * kLargestBlock;
  int within_error = 0;
  constexpr int kRounds = 20;
  for (int i = 0; i < kRounds; ++i) {
    SCOPED_TRACE(i);
    TempDir directory;
    PublishingProgram program(directory, random(), {}, {{"ALLOCLINE_SAMPLE", "4096"}});
    ASSERT_TRUE(program.WaitForOperations(1000));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
    program.Kill();
    const RecordedProcess process(RecordingsIn(directory.path()).front(), markers);
    const format::FileHeader& header = process.recording().header();
    EXPECT_TRUE(header.state & format::kStateSampled);
    EXPECT_FALSE(header.state & format::kStateExited);
    const auto live = static_cast<int64_t>(process.recording().live_bytes());
    EXPECT_GE(live, program.live_bytes() - kOneAllocationEach);
    EXPECT_LE(live, program.live_bytes() * 5 / 4 + kOneAllocationEach) << "more than rounding explains";
    const absl::StatusOr<Profile> profile = LoadProfile(process.recording(), nullptr, {});
    ASSERT_TRUE(profile.ok()) << profile.status();
    double variance = 0, estimate = 0;
    for (const Site& site : profile->sites()) {
      variance += site.variance;
      estimate += static_cast<double>(site.live_bytes);  // blocks of 4096 bytes and more are exact
    }
    EXPECT_GT(variance, 0);
    within_error += std::abs(estimate - static_cast<double>(live)) <=
                    3 * std::sqrt(variance) + static_cast<double>(kOneAllocationEach);
  }
  EXPECT_GE(within_error, kRounds - 1);
}

TEST(KillTest, ThatWhatTheMemoryConsistsOfWasNotReadBeforeIsSaid) {
  const TempDir directory;
  const Outcome outcome =
      RunProgram({.argv = {"/bin/sh", "-c", "kill -9 $$"}, .env = TracingEnvironment(directory.path(), {})});
  ASSERT_EQ(outcome.Ending(), "signal 9 (Killed)") << outcome.err;
  ASSERT_EQ(RecordingsIn(directory.path()).size(), 1);
  const Outcome info = RunProgram({.argv = {CliPath(), "info", RecordingsIn(directory.path()).front()}});
  EXPECT_EQ(info.Ending(), "exit 0");
  EXPECT_THAT(info.out, ::testing::HasSubstr("\nmemory: what it consists of was not read before the process ended"));
}

TEST(KillTest, WhileTheProgramStartsARecordingIsWholeOrNotThereYet) {
  std::mt19937 random(Seed());
  int whole = 0;
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    TempDir directory;
    PublishingProgram program(directory, random());
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 6000));
    program.Kill();
    for (const std::string& path : RecordingsIn(directory.path())) {
      std::string bytes = ReadFile(path);
      if (!bytes.starts_with(std::string_view(format::kMagic, sizeof format::kMagic))) continue;  // not yet a recording
      absl::StatusOr<Recording> recording = Recording::Open(path);
      EXPECT_TRUE(recording.ok()) << recording.status().ToString();
      ++whole;
    }
  }
  printf("%d recordings\n", whole);
}

}  // namespace
}  // namespace allocline::testing
