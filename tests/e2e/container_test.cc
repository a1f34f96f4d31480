// A process on its way to the limit of its container: the snapshots that come by themselves, and what is left when the
// kernel ends it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/cgroup.h"
#include "recording/reader.h"
#include "tests/support/memory_cgroup.h"
#include "tests/support/paths.h"
#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using format::SnapshotKind;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kMebibyte = 1 << 20;

struct Climb {
  Outcome outcome;
  std::vector<Recording> recordings;  // by file name
  const Recording& main() const { return recordings.at(0); }
};

Climb RunWay(const std::string& directory, std::vector<std::string> way,
             std::map<std::string, std::string> settings = {}, std::function<void()> in_child = {}) {
  way.insert(way.begin(), BuildDir() + "/programs/e2e/climbs");
  settings["LD_PRELOAD"] = TracerPath();
  settings["ALLOCLINE_OUTPUT"] = directory;
  Climb climb{
      .outcome = RunProgram({.argv = std::move(way), .env = std::move(settings), .in_child = std::move(in_child)}),
      .recordings = {}};
  for (const std::string& path : RecordingsIn(directory)) {
    absl::StatusOr<Recording> recording = Recording::Open(path);
    EXPECT_TRUE(recording.ok()) << recording.status().ToString();
    if (!recording.ok()) continue;
    EXPECT_THAT(recording->damage(), IsEmpty());
    climb.recordings.push_back(*std::move(recording));
  }
  return climb;
}

std::vector<std::string> LabelsOf(const Recording& recording, SnapshotKind kind) {
  std::vector<std::string> labels;
  for (const RecordedSnapshot& snapshot : recording.snapshots()) {
    if (snapshot.kind == kind) labels.push_back(snapshot.label);
  }
  return labels;
}

uint64_t LiveOf(const Recording& recording, std::string_view label) {
  const absl::StatusOr<size_t> index = recording.FindSnapshot(label);
  EXPECT_TRUE(index.ok()) << index.status().ToString();
  return index.ok() ? recording.snapshots()[*index].live_bytes : 0;
}

// ---------------------------------------------------------------- a real one

class RealContainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!container_.why_not().empty()) GTEST_SKIP() << container_.why_not();
  }

  static constexpr uint64_t kLimit = 256 * kMebibyte;
  MemoryCgroup container_{kLimit};
  TempDir directory_;
};

TEST_F(RealContainerTest, AProcessThatTheKernelKillsLeavesASnapshotOfEachRungAndPointsUpToTheEnd) {
  const Climb climb = RunWay(directory_.path(), {"grow", "65536"}, {}, container_.Enters());
  EXPECT_EQ(climb.outcome.Ending(), "signal 9 (Killed)") << climb.outcome.err;
  ASSERT_EQ(climb.recordings.size(), 1u);
  const Recording& recording = climb.main();
  EXPECT_THAT(LabelsOf(recording, SnapshotKind::kRung),
              ElementsAre("limit-50%", "limit-70%", "limit-80%", "limit-90%", "limit-95%"));
  const uint64_t percents[] = {50, 70, 80, 90, 95};
  for (size_t i = 0; i < recording.snapshots().size(); ++i) {
    const RecordedSnapshot& snapshot = recording.snapshots()[i];
    EXPECT_EQ(snapshot.container_limit_bytes, kLimit);
    EXPECT_GE(snapshot.container_usage_bytes, kLimit / 100 * percents[i]) << snapshot.label;
    EXPECT_LT(snapshot.container_usage_bytes, kLimit / 100 * (percents[i] + 3)) << snapshot.label;
    EXPECT_GT(snapshot.live_bytes, kLimit / 100 * (percents[i] - 10)) << snapshot.label;
  }
  const std::vector<TimelinePoint>& timeline = recording.timeline();
  ASSERT_GT(timeline.size(), 10u);
  EXPECT_LT(timeline.front().container_usage_bytes, kLimit / 10);
  EXPECT_GT(timeline.back().container_usage_bytes, kLimit / 100 * 97);
  EXPECT_THAT(timeline, Each(::testing::Field(&TimelinePoint::container_limit_bytes, kLimit)));

  const format::FileHeader& header = recording.header();
  EXPECT_EQ(header.container_version, 1u);
  EXPECT_EQ(header.container_path, container_.directory());
  EXPECT_EQ(header.oom_kills_at_start, 0u);
  EXPECT_THAT(ReadFile(container_.directory() + "/memory.oom_control"), HasSubstr("oom_kill 1\n"));
  EXPECT_EQ(header.rungs_left_out, 0u);
  EXPECT_LT(recording.file_bytes(), 1 * kMebibyte);  // it is charged to the container, too
  const Outcome plot = Allocline({"timeline", recording.path()}, {{"LC_ALL", "C.UTF-8"}});
  EXPECT_EQ(ExitCodeOf(plot), 0) << plot.err;
  EXPECT_THAT(plot.out, HasSubstr("limit-95%"));
}

