// RECORDING@peak: what was live when the process had most, by line, and how close to that it was copied.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "recording/builder.h"
#include "recording/sampling.h"
#include "report/load_profile.h"
#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr int64_t kSlack = 64 << 10;  // K: what a thread may have before it tells

int64_t LiveAt(const Profile& profile, const std::string& function) {
  int64_t bytes = 0;
  for (const Site& site : profile.sites()) {
    if (profile.stacks().Innermost(site.stack).function == function) bytes += site.live_bytes;
  }
  return bytes;
}

Profile LoadPeak(const RecordedProcess& process) {
  Symbolizer symbolizer({});
  absl::StatusOr<Profile> profile = LoadProfile(process.recording(), &symbolizer, {.at_peak = true});
  if (!profile.ok()) throw std::runtime_error(profile.status().ToString());
  return *std::move(profile);
}

void ExpectKnownPeak(int64_t bytes, int threads) {
  const Recorded run =
      RecordUnharmed("traps/peak_in_the_middle", {.args = {std::to_string(bytes), std::to_string(threads)}});
  const Recording& recording = run.main().recording();
  ASSERT_TRUE(recording.peak_copy().has_value());
  const Profile peak = LoadPeak(run.main());
  // The peak itself is exact but for what each thread may keep to itself; the copy is 1 % and K below it at most.
  const int64_t unknown = threads > 1 ? threads * kSlack : 0;
  const int64_t missing = bytes / 100 + kSlack + unknown + 64;
  const auto copied = static_cast<int64_t>(recording.peak_copy()->live_bytes);
  EXPECT_GE(copied, static_cast<int64_t>(recording.peak_bytes()) - missing);
  EXPECT_LE(copied, static_cast<int64_t>(recording.peak_bytes()) + unknown);
  EXPECT_EQ(copied, peak.summary().live_bytes);
  EXPECT_EQ(LiveAt(peak, "AtTheBeginning()"), threads * 100 * 1000);
  EXPECT_GE(LiveAt(peak, "AtThePeak()"), bytes - missing);
  EXPECT_LE(LiveAt(peak, "AtThePeak()"), bytes);
  EXPECT_EQ(LiveAt(peak, "Afterwards()"), 0);
}

