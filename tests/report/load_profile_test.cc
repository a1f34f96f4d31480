#include "report/load_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/diff.h"
#include "report/notes.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/statistics.h"
#include "tests/report/recordings.h"
#include "tests/report/traces.h"

namespace allocline {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kProgram = 0x555500000000, kLibrary = 0x7f0000000000;

std::vector<std::string> FramesOf(const Profile& profile, const Site& site) {
  std::vector<std::string> frames;
  for (LocationId id : profile.stacks().Frames(site.stack)) {
    frames.emplace_back(profile.stacks().locations()[id].where);
  }
  return frames;
}

Profile Load(const Recording& recording, const LoadProfileOptions& options = {}) {
  return LoadProfile(recording, nullptr, options).value();
}

TEST(LoadProfileTest, WithoutSymbolsAFrameIsItsCallsOffsetInItsModule) {
  FakeRun run(kProgram, kLibrary);
  run.Count(run.AddThread("main", 1), {run.InLibrary(0x40), run.InProgram(0x10)}, {100, 2, 40, 1});
  Profile profile = Load(run.Build());
  ASSERT_EQ(profile.sites().size(), 1u);
  const Site& site = profile.sites()[0];
  EXPECT_THAT(FramesOf(profile, site), ElementsAre("libdb.so+0x40", "prog+0x10"));
  EXPECT_EQ(site.live_bytes, 60);
  EXPECT_EQ(site.live_blocks, 1);
  EXPECT_EQ(site.total_bytes, 100u);
  EXPECT_EQ(site.total_blocks, 2u);
  EXPECT_EQ(profile.stacks().Innermost(site.stack).level, ResolutionLevel::kModule);
  EXPECT_EQ(profile.summary().live_bytes, 60);
  EXPECT_EQ(profile.summary().program, "/app/prog");
}

TEST(LoadProfileTest, RunsAtOtherAddressesHaveTheSameNames) {
  auto make = [](uint64_t program, uint64_t library, uint64_t grown) {
    FakeRun run(program, library);
    size_t thread = run.AddThread("main", 1);
    run.Count(thread, {run.InLibrary(0x40), run.InProgram(0x10)}, {100, 2, 0, 0});
    run.Count(thread, {run.InProgram(0x20)}, {grown, 1, 0, 0});
    run.Count(thread, {run.InProgram(0x20), run.InProgram(0x30)}, {5, 1, 0, 0});
    return Load(run.Build());
  };
  Profile old = make(kProgram, kLibrary, 10), now = make(kLibrary + (1 << 28), kProgram, 50);
  EXPECT_THAT(Texts(CompareTo(now, old, "line").value()),
              ElementsAre("prog+0x20:0: size=55 B (+40 B), count=2 (+0), average=28 B",
                          "libdb.so+0x40:0: size=100 B (+0 B), count=2 (+0), average=50 B"));
  EXPECT_THAT(Texts(CompareTo(now, old, "traceback").value()),
              ElementsAre("prog+0x20:0: size=50 B (+40 B), count=1 (+0), average=50 B",
                          "prog+0x10:0: size=100 B (+0 B), count=2 (+0), average=50 B",
                          "prog+0x30:0: size=5 B (+0 B), count=1 (+0), average=5 B"));
  EXPECT_THAT(Texts(CompareTo(now, old, "module").value()),
              ElementsAre("prog: size=55 B (+40 B), count=2 (+0), average=28 B",
                          "libdb.so: size=100 B (+0 B), count=2 (+0), average=50 B"));
}

TEST(LoadProfileTest, AFrameOutsideAnyModuleIsUnknownAndNamesNoAddress) {
  FakeRun run(kProgram, kLibrary);
  run.Count(run.AddThread("main", 1), {0x1234567, run.InProgram(0x10)}, {1, 1, 0, 0});
  Profile profile = Load(run.Build());
  EXPECT_THAT(FramesOf(profile, profile.sites()[0]), ElementsAre("<unknown>", "prog+0x10"));
}

TEST(LoadProfileTest, ACallThatEndsItsModuleStillBelongsToIt) {
  FakeRun run(kProgram, kLibrary);
  run.Count(run.AddThread("main", 1), {kProgram + FakeRun::kModuleBytes}, {1, 1, 0, 0});
  Profile profile = Load(run.Build());
  EXPECT_THAT(FramesOf(profile, profile.sites()[0]), ElementsAre("prog+0xfffff"));
}

TEST(LoadProfileTest, ADomainsFrameBecomesTheSitesDomainAndNoFrame) {
  FakeRun run(kProgram, kLibrary);
  size_t thread = run.AddThread("main", 1);
  run.Count(thread, {run.InProgram(0x10)}, {1, 1, 0, 0});
  run.Count(thread, {run.InProgram(0x10), format::MakeVirtualFrame(format::VirtualKind::kDomain, 17)}, {2, 1, 0, 0});
  Profile profile = Load(run.Build());
  ASSERT_EQ(profile.sites().size(), 2u);
  EXPECT_THAT(FramesOf(profile, profile.sites()[1]), ElementsAre("prog+0x10"));
  EXPECT_EQ(profile.sites()[0].domain, format::kDomainMalloc);
  EXPECT_EQ(profile.sites()[1].domain, 17u);
  EXPECT_THAT(Texts(Statistics(profile, "line").value()), ElementsAre("prog+0x10:0: size=3 B, count=2, average=2 B"));
}

TEST(LoadProfileTest, OtherVirtualFramesBecomeSyntheticLocations) {
  FakeRun run(kProgram, kLibrary);
  size_t thread = run.AddThread("main", 1);
  run.Count(thread,
            {run.InProgram(0x10), format::MakeVirtualFrame(format::VirtualKind::kTruncated,
                                                           static_cast<uint32_t>(format::TruncationReason::kTooDeep))},
            {1, 1, 0, 0});
  run.builder().AddCounters(thread, format::kOverflowSite, {30, 3, 10, 1});
  Profile profile = Load(run.Build());
  ASSERT_EQ(profile.sites().size(), 2u);
  EXPECT_THAT(FramesOf(profile, profile.sites()[0]), ElementsAre("[not attributed: the recording was full]"));
  EXPECT_THAT(FramesOf(profile, profile.sites()[1]),
              ElementsAre("prog+0x10", "[callers unknown: more than 1000 frames]"));
  EXPECT_EQ(profile.stacks().UserLine(profile.sites()[1].stack).where, "prog+0x10");
  EXPECT_EQ(profile.summary().overflow_bytes, 20);
}

// A run that samples: what the lines are, how much is counted without a stack, and what the report says of it.
class SampledRunTest : public ::testing::Test {
 protected:
  SampledRunTest() : run_(kProgram, kLibrary), thread_(run_.AddThread("main", 1)) {
    run_.builder().header().state |= format::kStateSampled;
    run_.builder().header().sample_interval_bytes = kInterval;
    run_.Count(thread_, {run_.InProgram(0x10)}, {1000, 1, 0, 0});
    run_.Count(thread_, {run_.InProgram(0x20), format::MakeVirtualFrame(format::VirtualKind::kSampled, kInterval)},
               {500, 50, 100, 10});
  }
  Profile WithCounted(const SiteCounters& without_stack) {
    run_.builder().AddCounters(thread_, 0, without_stack);
    return Load(run_.Build());
  }
  // What the rows of any report add up to, and what the header adds to that.
  static void ExpectToAddUp(const Profile& profile) {
    int64_t bytes = profile.summary().without_stack_bytes, blocks = profile.summary().without_stack_blocks;
    const std::vector<Statistic> rows = ComputeStatistics(profile, {}).value();
    for (const Statistic& row : rows) {
      bytes += row.size;
      blocks += row.count;
    }
    EXPECT_EQ(bytes, profile.summary().live_bytes);
    EXPECT_EQ(blocks, profile.summary().live_blocks);
    const auto json = nlohmann::json::parse(RenderJson(profile, ComputeStatistics(profile, {}).value(), {}));
    EXPECT_EQ(json["profile"]["without_stack"]["live_bytes"], profile.summary().without_stack_bytes);
    EXPECT_EQ(json["profile"]["without_stack"]["live_blocks"], profile.summary().without_stack_blocks);
  }