// The pages of a recording are charged to the container whose process writes it: on a tmpfs they stay.
TEST_F(RealContainerTest, ARecordingInsideOfTheSmallContainerTakesNextToNothingOfIt) {
  struct statfs file_system {};
  if (statfs("/dev/shm", &file_system) != 0 || file_system.f_type != TMPFS_MAGIC) GTEST_SKIP() << "needs a tmpfs";
  std::string directory = "/dev/shm/allocline-container-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const Climb climb = RunWay(directory, {"grow", "1024"}, {}, container_.Enters());
  EXPECT_EQ(climb.outcome.Ending(), "signal 9 (Killed)") << climb.outcome.err;
  EXPECT_EQ(LabelsOf(climb.main(), SnapshotKind::kRung).size(), 5u);
  EXPECT_LT(climb.main().file_bytes(), 1 * kMebibyte);
  std::filesystem::remove_all(directory);
}

TEST_F(RealContainerTest, TheRungsOfAnEmulatedLimitBelowTheRealOneReferToIt) {
  const Climb climb = RunWay(directory_.path(), {"grow", "65536"},
                             {{"ALLOCLINE_LIMIT", "64M"}, {"ALLOCLINE_LIMIT_ACTION", "kill"}}, container_.Enters());
  EXPECT_EQ(climb.outcome.Ending(), "signal 9 (Killed)");
  EXPECT_TRUE(climb.main().header().state & format::kStateEndedItself);
  const RecordedSnapshot& last = climb.main().snapshots().back();
  EXPECT_EQ(last.label, "limit-100%");
  EXPECT_GE(last.container_usage_bytes, 64 * kMebibyte);
  EXPECT_LT(last.container_usage_bytes, 68 * kMebibyte);
}

TEST_F(RealContainerTest, GrowthOfANeighbourInTheContainerPassesARungOfTheProcess) {
  const Climb climb =
      RunWay(directory_.path(), {"neighbour", std::to_string(150 * kMebibyte)}, {}, container_.Enters());
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  const auto parent = std::find_if(climb.recordings.begin(), climb.recordings.end(), [](const Recording& recording) {
    return (recording.header().flags & format::kFlagForked) == 0;
  });
  ASSERT_NE(parent, climb.recordings.end());
  EXPECT_THAT(LabelsOf(*parent, SnapshotKind::kRung), ElementsAre("limit-50%"));
  EXPECT_LT(LiveOf(*parent, "limit-50%"), 1 * kMebibyte);
}

// ---------------------------------------------------------------- an emulated one

class EmulatedLimitTest : public ::testing::Test {
 protected:
  Climb Under(const std::string& limit, const std::string& action, std::vector<std::string> way,
              std::map<std::string, std::string> settings = {}) {
    settings["ALLOCLINE_LIMIT"] = limit;
    if (!action.empty()) settings["ALLOCLINE_LIMIT_ACTION"] = action;
    return RunWay(directory_.path(), std::move(way), std::move(settings));
  }

  TempDir directory_;
};

