// Several processes as one profile, and what forks have in common counted once.
#include "report/merge_profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "recording/builder.h"
#include "report/inherited.h"
#include "report/load_profile.h"
#include "report/notes.h"
#include "report/profile_builder.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/statistics.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// What a process of `program` holds at two lines: one of a library that it calls, one of its own.
Profile OfProgram(const std::string& program, uint32_t pid, int64_t own, int64_t shared, uint32_t state = 0) {
  ProfileBuilder builder;
  const std::string module = "/app/" + program, file = "/src/" + program + ".cc";
  const LocationId main = builder.AddLocation(
      {.file = file, .line = 3, .function = "main", .module = module, .level = ResolutionLevel::kLine});
  const LocationId library = builder.AddLocation({.file = "/usr/include/rows.h",
                                                  .line = 9,
                                                  .function = "Read",
                                                  .module = module,
                                                  .level = ResolutionLevel::kLine});
  const StackId stack = builder.Push(kRootStack, main);
  builder.AddSite({.stack = stack, .live_bytes = own, .live_blocks = 1, .total_bytes = 100, .total_blocks = 2});
  builder.AddSite({.stack = builder.Push(stack, library), .live_bytes = shared, .live_blocks = 1});
  ProfileSummary& summary = builder.summary();
  summary.recording = program + "." + std::to_string(pid) + ".allocline";
  summary.program = module;
  summary.pid = pid;
  summary.state = state;
  summary.peak_bytes = 1000;
  summary.rss_bytes = 5000;
  return std::move(builder).Build(UserLineRule({.main_executable = module}));
}

std::map<std::string, int64_t> SizesBy(const Profile& profile, GroupBy by, LineOf line_of = LineOf::kUser) {
  const absl::StatusOr<std::vector<Statistic>> statistics = ComputeStatistics(profile, {.by = by, .line_of = line_of});
  EXPECT_TRUE(statistics.ok()) << statistics.status();
  std::map<std::string, int64_t> sizes;
  for (const Statistic& statistic : *statistics) sizes[Str(statistic.group)] += statistic.size;
  return sizes;
}

TEST(MergeProfilesTest, LinesAreTheSumsOfAllProcesses) {
  const std::vector<Profile> parts = {OfProgram("fetch", 7, 10, 100), OfProgram("fetch", 8, 20, 200),
                                      OfProgram("parse", 9, 40, 400)};
  const Profile all = MergeProfiles(parts);
  EXPECT_THAT(SizesBy(all, GroupBy::kLine),
              UnorderedElementsAre(Pair("/src/fetch.cc:3", 330), Pair("/src/parse.cc:3", 440)))
      << "a library's line is charged to its caller, in each program to its own";
  EXPECT_THAT(SizesBy(all, GroupBy::kLine, LineOf::kInnermost),
              UnorderedElementsAre(Pair("/src/fetch.cc:3", 30), Pair("/src/parse.cc:3", 40),
                                   Pair("/usr/include/rows.h:9", 700)));
  EXPECT_THAT(SizesBy(all, GroupBy::kTraceback), testing::SizeIs(2)) << "oldest frames";
  EXPECT_EQ(all.summary().live_bytes, 770);
  EXPECT_EQ(all.summary().live_blocks, 6);
  EXPECT_EQ(all.summary().peak_bytes, 3000u);
  EXPECT_EQ(all.summary().rss_bytes, 15000u);
  EXPECT_EQ(all.summary().pss_bytes, 0u) << "of none it is known";
}

