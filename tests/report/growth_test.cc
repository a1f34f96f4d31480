// Made-up recordings with many snapshots: the series against what each snapshot says by itself, the choice of
// checkpoints, and what a report of growth says.
#include "report/growth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "report/open_report.h"
#include "report/render_growth.h"
#include "tests/report/recordings.h"

namespace allocline {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kMiB = 1 << 20;

// A run whose stacks are one frame each, at the offsets 0x100, 0x200, ... of the program: module+offset is their line.
class GrowingRun {
 public:
  explicit GrowingRun(size_t sites) : run_(0x400000, 0x800000) {
    thread_ = run_.AddThread("main", 1);
    for (size_t i = 0; i < sites; ++i) {
      ids_.push_back(run_.builder().AddSite(std::vector<format::Frame>{run_.InProgram(0x100 * (i + 1))}));
    }
  }
  void Allocate(size_t site, uint64_t bytes, uint64_t blocks = 1) {
    run_.builder().AddCounters(thread_, ids_[site], {.allocated_bytes = bytes, .allocated_blocks = blocks});
  }
  void Free(size_t site, uint64_t bytes, uint64_t blocks = 1) {
    run_.builder().AddCounters(thread_, ids_[site], {.freed_bytes = bytes, .freed_blocks = blocks});
  }
  void Snapshot(const std::string& label, uint64_t rows = format::kRowsNotGiven,
                format::SnapshotKind kind = format::SnapshotKind::kLabelled) {
    run_.builder().AddSnapshotOfNow(
        {.label = label, .monotonic_ns = 2'000'000'000 + ++snapshots_, .rows = rows, .kind = kind});
  }
  FakeRun& run() { return run_; }
  Recording Build() const { return run_.Build(); }
  format::FileHeader& header() { return run_.builder().header(); }
  const std::vector<SiteId>& ids() const { return ids_; }

 private:
  FakeRun run_;
  size_t thread_ = 0;
  uint64_t snapshots_ = 0;
  std::vector<SiteId> ids_;
};

struct Told {
  Recording recording;
  Profile profile;
  Growth growth;
  const GrowthLine& Line(const std::string& name) const {
    for (const GrowthLine& line : growth.lines) {
      if (Str(line.group) == name) return line;
    }
    ADD_FAILURE() << "no line " << name;
    return growth.lines.front();
  }
};
std::unique_ptr<Told> Tell(const GrowingRun& run, const GrowthOptions& options = {}) {
  Recording recording = run.Build();
  SiteMap sites;
  Profile profile = LoadProfile(recording, nullptr, {}, &sites).value();
  Growth growth = ComputeGrowth(recording, profile, sites, options).value();
  return std::unique_ptr<Told>(new Told{std::move(recording), std::move(profile), std::move(growth)});
}

TEST(SeriesTest, AreWhatEverySnapshotSaysByItself) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    constexpr size_t kSites = 40, kSnapshots = 30;
    GrowingRun run(kSites);
    std::vector<uint64_t> live(kSites);
    for (size_t i = 0; i < kSnapshots; ++i) {
      for (int k = 0; k < 5; ++k) {  // most sites do nothing
        const size_t site = random() % kSites;
        const uint64_t bytes = 1 + random() % 1000;
        run.Allocate(site, bytes);
        live[site] += bytes;
        const uint64_t freed = random() % (live[site] + 1);
        run.Free(site, freed);
        live[site] -= freed;
      }
      run.Snapshot("batch", format::kRowsNotGiven,
                   i % 7 == 3 ? format::SnapshotKind::kRung : format::SnapshotKind::kCheckpoint);
    }
    const auto told = Tell(run);
    const Recording& recording = told->recording;
    const std::vector<Checkpoint>& checkpoints = told->growth.checkpoints.chosen;
    ASSERT_EQ(checkpoints.size(), kSnapshots - 4 + 1);
    EXPECT_EQ(told->growth.checkpoints.automatic, 4u);

    for (const GrowthLine& line : told->growth.lines) {
      const LineSeries series = told->growth.series.Line(line.id);
      const size_t site = std::stoul(Str(line.group).substr(std::strlen("prog+0x")), nullptr, 16) / 0x100 - 1;
      for (size_t i = 0; i < checkpoints.size(); ++i) {
        const std::vector<SiteCounters> counters =
            checkpoints[i].snapshot ? recording.CountersAt(*checkpoints[i].snapshot) : recording.Counters();
        const SiteCounters& expected = counters[run.ids()[site]];
        ASSERT_EQ(series.live_bytes[i], expected.live_bytes());
        ASSERT_EQ(series.live_blocks[i], expected.live_blocks());
        ASSERT_EQ(series.allocated_bytes[i], expected.allocated_bytes);
      }
      EXPECT_EQ(line.live_at_end, static_cast<int64_t>(live[site]));
    }
    int64_t sum = 0;
    for (const uint64_t bytes : live) sum += static_cast<int64_t>(bytes);
    EXPECT_EQ(told->growth.series.total().live_bytes.back(), sum);
  }
}

TEST(GrowthTest, LinesAreOrderedByWhatTheyHoldWhenMemoryRunsOut) {
  GrowingRun run(3);
  run.Allocate(0, 200 * kMiB);  // large, and stays so
  for (int i = 0; i < 10; ++i) {
    run.Allocate(1, kMiB, 1000);       // small, and grows
    run.Allocate(2, kMiB / 100, 100);  // smaller, and grows too
    run.Snapshot("batch");
  }
  const auto names = [&](uint64_t limit) {
    std::vector<std::string> names;
    const auto told = Tell(run, {.limit_bytes = limit});
    for (const GrowthLine& line : told->growth.lines) names.push_back(Str(line.group));
    return names;
  };
  EXPECT_THAT(names(1024 * kMiB), ElementsAre("prog+0x200:0", "prog+0x100:0", "prog+0x300:0"));
  EXPECT_THAT(names(220 * kMiB), ElementsAre("prog+0x100:0", "prog+0x200:0", "prog+0x300:0"));
  EXPECT_THAT(names(100000 * kMiB), ElementsAre("prog+0x200:0", "prog+0x300:0", "prog+0x100:0"));
}

TEST(GrowthTest, TheOutlookIsInRowsOfWork) {
  GrowingRun run(1);
  for (uint64_t i = 1; i <= 10; ++i) {
    run.Allocate(0, 8120, 10);
    run.Snapshot("batch", 10 * i);
  }
  const auto told = Tell(run, {.limit_bytes = 1024 * kMiB});
  EXPECT_DOUBLE_EQ(told->growth.outlook.bytes_per_row.value(), 812);
  EXPECT_DOUBLE_EQ(told->growth.outlook.rows_left.value(), (1024.0 * kMiB - 81200) / 812);
  const std::string text = RenderGrowth(told->profile, told->growth, {});
  EXPECT_THAT(text, HasSubstr("outlook:  +8120 B a checkpoint, 812 B a row: 132.2 k checkpoints more reach 1024 MiB "
                              "(79.3 KiB used), which is 1.3 M rows\n"));
  EXPECT_THAT(text,
              HasSubstr("prog+0x100: accumulating: grew in 9 of 10 checkpoints, +8120 B a checkpoint, to 79.3 KiB; "
                        "812 B a row  ▁▂▃▄▅▅▆▇███\n"));
}

TEST(GrowthTest, RowsThatDoNotRiseAreEachCheckpointsOwn) {
  GrowingRun run(1);
  for (int i = 0; i < 10; ++i) {
    run.Allocate(0, i % 2 == 0 ? 1000 : 3000);
    run.Snapshot("batch", i % 2 == 0 ? 10 : 30);
  }
  const auto told = Tell(run);
  EXPECT_TRUE(told->growth.checkpoints.rows_are_sums);
  EXPECT_DOUBLE_EQ(told->growth.lines.front().verdict.bytes_per_row.value(), 100);
}

TEST(GrowthTest, AResidentSetThatGrowsFasterIsWhatTheOutlookGoesBy) {
  GrowingRun run(1);
  for (uint64_t i = 1; i <= 8; ++i) {
    run.Allocate(0, 1000);
    run.run().builder().AddSnapshotOfNow({.label = "batch", .rss_bytes = 10 * kMiB + 1500 * i});
  }
  run.header().rss_bytes = 10 * kMiB + 1500 * 8;
  const auto told = Tell(run, {.limit_bytes = 20 * kMiB});
  EXPECT_TRUE(told->growth.outlook.by_rss);
  EXPECT_NEAR(told->growth.outlook.bytes_per_checkpoint, 1500, 1);
  EXPECT_EQ(told->growth.outlook.usage_bytes, 10 * kMiB + 1500 * 8);
}

TEST(GrowthTest, ALimitThatWasEmulatedIsForTheProcessAndTheContainersForAll) {
  GrowingRun run(1);
  for (uint64_t i = 1; i <= 8; ++i) {
    run.Allocate(0, 1000);
    run.Snapshot("batch");
  }
  run.header().rss_bytes = 2 * kMiB;
  run.header().container_usage_bytes = 30 * kMiB;
  EXPECT_EQ(Tell(run)->growth.outlook.limit_bytes, 0u);
  run.header().emulated_limit_bytes = 10 * kMiB;
  EXPECT_EQ(Tell(run)->growth.outlook.limit_bytes, 10 * kMiB);
  EXPECT_EQ(Tell(run)->growth.outlook.usage_bytes, 2 * kMiB);
  run.header().container_limit_bytes = 100 * kMiB;
  EXPECT_EQ(Tell(run)->growth.outlook.limit_bytes, 10 * kMiB);
  EXPECT_EQ(Tell(run)->growth.outlook.usage_bytes, 30 * kMiB);
  run.header().emulated_limit_bytes = 200 * kMiB;
  EXPECT_EQ(Tell(run)->growth.outlook.limit_bytes, 100 * kMiB);
}

TEST(CheckpointsTest, LabelsChooseThemAndTheLadderIsAskedForByName) {
  using format::SnapshotKind;
  GrowingRun run(1);
  const std::pair<const char*, SnapshotKind> taken[] = {
      {"start", SnapshotKind::kLabelled},          {"page 1", SnapshotKind::kCheckpoint},
      {"limit-50%", SnapshotKind::kRung},          {"page 2", SnapshotKind::kCheckpoint},
      {"failed", SnapshotKind::kFailedAllocation}, {"limit-x%", SnapshotKind::kLabelled},
      {"page 3", SnapshotKind::kCheckpoint}};
  for (const auto& [label, kind] : taken) {
    run.Allocate(0, 100);
    run.Snapshot(label, format::kRowsNotGiven, kind);
  }
  const auto labels = [&](const CheckpointOptions& options) {
    std::vector<std::string> labels;
    const Recording recording = run.Build();
    for (const Checkpoint& checkpoint : ChooseCheckpoints(recording, options).chosen)
      labels.push_back(checkpoint.label);
    return labels;
  };
  EXPECT_THAT(labels({}), ElementsAre("start", "page 1", "page 2", "limit-x%", "page 3", "the end"));
  EXPECT_THAT(labels({.labels = "page *"}), ElementsAre("page 1", "page 2", "page 3", "the end"));
  EXPECT_THAT(labels({.labels = "limit-*%"}), ElementsAre("limit-50%", "limit-x%", "the end"));
  EXPECT_THAT(labels({.last = 3}), ElementsAre("start", "page 1", "page 2"));
  run.header().state |= format::kStateExited;
  EXPECT_THAT(labels({.labels = "none"}), IsEmpty());
  EXPECT_THAT(RenderGrowth(Tell(run)->profile, Tell(run)->growth, {}), HasSubstr("the end is no checkpoint"));
}

TEST(GrowthTest, TooFewCheckpointsAreSaidToBeAndHowToTakeMore) {
  GrowingRun run(1);
  run.Allocate(0, 100);
  run.Snapshot("one");
  const auto told = Tell(run);
  EXPECT_THAT(RenderGrowth(told->profile, told->growth, {}),
              AllOf(HasSubstr("2 checkpoints are too few for a verdict, which needs 5"), HasSubstr("TakeSnapshot("),
                    HasSubstr("prog+0x100: too few checkpoints: from 100 B to 100 B at the last")));
  const auto nothing = Tell(GrowingRun(1));
  EXPECT_THAT(RenderGrowth(nothing->profile, nothing->growth, {}), HasSubstr("no live blocks\n"));
}

TEST(GrowthTest, LabelsCannotForgeTheReportAndLongOnesAreCut) {
  GrowingRun run(1);
  for (const std::string& label : {std::string("\033[2J\nfake: accumulating"), std::string(1000, 'x')}) {
    run.Allocate(0, 100);
    run.Snapshot(label);
  }
  run.header().state |= format::kStateExited;
  const auto told = Tell(run);
  const std::string text = RenderGrowth(told->profile, told->growth, {});
  EXPECT_THAT(text, AllOf(Not(HasSubstr("\033")), Not(HasSubstr("\nfake")), Not(HasSubstr(std::string(100, 'x')))));
  const nlohmann::json json = nlohmann::json::parse(RenderGrowthJson(told->profile, told->growth, 10));
  EXPECT_EQ(json["schema"], "allocline.growth/1");
  EXPECT_EQ(json["checkpoints"][1]["label"], std::string(1000, 'x'));
}

TEST(GrowthTest, FiltersKeepTheirLinesAndNotTheTotal) {
  GrowingRun run(2);
  for (int i = 0; i < 6; ++i) {
    run.Allocate(0, 1000);
    run.Allocate(1, 10);
    run.Snapshot("batch");
  }
  GrowthOptions options;
  options.filters = {ParseFilter("!prog+0x100").value()};
  const auto told = Tell(run, options);
  ASSERT_EQ(told->growth.lines.size(), 1u);
  EXPECT_EQ(Str(told->growth.lines[0].group), "prog+0x200:0");
  EXPECT_EQ(told->growth.total.last, 6060);
}

}  // namespace
}  // namespace allocline