TEST_F(EmulatedLimitTest, AProcessThatComesToItLeavesASnapshotThereAndEndsItself) {
  const Climb climb = Under("64M", "kill", {"grow", "65536", "100000000"});
  EXPECT_EQ(climb.outcome.Ending(), "signal 9 (Killed)");
  const Recording& recording = climb.main();
  EXPECT_EQ(LabelsOf(recording, SnapshotKind::kRung).back(), "limit-100%");
  EXPECT_EQ(LabelsOf(recording, SnapshotKind::kRung).size(), 6u);
  EXPECT_EQ(recording.header().emulated_limit_bytes, 64 * kMebibyte);
  EXPECT_TRUE(recording.header().state & format::kStateAtLimit);
  EXPECT_TRUE(recording.header().state & format::kStateEndedItself);
  EXPECT_GE(recording.timeline().back().rss_bytes, 64 * kMebibyte);
  EXPECT_LT(recording.timeline().back().rss_bytes, 66 * kMebibyte);
}

TEST_F(EmulatedLimitTest, ItIsOnlyReportedWhereThatIsAskedFor) {
  for (const char* action : {"report", ""}) {
    TempDir directory;
    std::map<std::string, std::string> settings = {{"ALLOCLINE_LIMIT", "64M"}};
    if (*action != '\0') settings["ALLOCLINE_LIMIT_ACTION"] = action;
    const Climb climb = RunWay(directory.path(), {"grow", "65536", "100000000"}, settings);
    EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
    EXPECT_EQ(climb.outcome.err, "");
    const std::vector<std::string> rungs = LabelsOf(climb.main(), SnapshotKind::kRung);
    EXPECT_EQ(std::count(rungs.begin(), rungs.end(), "limit-100%"), 1);
    EXPECT_TRUE(climb.main().header().state & format::kStateAtLimit);
    EXPECT_FALSE(climb.main().header().state & format::kStateEndedItself);
  }
}

TEST_F(EmulatedLimitTest, TheLadderIsTheOneThatIsAskedFor) {
  Climb climb = Under("64M", "report", {"grow", "65536", "40000000"}, {{"ALLOCLINE_LADDER", "40,20"}});
  EXPECT_THAT(LabelsOf(climb.main(), SnapshotKind::kRung), ElementsAre("limit-20%", "limit-40%"));
  TempDir other;
  climb =
      RunWay(other.path(), {"grow", "65536", "50000000"}, {{"ALLOCLINE_LIMIT", "64M"}, {"ALLOCLINE_LADDER", "off"}});
  EXPECT_THAT(climb.main().snapshots(), IsEmpty());
}

TEST_F(EmulatedLimitTest, AProcessThatSwingsPassesEachRungFourTimesAtMost) {
  const Climb climb = Under("64M", "report", {"swing", std::to_string(62 * kMebibyte)});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  std::map<std::string, int> times;
  for (const std::string& label : LabelsOf(climb.main(), SnapshotKind::kRung)) ++times[label];
  EXPECT_GE(times["limit-50%"], 2);
  for (const auto& [label, count] : times) EXPECT_LE(count, 4) << label;
}

TEST_F(EmulatedLimitTest, AChildClimbsALadderOfItsOwn) {
  const Climb climb = Under("64M", "report", {"fork", std::to_string(24 * kMebibyte)});
  ASSERT_EQ(climb.recordings.size(), 2u);
  const auto child = std::find_if(climb.recordings.begin(), climb.recordings.end(), [](const Recording& recording) {
    return (recording.header().flags & format::kFlagForked) != 0;
  });
  ASSERT_NE(child, climb.recordings.end());
  EXPECT_THAT(LabelsOf(*child, SnapshotKind::kRung), ::testing::Contains("limit-70%"));
  EXPECT_EQ(child->header().emulated_limit_bytes, 64 * kMebibyte);
  EXPECT_EQ(child->header().ladder[0], 50);
  const Recording& parent = child == climb.recordings.begin() ? climb.recordings[1] : climb.recordings[0];
  EXPECT_THAT(LabelsOf(parent, SnapshotKind::kRung), IsEmpty());
}