TEST(MergeProfilesTest, EachProcessKeepsWhatItAdds) {
  const std::vector<Profile> parts = {OfProgram("fetch", 7, 10, 100), OfProgram("fetch", 8, 20, 200)};
  const Profile all = MergeProfiles(parts);
  EXPECT_THAT(SizesBy(all, GroupBy::kProcess),
              UnorderedElementsAre(Pair("fetch (pid 7)", 110), Pair("fetch (pid 8)", 220)));
  EXPECT_FALSE(ComputeStatistics(parts[0], {.by = GroupBy::kProcess}).ok());
  EXPECT_FALSE(ComputeStatistics(all, {.by = GroupBy::kProcess, .cumulative = true}).ok());
  const absl::StatusOr<std::vector<Statistic>> lines = ComputeStatistics(all, {.by = GroupBy::kProcess});
  const nlohmann::json document =
      nlohmann::json::parse(RenderJson(all, *lines, {.statistics = {.by = GroupBy::kProcess}}));
  EXPECT_EQ(document["statistics"][0]["pid"], 8);
  EXPECT_EQ(document["statistics"][0]["program"], "fetch");
  EXPECT_EQ(document["profile"]["processes"][0]["recording"], "fetch.7.allocline");
  EXPECT_EQ(document["profile"]["processes"][0]["live_bytes"], 110);
}

TEST(MergeProfilesTest, HowItEndedIsOfEachProcessAndOfAllTheLargests) {
  const Profile killed = OfProgram("load", 1, 100, 10);
  const Profile exited = OfProgram("send", 2, 200, 20, format::kStateActive | format::kStateExited);
  const Profile left = OfProgram("work", 3, 300, 30, format::kStateActive | format::kStateLeft);
  const auto says_exited = [](const std::vector<Profile>& parts) {
    return nlohmann::json::parse(RenderJson(MergeProfiles(parts), {}, {}))["profile"]["exited"].get<bool>();
  };
  EXPECT_TRUE(says_exited({killed, exited}));
  EXPECT_TRUE(says_exited({killed, left}));
  EXPECT_FALSE(says_exited({killed}));
  EXPECT_FALSE(says_exited({exited, OfProgram("load", 4, 1000, 10)})) << "the largest was killed";
  const std::vector<Profile> parts = {killed, exited, left};
  std::vector<bool> each;
  const Profile merged = MergeProfiles(parts);
  for (const ProcessShare& process : merged.summary().processes) each.push_back(process.exited);
  EXPECT_THAT(each, ElementsAre(false, true, true));
}

TEST(MergeProfilesTest, TheHeaderSaysThatItIsASum) {
  const std::vector<Profile> parts = {OfProgram("sh", 1, 1, 1), OfProgram("fetch", 7, 10, 100),
                                      OfProgram("fetch", 8, 20, 200)};
  const std::string header = RenderHeader(MergeProfiles(parts), {});
  EXPECT_THAT(header,
              testing::StartsWith("3 processes: sh, fetch x2\ntraced:   live 332 B in 6 blocks, peaks add up to "
                                  "3000 B\n"));
  EXPECT_THAT(header, HasSubstr("RSS 14.6 KiB (pages that processes share count in each)"));
}

TEST(MergeProfilesTest, OneProcessIsTheSumOfOne) {
  const std::vector<Profile> parts = {OfProgram("fetch", 7, 10, 100)};
  const Profile all = MergeProfiles(parts);
  EXPECT_THAT(SizesBy(all, GroupBy::kProcess), ElementsAre(Pair("fetch (pid 7)", 110)));
  EXPECT_THAT(RenderHeader(all, {}), testing::StartsWith("fetch (pid 7)\n"));
}

// ---------------------------------------------------------------- forks

// A process whose one site has 100 bytes in 10 blocks, and in a fork as much from its parent beside.
Recording Process(uint32_t pid, uint32_t parent, uint64_t start_ns, uint64_t inherited, uint64_t freed) {
  RecordingBuilder builder;
  format::FileHeader& header = builder.header();
  header.pid = pid;
  header.parent_pid = parent;
  header.start_monotonic_ns = start_ns;
  header.run_id = 5;
  snprintf(header.program, sizeof header.program, "/app/worker");
  const SiteId site = builder.AddSite(std::vector<format::Frame>{0x1000});
  if (inherited > 0) {
    header.flags = format::kFlagForked;
    const size_t thread = builder.AddThread({.kind = format::ThreadKind::kInherited, .tid = parent});
    builder.AddCounters(thread, site, {.allocated_bytes = inherited, .allocated_blocks = inherited / 10});
  }
  builder.AddCounters(
      builder.AddThread({.tid = pid}), site,
      {.allocated_bytes = 100, .allocated_blocks = 10, .freed_bytes = freed, .freed_blocks = freed / 10});
  absl::StatusOr<Recording> recording = Recording::Parse(builder.Build(), "worker");
  EXPECT_TRUE(recording.ok()) << recording.status();
  return *std::move(recording);
}