  static constexpr uint64_t kInterval = 512 << 10;
  FakeRun run_;
  size_t thread_;
};

TEST_F(SampledRunTest, TheLinesAndWhatIsCountedWithoutAStackAreTheTotal) {
  const Profile profile = WithCounted({9000, 90, 1000, 10});
  EXPECT_EQ(profile.summary().live_bytes, 9000);
  EXPECT_EQ(profile.summary().live_blocks, 81);
  EXPECT_EQ(profile.summary().without_stack_bytes, 9000 - 1400);
  EXPECT_EQ(profile.summary().without_stack_blocks, 81 - 41);
  EXPECT_THAT(RenderHeader(profile, {}),
              HasSubstr("\nnote:     counted without a stack: 7600 B in 40 blocks; the lines are estimates, and with "
                        "this add up to what is live\n"));
  ExpectToAddUp(profile);
}

TEST_F(SampledRunTest, EstimatesThatAreTooHighAreSaidToBe) {
  const Profile profile = WithCounted({100, 60, 0, 0});
  EXPECT_THAT(NotesOf(profile.summary()),
              Contains("the lines are estimates, and add up to 300 B more and 20 blocks less than is live"));
  ExpectToAddUp(profile);
}

TEST(LoadProfileTest, WhereEveryBlockIsRecordedNothingIsWithoutAStack) {
  FakeRun run(kProgram, kLibrary);
  run.Count(run.AddThread("main", 1), {run.InProgram(0x10)}, {100, 2, 40, 1});
  const Profile profile = Load(run.Build());
  EXPECT_EQ(profile.summary().without_stack_bytes, 0);
  EXPECT_EQ(profile.summary().without_stack_blocks, 0);
  EXPECT_THAT(RenderHeader(profile, {}), Not(HasSubstr("without a stack")));
}

TEST(LoadProfileTest, SymbolsOfTheRecordingExpandIntoInlinedFramesAndEqualStacksMerge) {
  FakeRun run(kProgram, kLibrary);
  size_t thread = run.AddThread("main", 1);
  // Two calls on one line are two sites of the recording, and one of the profile.
  for (uint64_t offset : {0x10, 0x18}) {
    run.builder().AddSymbol(
        {.frame = run.InProgram(offset),
         .level = static_cast<uint32_t>(ResolutionLevel::kLine),
         .locations = {{.function = "Reserve()", .file = "/src/./pool.h", .line = 3, .inlined = true},
                       {.function = "Fetch()", .file = "/src/a/../main.cc", .line = 7}}});
    run.Count(thread, {run.InProgram(offset)}, {10, 1, 0, 0});
  }
  Profile profile = Load(run.Build());
  ASSERT_EQ(profile.sites().size(), 1u);
  EXPECT_THAT(FramesOf(profile, profile.sites()[0]), ElementsAre("/src/pool.h", "/src/main.cc"));
  EXPECT_EQ(profile.sites()[0].live_bytes, 20);
  EXPECT_TRUE(profile.stacks().Innermost(profile.sites()[0].stack).inlined);
  ResolutionShares shares = ComputeResolution(profile, LineOf::kUser);
  EXPECT_EQ(shares.line_bytes, 20);
  EXPECT_EQ(shares.live_bytes, 20);
}

TEST(LoadProfileTest, ASnapshotHasTheCountersOfItsMoment) {
  FakeRun run(kProgram, kLibrary);
  size_t thread = run.AddThread("main", 1);
  run.Count(thread, {run.InProgram(0x10)}, {100, 1, 0, 0});
  run.builder().AddSnapshotOfNow({.label = "before", .monotonic_ns = 3'500'000'000, .peak_bytes = 120, .rss_bytes = 7});
  run.Count(thread, {run.InProgram(0x20)}, {50, 1, 0, 0});
  run.Count(thread, {run.InProgram(0x10)}, {0, 0, 100, 1});
  Recording recording = run.Build();
  Profile before = Load(recording, {.snapshot = recording.FindSnapshot("before").value()});
  EXPECT_THAT(Texts(Statistics(before, "line").value()),
              ElementsAre("prog+0x10:0: size=100 B, count=1, average=100 B"));
  EXPECT_EQ(before.summary().label, "before");
  EXPECT_EQ(before.summary().elapsed_ns, 2'500'000'000u);
  EXPECT_EQ(before.summary().peak_bytes, 120u);
  EXPECT_EQ(before.summary().rss_bytes, 7u);
  EXPECT_THAT(Texts(CompareTo(Load(recording), before, "line").value()),
              ElementsAre("prog+0x10:0: size=0 B (-100 B), count=0 (-1)",
                          "prog+0x20:0: size=50 B (+50 B), count=1 (+1), average=50 B"));
  EXPECT_EQ(LoadProfile(recording, nullptr, {.snapshot = 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(LoadProfile(recording, nullptr, {.snapshot = 0, .by_thread = true}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LoadProfileTest, AFileThatStandsAloneIsTheSnapshotItWasMadeFor) {
  FakeRun run(kProgram, kLibrary);
  run.builder().header().flags |= format::kFlagSnapshot;
  run.Count(run.AddThread("main", 1), {run.InProgram(0x10)}, {100, 1, 0, 0});
  run.builder().AddSnapshotOfNow({.label = "kept", .monotonic_ns = 3'500'000'000, .peak_bytes = 120, .rss_bytes = 7});
  const Profile profile = Load(run.Build());
  EXPECT_EQ(profile.summary().label, "kept");
  EXPECT_EQ(profile.summary().elapsed_ns, 2'500'000'000u);
  EXPECT_EQ(profile.summary().peak_bytes, 120u);
  EXPECT_TRUE(LoadProfile(run.Build(), nullptr, {.by_thread = true}).ok()) << "its threads are still apart";
}

TEST(LoadProfileTest, ThreadsThatSharedARecordAreSaidToHaveRunOneAfterAnother) {
  FakeRun run(kProgram, kLibrary);
  const size_t thread = run.builder().AddThread({.tid = 14, .threads_served = 3, .name = "worker"});
  run.Count(thread, {run.InProgram(0x10)}, {100, 1, 0, 0});
  EXPECT_THAT(
      Texts(ComputeStatistics(Load(run.Build(), {.by_thread = true}), {.by = GroupBy::kThread}).value()),
      ElementsAre("worker (3 threads, one after another, the last tid 14): size=100 B, count=1, average=100 B"));
}

TEST(LoadProfileTest, FreedSitesCountOnlyWhereTotalsAreAskedFor) {
  FakeRun run(kProgram, kLibrary);
  size_t thread = run.AddThread("main", 1);
  run.Count(thread, {run.InProgram(0x10)}, {100, 1, 100, 1});
  run.Count(thread, {run.InProgram(0x20)}, {5, 1, 0, 0});
  Profile profile = Load(run.Build());
  EXPECT_THAT(Texts(ComputeStatistics(profile, {}).value()),
              ElementsAre("prog+0x20:0: size=5 B, count=1, average=5 B"));
  EXPECT_THAT(Texts(ComputeStatistics(profile, {.sort = SortBy::kTotal}).value()),
              ElementsAre("prog+0x10:0: size=0 B, count=0", "prog+0x20:0: size=5 B, count=1, average=5 B"));
}

TEST(LoadProfileTest, ByThreadFreesAreChargedAsTheSplitSays) {
  FakeRun run(kProgram, kLibrary);
  size_t a = run.AddThread("producer", 11), b = run.AddThread("producer", 12), c = run.AddThread("consumer", 13);
  std::vector<format::Frame> shared = {run.InProgram(0x10)}, own = {run.InProgram(0x20)};
  run.Count(a, shared, {600, 600, 0, 0});
  run.Count(b, shared, {200, 200, 0, 0});
  run.Count(c, shared, {0, 0, 300, 300});
  run.Count(a, own, {7, 1, 0, 0});
  Profile profile = Load(run.Build(), {.by_thread = true});
  EXPECT_THAT(Texts(ComputeStatistics(profile, {.by = GroupBy::kThread}).value()),
              ElementsAre("producer (tid 11): size=382 B, count=376, average=1 B",
                          "producer (tid 12): size=125 B, count=125, average=1 B"));
  EXPECT_EQ(profile.summary().shared_bytes, 500);
  EXPECT_EQ(profile.summary().live_bytes, 507);
  EXPECT_THAT(Texts(ComputeDiff(profile, profile, {.by = GroupBy::kThread}).value()),
              ElementsAre("producer: size=507 B (+0 B), count=501 (+0), average=1 B"))
      << "tids mean nothing in another run";
}

TEST(LoadProfileTest, AProfileThatWasNotSplitRefusesToBeGroupedByThread) {
  FakeRun run(kProgram, kLibrary);
  EXPECT_EQ(ComputeStatistics(Load(run.Build()), {.by = GroupBy::kThread}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(LoadProfileTest, ARecordingThatCountedNothingIsAnEmptyProfile) {
  Profile profile = Load(FakeRun(kProgram, kLibrary).Build());
  EXPECT_THAT(profile.sites(), IsEmpty());
  EXPECT_THAT(Statistics(profile, "traceback").value(), IsEmpty());
  EXPECT_THAT(Statistics(profile, "line", true).value(), IsEmpty());
}

// ------------------------------------------------------------ against this very binary, as it is loaded

struct CallSite {
  void* return_address;
  uint32_t line;
};
[[gnu::noinline]] void* ReturnAddress() { return __builtin_return_address(0); }
[[gnu::noinline]] CallSite CallFromAKnownLine() {
  CallSite site{};
  site.line = __LINE__, site.return_address = ReturnAddress();
  return site;
}

// This binary as the tracer would record it.
RecordedModule ModuleOfThisBinary() {
  RecordedModule module;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        RecordedModule& self = *static_cast<RecordedModule*>(data);
        self.load_bias = info->dlpi_addr;
        self.start = ~uint64_t{0};
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& header = info->dlpi_phdr[i];
          if (header.p_type != PT_LOAD) continue;
          self.start = std::min<uint64_t>(self.start, info->dlpi_addr + header.p_vaddr);
          self.end = std::max<uint64_t>(self.end, info->dlpi_addr + header.p_vaddr + header.p_memsz);
        }
        return 1;  // the first is the executable
      },
      &module);
  module.path = "/proc/self/exe";
  return module;
}

TEST(LoadProfileTest, AReturnAddressResolvesToTheLineOfItsCall) {
  CallSite call = CallFromAKnownLine();
  RecordingBuilder builder;
  builder.AddModule(ModuleOfThisBinary());
  size_t thread = builder.AddThread({.tid = 1, .name = "main"});
  std::vector<format::Frame> stack = {reinterpret_cast<uint64_t>(call.return_address)};
  builder.AddCounters(thread, builder.AddSite(stack), {1, 1, 0, 0});
  Recording recording = Recording::Parse(builder.Build(), "this binary").value();
  Symbolizer symbolizer({});
  Profile profile = LoadProfile(recording, &symbolizer, {}).value();
  const Location& location = profile.stacks().Innermost(profile.sites()[0].stack);
  EXPECT_EQ(location.level, ResolutionLevel::kLine);
  EXPECT_THAT(std::string(location.file), testing::EndsWith("tests/report/load_profile_test.cc"));
  EXPECT_EQ(location.line, call.line);
  EXPECT_THAT(std::string(location.function), HasSubstr("CallFromAKnownLine"));
  EXPECT_EQ(location.role, FrameRole::kUser);
}

TEST(LoadProfileTest, AModuleWhoseFileIsGoneIsNamedWithTheBytesItHides) {
  FakeRun run(kProgram, kLibrary);
  size_t thread = run.AddThread("main", 1);
  run.Count(thread, {run.InLibrary(0x40)}, {100, 1, 0, 0});
  Symbolizer symbolizer({});
  Profile profile = LoadProfile(run.Build(), &symbolizer, {}).value();
  ASSERT_EQ(profile.summary().problems.size(), 1u);
  EXPECT_EQ(profile.summary().problems[0].path, "/app/libdb.so");
  EXPECT_EQ(profile.summary().problems[0].live_bytes, 100);
  EXPECT_THAT(FramesOf(profile, profile.sites()[0]), ElementsAre("libdb.so+0x40"));
}

}  // namespace
}  // namespace allocline