TEST(PeakCopyTest, OfOneThreadEachLineIsWithinAHundredthOfThePeak) { ExpectKnownPeak(50'000'000, 1); }
TEST(PeakCopyTest, OfASmallProgramEachLineIsWithinWhatAThreadPublishes) { ExpectKnownPeak(500'000, 1); }

// The threads' peaks need not coincide: but the copy is of one moment, and adds up.
TEST(PeakCopyTest, OfManyThreadsTheCopyIsOfOneMoment) {
  const Recorded run = RecordUnharmed("traps/peak_in_the_middle", {.args = {"80000000", "8"}});
  const Recording& recording = run.main().recording();
  ASSERT_TRUE(recording.peak_copy().has_value());
  EXPECT_LT(static_cast<double>(recording.peak_copy()->live_bytes),
            static_cast<double>(recording.peak_bytes()) + 8.0 * kSlack);
  for (const auto& [site, live] : recording.peak_copy()->live) {
    EXPECT_GE(static_cast<int64_t>(live.allocated_bytes), 0) << site;
    EXPECT_GE(static_cast<int64_t>(live.allocated_blocks), 0) << site;
  }
}

// Where they do, and no other thread copies while the last bytes come, it is as close as that of one thread.
TEST(PeakCopyTest, OfManyThreadsTheCopyIsCloseToThePeak) {
  const Recorded run = RecordUnharmed("traps/peak_in_the_middle", {.args = {"80000000", "8", "together"}});
  const Recording& recording = run.main().recording();
  ASSERT_TRUE(recording.peak_copy().has_value());
  EXPECT_GT(recording.peak_bytes(), 84'000'000);
  const auto copied = static_cast<double>(recording.peak_copy()->live_bytes);
  EXPECT_GT(copied, 0.99 * static_cast<double>(recording.peak_bytes()) - 9.0 * kSlack);
  EXPECT_LT(copied, static_cast<double>(recording.peak_bytes()) + 8.0 * kSlack);
}

TEST(PeakCopyTest, APeakThatIsForgottenIsCopiedAnew) {
  for (const char* way : {"reset_peak", "clear"}) {
    SCOPED_TRACE(way);
    const Recorded run = RecordUnharmed("traps/forgets_peaks", {.args = {way}});
    const Profile peak = LoadPeak(run.main());
    EXPECT_EQ(LiveAt(peak, "First()"), 0);
    EXPECT_GE(LiveAt(peak, "Second()"), 5'000'000 - 50'000 - 2 * kSlack);
    EXPECT_LE(LiveAt(peak, "Second()"), 5'000'000);
  }
}

TEST(PeakCopyTest, AForkedChildHasAPeakOfItsOwnThatBeginsWithWhatItInherited) {
  const Recorded run = RecordUnharmed("traps/forgets_peaks", {.args = {"fork"}});
  for (const RecordedProcess* process : {&run.main(), &run.other()}) {
    const Profile peak = LoadPeak(*process);
    EXPECT_GE(LiveAt(peak, "First()"), 20'000'000 - 200'000 - 2 * kSlack) << process->file_name();
    EXPECT_EQ(LiveAt(peak, "Second()"), 0) << process->file_name();
  }
}

TEST(PeakCopyTest, CopyingStaysWithinAHundredthOfTheRunAndTwoMilliseconds) {
  const Recorded run = Record("traps/many_stacks", {.time_limit = std::chrono::minutes(2)});
  const format::FileHeader& header = run.main().recording().header();
  ASSERT_NE(header.peak_copy_ns, 0);
  const uint64_t elapsed_ns = header.end_monotonic_ns - header.start_monotonic_ns;
  const uint64_t last = header.peak_copy_ns / 2;  // the one that went beyond the allowance
  EXPECT_LE(header.peak_copy_ns, elapsed_ns / 100 + 2'000'000 + last);
}

// Of samples the copy is as the recording is: totals of what was counted, lines by estimate. Two blocks in three of the
// program are below the interval.
TEST(PeakCopyTest, OfSamplesTheLinesAreEstimatesAndTheTotalIsExact) {
  const Recorded run =
      RecordUnharmed("traps/peak_in_the_middle", {.args = {"50000000", "1"}, .env = {{"ALLOCLINE_SAMPLE", "64K"}}});
  const Recording& recording = run.main().recording();
  ASSERT_TRUE(recording.peak_copy().has_value());
  const std::vector<SiteCounters> live = recording.CountersAtPeak();
  const auto total = static_cast<double>(recording.Totals(live).live_bytes());
  EXPECT_NEAR(total, static_cast<double>(recording.peak_bytes()), 0.01 * total + 2.0 * kSlack);
  double estimated = 0, exact = 0, variance = 0;
  for (SiteId site = 1; site < live.size(); ++site) {
    const uint64_t interval = recording.SampleInterval(site);
    const int64_t bytes = live[site].live_bytes(), blocks = live[site].live_blocks();
    (interval == 0 ? exact : estimated) += static_cast<double>(bytes);
    if (interval != 0) variance += EstimateVariance(bytes, blocks, interval);
  }
  ASSERT_GT(variance, 0);
  EXPECT_NEAR(estimated, total - exact, 6 * std::sqrt(variance));
}

// ---------------------------------------------------------------- the command line

class PeakCommandTest : public ::testing::Test {
 protected:
  Outcome Run(const Words& words) {
    Words all = {"run", "-o", directory_.path()};
    all.insert(all.end(), words.begin(), words.end());
    return Allocline(all);
  }
  std::string OnlyRecording() const { return RecordingsIn(directory_.path()).at(0); }

  const std::string program_ = TrapPath("peak_in_the_middle");
  TempDir directory_;
};

TEST_F(PeakCommandTest, TheSummaryOfARunShowsThePeakWhereTheEndSaysLittle) {
  const std::string text = Run({"--", program_, "50000000", "1"}).err;
  EXPECT_THAT(text, ContainsRegex("at the peak: [0-9.]+ MiB; the copy was taken at [0-9.]+ MiB, [0-9.]+ s after the "
                                  "start\npeak_in_the_middle.cc:[0-9]+: size=4[78]\\.[0-9] MiB"));
  const Json json = Json::parse(Run({"--json", "--", program_, "50000000", "1"}).err);
  EXPECT_TRUE(json["report_at_peak"]["profile"]["at_peak"]);
  EXPECT_FALSE(json["report"]["profile"]["at_peak"]);
}

TEST_F(PeakCommandTest, ASummaryWhoseEndIsThePeakDoesNotRepeatIt) {
  EXPECT_THAT(Run({"--", TrapPath("one_block")}).err, Not(HasSubstr("at the peak")));
}

TEST_F(PeakCommandTest, TopDiffSnapshotAndInfoTakeThePeakForALabel) {
  Run({"-q", "--", program_, "50000000", "1"});
  const std::string peak = OnlyRecording() + "@peak";
  const Outcome top = Allocline({"top", peak});
  EXPECT_THAT(top.out, AllOf(HasSubstr(", at the peak "),
                             ContainsRegex("note:     at the peak: [0-9.]+ MiB; the copy "
                                           "was taken at [0-9.]+ MiB\n"),
                             ContainsRegex("peak_in_the_middle.cc:[0-9]+: size=4[78]\\.[0-9] MiB")));
  const Outcome diff = Allocline({"diff", peak, OnlyRecording()});
  EXPECT_THAT(diff.out, ContainsRegex("peak_in_the_middle.cc:[0-9]+: size=0 B \\(-4[78]\\.[0-9] MiB\\)"));
  ASSERT_TRUE(Allocline({"snapshot", peak, "--label", "most", "-o", directory_ / "alone"}).ok());
  EXPECT_THAT(Allocline({"top", directory_ / "alone"}).out,
              ContainsRegex("peak_in_the_middle.cc:[0-9]+: size=4[78]\\.[0-9] MiB"));
  EXPECT_GT(Json::parse(Allocline({"info", "--json", "--no-symbols", peak}).out)["live_bytes"], 49'000'000);
  EXPECT_EQ(ExitCodeOf(Allocline({"top", peak, "--by", "thread"})), 1);
}

TEST_F(PeakCommandTest, OfSamplesThePeakIsPrintedWithItsError) {
  Run({"-q", "--sample=64K", "--", program_, "50000000", "1"});
  EXPECT_THAT(Allocline({"top", OnlyRecording() + "@peak"}).out,
              AllOf(HasSubstr("sampled, one in 64.0 KiB"),
                    ContainsRegex("peak_in_the_middle.cc:[0-9]+: size=[45][0-9.]+ MiB ±[0-9.]+ [KM]iB, count=")));
}

TEST_F(PeakCommandTest, ASnapshotThatIsCalledPeakComesFirst) {
  RecordingBuilder builder;
  const SiteId site = builder.AddSite(std::vector<format::Frame>{0x1000});
  const size_t thread = builder.AddThread({});
  builder.AddCounters(thread, site, {77, 1, 0, 0});
  builder.AddSnapshotOfNow({.label = "peak"});
  builder.SetPeakCopy({.monotonic_ns = 5, .live_bytes = 4000, .live = {{site, {4000, 2, 0, 0}}}});
  ASSERT_TRUE(builder.WriteFile(directory_ / "labelled.allocline").ok());
  EXPECT_THAT(Allocline({"top", directory_ / "labelled.allocline@peak"}).out, HasSubstr("size=77 B"));
}

TEST_F(PeakCommandTest, WithoutACopyItSaysWhy) {
  Run({"-q", "--", TrapPath("small_peak")});
  const Outcome outcome = Allocline({"top", OnlyRecording() + "@peak"});
  EXPECT_EQ(ExitCodeOf(outcome), 3);
  EXPECT_THAT(outcome.err, HasSubstr("has no copy of what was live at the peak: no more than 64 KiB were live"));
}

// ---------------------------------------------------------------- killed at any moment

// The program reaches new peaks for ever, so most of the time a copy is being written or about to be.
TEST(PeakCopyTest, AProcessKilledWhileItCopiesLeavesAWholeCopy) {
  for (int round = 0; round < 25; ++round) {
    TempDir recordings;
    Process process({.argv = {TrapPath("grows_for_ever")}, .env = TracingEnvironment(recordings.path())});
    ASSERT_TRUE(process.WaitForOutput("growing"));
    std::this_thread::sleep_for(std::chrono::microseconds(500 + round * 1777 % 20000));
    process.Signal(SIGKILL);
    process.Wait();
    const RecordedProcess killed(RecordingsIn(recordings.path()).at(0), {});
    const Recording& recording = killed.recording();
    ASSERT_TRUE(recording.peak_copy().has_value());
    // Its lines hold the same at any time, and add up to the total of that moment.
    const std::vector<SiteCounters> live = recording.CountersAtPeak();
    EXPECT_EQ(recording.Totals(live).live_bytes(), static_cast<int64_t>(recording.peak_copy()->live_bytes));
    std::vector<int64_t> blocks;
    for (const SiteCounters& site : live) {
      if (site.allocated_blocks > 3) blocks.push_back(site.live_blocks());
    }
    ASSERT_GE(blocks.size(), 1000);
    for (const int64_t count : blocks) EXPECT_NEAR(static_cast<double>(count), static_cast<double>(blocks[0]), 1.0);
  }
}

// Readers meanwhile always find one that adds up.
TEST(PeakCopyTest, AReaderOfAGrowingProcessFindsAWholeCopyAtAnyTime) {
  TempDir recordings;
  Process process({.argv = {TrapPath("grows_for_ever")}, .env = TracingEnvironment(recordings.path())});
  ASSERT_TRUE(process.WaitForOutput("growing"));
  uint64_t before = 0;
  for (int i = 0; i < 50; ++i) {
    const RecordedProcess now(RecordingsIn(recordings.path()).at(0), {});
    if (!now.recording().peak_copy().has_value()) continue;  // overwritten again and again while it was read
    const uint64_t bytes = now.recording().peak_copy()->live_bytes;
    EXPECT_GE(bytes, before);
    before = bytes;
  }
  EXPECT_GT(before, 1'000'000);
  process.Signal(SIGKILL);
  process.Wait();
}

}  // namespace
}  // namespace allocline::testing