TEST(InheritedTest, ItIsTakenOffAsFarAsItMayStillBeLive) {
  struct Case {
    uint64_t freed;
    int64_t own, inherited;
  };
  for (const Case& test :
       {Case{0, 100, 500}, Case{60, 40, 500}, Case{100, 0, 500}, Case{300, 0, 300}, Case{600, 0, 0}}) {
    const Recording child = Process(8, 7, 2, 500, test.freed);
    std::vector<SiteCounters> counters = child.Counters();
    const SiteCounters inherited = TakeOffInherited(child, &counters);
    EXPECT_EQ(counters[2].live_bytes(), test.own) << test.freed;
    EXPECT_EQ(counters[2].live_blocks(), test.own / 10) << test.freed;
    EXPECT_EQ(counters[2].allocated_bytes, 100u) << "what it allocated itself";
    EXPECT_EQ(inherited.live_bytes(), test.inherited) << test.freed;
    EXPECT_EQ(inherited.live_blocks(), test.inherited / 10) << test.freed;
  }
}

TEST(InheritedTest, AForkIsFoundByItsParentsNumberAndTheImageThatRanThen) {
  const Recording parent = Process(7, 1, 1, 0, 0), child = Process(8, 7, 2, 100, 0),
                  grandchild = Process(9, 8, 3, 200, 0);
  const Recording later = Process(7, 1, 9, 0, 0), stranger = Process(20, 19, 4, 100, 0);
  const std::vector<const format::FileHeader*> headers = {&stranger.header(), &grandchild.header(), &later.header(),
                                                          &parent.header(), &child.header()};
  EXPECT_THAT(FindParents(headers), ElementsAre(std::nullopt, std::optional<size_t>(4), std::nullopt, std::nullopt,
                                                std::optional<size_t>(3)));
}

TEST(InheritedTest, TheSumOfAFamilyIsWhatItsMembersAllocated) {
  std::vector<Profile> parts;
  for (const Recording& member : {Process(7, 1, 1, 0, 0), Process(8, 7, 2, 100, 30), Process(9, 8, 3, 170, 0)}) {
    const bool forked = (member.header().flags & format::kFlagForked) != 0;
    absl::StatusOr<Profile> profile = LoadProfile(member, nullptr, {.without_inherited = forked});
    ASSERT_TRUE(profile.ok()) << profile.status();
    parts.push_back(*std::move(profile));
  }
  const Profile all = MergeProfiles(parts);
  EXPECT_EQ(all.summary().live_bytes, 100 + 70 + 100);
  EXPECT_EQ(all.summary().inherited_bytes, 100 + 170);
  EXPECT_THAT(NotesOf(all.summary()), ElementsAre(HasSubstr("270 B in 27 blocks that processes have from the one they "
                                                            "were forked from count once, there")));
}

TEST(InheritedTest, OneProcessAloneHasAllThatIsLiveInIt) {
  const Recording child = Process(8, 7, 2, 500, 0);
  const absl::StatusOr<Profile> profile = LoadProfile(child, nullptr, {});
  ASSERT_TRUE(profile.ok());
  EXPECT_EQ(profile->summary().live_bytes, 600);
  EXPECT_FALSE(LoadProfile(child, nullptr, {.by_thread = true, .without_inherited = true}).ok());
}

TEST(LoadProfileTest, OnlyTheChosenSitesAreNamed) {
  const Recording process = Process(7, 1, 1, 0, 0);
  const absl::StatusOr<Profile> none = LoadProfile(process, nullptr, {.sites = {1}});
  const absl::StatusOr<Profile> one = LoadProfile(process, nullptr, {.sites = {2, 4711}});
  ASSERT_TRUE(none.ok() && one.ok());
  EXPECT_THAT(none->sites(), IsEmpty());
  EXPECT_THAT(one->sites(), testing::SizeIs(1));
}

}  // namespace
}  // namespace allocline