TEST_F(EmulatedLimitTest, ARequestOfMoreThanIsLeftIsInASnapshotBeforeItIsTouched) {
  const uint64_t bytes = 100 * kMebibyte;
  const Climb climb = Under("64M", "kill", {"ask", std::to_string(bytes)});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();  // it touched nothing
  EXPECT_THAT(LabelsOf(climb.main(), SnapshotKind::kTooLargeRequest), ElementsAre("too-large-request"));
  EXPECT_GE(LiveOf(climb.main(), "too-large-request"), bytes);
  EXPECT_EQ(climb.main().header().too_large_requests, 1u);
  EXPECT_GE(climb.main().header().too_large_bytes, bytes);
}

TEST_F(EmulatedLimitTest, AMappingOfMoreThanIsLeftIsARequestAndAddressSpaceIsNone) {
  const Climb climb = Under("64M", "kill", {"map", std::to_string(100 * kMebibyte)});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  EXPECT_EQ(climb.main().header().too_large_requests, 1u);
  EXPECT_EQ(climb.main().header().too_large_bytes, 100 * kMebibyte);
}

TEST_F(EmulatedLimitTest, AnArrayThatGrowsByReallocAsksForTheDifferenceOnly) {
  const Climb climb = Under("64M", "kill", {"append", std::to_string(50 * kMebibyte)});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  EXPECT_EQ(climb.main().header().too_large_requests, 0u);
}

// ---------------------------------------------------------------- allocations that fail

TEST(FailedAllocationTest, ASnapshotTellsWhatWasLiveAndTheHeaderWhatWasAskedFor) {
  TempDir directory;
  const Climb climb = RunWay(directory.path(), {"fail", "1"});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  EXPECT_THAT(LabelsOf(climb.main(), SnapshotKind::kFailedAllocation), ElementsAre("failed-allocation"));
  EXPECT_EQ(climb.main().header().failed_allocations, 3u);  // malloc, posix_memalign, realloc
  EXPECT_EQ(climb.main().header().failed_bytes, SIZE_MAX / 4);
}

TEST(FailedAllocationTest, AProgramThatFailsAHundredThousandTimesTakesFourSnapshotsAtMost) {
  TempDir directory;
  const Climb climb = RunWay(directory.path(), {"fail", "100000"});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  EXPECT_EQ(climb.main().header().failed_allocations, 100'002u);
  EXPECT_LE(LabelsOf(climb.main(), SnapshotKind::kFailedAllocation).size(), 4u);
}

// ---------------------------------------------------------------- settings

TEST(LadderSettingsTest, WhatMakesNoSenseIsSaidInOneLineAndTheDefaultIsTaken) {
  const std::pair<const char*, const char*> wrong[] = {
      {"ALLOCLINE_LADDER", "50,101"}, {"ALLOCLINE_LIMIT", "12 monkeys"}, {"ALLOCLINE_LIMIT_ACTION", "explode"}};
  for (const auto& [name, value] : wrong) {
    TempDir directory;
    const Climb climb = RunWay(directory.path(), {"grow", "65536", "1000000"}, {{name, value}});
    EXPECT_TRUE(climb.outcome.ok()) << name;
    EXPECT_EQ(CountLines(climb.outcome.err), 1) << climb.outcome.err;
    EXPECT_THAT(climb.outcome.err, HasSubstr(std::string(name) + "=" + value));
    EXPECT_EQ(climb.main().header().ladder[4], 95) << name;
    EXPECT_EQ(climb.main().header().emulated_limit_bytes, 0u);
  }
}

// ---------------------------------------------------------------- checkpoints

TEST(CheckpointTest, AThousandOfWhichMostChangeNothingTakeLessThan2MiB) {
  TempDir directory;
  const Climb climb = RunWay(directory.path(), {"checkpoint", "1000"});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  const std::vector<RecordedSnapshot>& snapshots = climb.main().snapshots();
  ASSERT_EQ(snapshots.size(), 1000u);
  for (size_t i = 0; i < snapshots.size(); ++i) {
    ASSERT_EQ(snapshots[i].kind, SnapshotKind::kCheckpoint);
    ASSERT_EQ(snapshots[i].rows, i + 1);
  }
  EXPECT_EQ(climb.main().header().checkpoints, 1000u);
  EXPECT_EQ(climb.main().header().checkpoints_left_out, 0u);
  EXPECT_LT(climb.main().file_bytes(), 2 * kMebibyte);
}

// What is kept is evenly spread, and its sums are those of all.
TEST(CheckpointTest, CheckpointsOfManyPlacesThinOutAndTheRecordingStaysBounded) {
  TempDir directory;
  const Climb climb = RunWay(directory.path(), {"checkpoint-of-many", "10000"}, {{"ALLOCLINE_TRACER_MEMORY", "32M"}});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  const Recording& recording = climb.main();
  const std::vector<RecordedSnapshot>& snapshots = recording.snapshots();
  EXPECT_EQ(recording.header().checkpoints, 200u);
  EXPECT_GT(recording.header().checkpoints_left_out, 0u);
  EXPECT_EQ(snapshots.size() + recording.header().checkpoints_left_out, 200u);
  uint64_t rows = 0, live = 0;
  for (size_t i = 0; i < snapshots.size(); ++i) {
    EXPECT_GT(snapshots[i].rows, rows);
    EXPECT_GT(snapshots[i].live_bytes, live);
    const SiteCounters totals = recording.Totals(recording.CountersAt(i));
    EXPECT_EQ(static_cast<uint64_t>(totals.live_bytes()), snapshots[i].live_bytes);
    rows = snapshots[i].rows;
    live = snapshots[i].live_bytes;
  }
  const auto& head = recording.header().tables[static_cast<uint32_t>(format::TableKind::kSnapshots)];
  EXPECT_LT(head.used, 32 * kMebibyte);
}

// A program that checks in with each row.
TEST(CheckpointTest, AMillionTakeNoMoreThanTheirPartAndAreReadAgain) {
  TempDir directory;
  const Climb climb = RunWay(directory.path(), {"checkpoint", "1000000"}, {{"ALLOCLINE_TRACER_MEMORY", "8M"}});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  const Recording& recording = climb.main();
  const std::vector<RecordedSnapshot>& snapshots = recording.snapshots();
  EXPECT_EQ(recording.header().checkpoints, 1'000'000u);
  EXPECT_EQ(snapshots.size() + recording.header().checkpoints_left_out, 1'000'000u);
  EXPECT_LT(recording.file_bytes(), 16 * kMebibyte);
  EXPECT_LT(recording.header().timeline_points, 100'000u) << "figures of a moment ago are good enough";
  ASSERT_GT(snapshots.size(), 1000u);
  EXPECT_TRUE(
      std::is_sorted(snapshots.begin(), snapshots.end(), [](const auto& a, const auto& b) { return a.rows < b.rows; }));
  EXPECT_GT(snapshots.back().rows, 900'000u) << "to the end";
  const Outcome growth = Allocline({"growth", recording.path()});
  EXPECT_EQ(ExitCodeOf(growth), 0) << growth.err;
}

TEST(CheckpointTest, LabelsOfAnyBytesAndOfNoneAreKept) {
  TempDir directory;
  const Climb climb = RunWay(directory.path(), {"labels"});
  EXPECT_TRUE(climb.outcome.ok()) << climb.outcome.Ending();
  EXPECT_THAT(LabelsOf(climb.main(), SnapshotKind::kCheckpoint),
              ElementsAre("say \"it\",\nthen\tgo", std::string(format::kMaxLabelBytes, 'x'), "", "", "\033[2J\xff"));
  EXPECT_EQ(climb.main().snapshots()[0].rows, 7u);
  EXPECT_EQ(climb.main().snapshots()[1].rows, format::kRowsNotGiven);
  EXPECT_EQ(climb.main().snapshots()[2].rows, 0u);
  const std::string path = climb.main().path();
  const Outcome plot = Allocline({"timeline", path}), csv = Allocline({"timeline", path, "--csv"});
  EXPECT_EQ(ExitCodeOf(plot), 0) << plot.err;
  EXPECT_THAT(plot.out, ::testing::Not(HasSubstr("\033")));
  EXPECT_THAT(plot.out, HasSubstr("(no label)"));
  EXPECT_THAT(csv.out, HasSubstr("\"say \"\"it\"\",\nthen\tgo\",7"));
}

}  // namespace
}  // namespace allocline::testing
