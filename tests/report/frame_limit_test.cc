#include "report/frame_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "report/profile_builder.h"
#include "report/statistics.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;

// Frames are lines of connector.py, the innermost first; those from 100 on are of a library.
class Stacks {
 public:
  void Add(const std::vector<uint32_t>& lines, int64_t bytes, uint32_t domain = format::kDomainPython) {
    StackId stack = kRootStack;
    for (size_t i = lines.size(); i-- > 0;) {
      const char* file = lines[i] < 100 ? "/src/connector.py" : "/usr/lib/python3/dist-packages/pandas/frame.py";
      stack = builder_.Push(stack, builder_.AddLocation({.file = file, .line = lines[i], .python = true}));
    }
    builder_.AddSite({.stack = stack,
                      .domain = domain,
                      .live_bytes = bytes,
                      .live_blocks = 1,
                      .total_bytes = static_cast<uint64_t>(2 * bytes),
                      .total_blocks = 2});
  }
  Profile Build() { return std::move(builder_).Build(UserLineRule({})); }

 private:
  ProfileBuilder builder_;
};

std::string TextOf(const Profile& profile, const Site& site) {
  std::string text;
  for (const LocationId id : profile.stacks().Frames(site.stack)) {
    text += (text.empty() ? "" : " ") + std::to_string(profile.stacks().locations()[id].line);
  }
  return text + ", user " + std::to_string(profile.stacks().UserLine(site.stack).line) + ": " +
         std::to_string(site.live_bytes) + "/" + std::to_string(site.live_blocks);
}

std::vector<std::string> TextsOf(const Profile& profile) {
  std::vector<std::string> texts;
  for (const Site& site : profile.sites()) texts.push_back(TextOf(profile, site));
  return texts;
}

std::vector<std::string> ReprsOf(const Profile& profile, const char* key, bool cumulative) {
  const std::vector<Statistic> statistics = Statistics(profile, key, cumulative).value();
  std::vector<std::string> reprs;
  for (const Statistic& each : statistics) reprs.push_back(Repr(each));
  return reprs;
}

TEST(FrameLimitTest, StacksThatDifferFurtherOutAreOne) {
  Stacks stacks;
  stacks.Add({1, 2, 3}, 10);
  stacks.Add({1, 2, 4}, 20);
  stacks.Add({1, 5, 3}, 40);
  stacks.Add({1}, 80);
  stacks.Add({1, 2, 4}, 160, format::kDomainMalloc);
  const Profile profile = stacks.Build();
  EXPECT_THAT(TextsOf(LimitFrames(profile, 2, LineOf::kUser)),
              ElementsAre("1 2, user 1: 30/2", "1 5, user 1: 40/1", "1, user 1: 80/1", "1 2, user 1: 160/1"));
  const Profile one = LimitFrames(profile, 1, LineOf::kInnermost);
  EXPECT_THAT(TextsOf(one), ElementsAre("1, user 1: 150/4", "1, user 1: 160/1"));
  EXPECT_EQ(one.sites()[0].total_bytes, 300u);
  EXPECT_EQ(one.sites()[0].total_blocks, 8u);
}

TEST(FrameLimitTest, TheUsersLineIsKeptUnlessTheInnermostIsAskedFor) {
  Stacks stacks;
  stacks.Add({101, 102, 3, 4}, 10);
  stacks.Add({101, 102, 3, 5}, 20);
  stacks.Add({101, 102, 103, 6}, 40);
  const Profile profile = stacks.Build();
  EXPECT_THAT(TextsOf(LimitFrames(profile, 1, LineOf::kUser)),
              ElementsAre("101 102 3, user 3: 30/2", "101 102 103 6, user 6: 40/1"));
  EXPECT_THAT(TextsOf(LimitFrames(profile, 1, LineOf::kInnermost)), ElementsAre("101, user 101: 70/3"));
  EXPECT_THAT(TextsOf(LimitFrames(profile, 3, LineOf::kInnermost)),
              ElementsAre("101 102 3, user 3: 30/2", "101 102 103, user 101: 40/1"));
}

TEST(FrameLimitTest, AnythingIsAsIfNoMoreHadBeenRecorded) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    Stacks whole, limited;
    const uint32_t limit = 1 + random() % 5;
    for (int i = 0; i < 200; ++i) {
      std::vector<uint32_t> lines(1 + random() % 8);
      for (uint32_t& line : lines) line = 1 + random() % 3;
      whole.Add(lines, i);
      if (lines.size() > limit) lines.resize(limit);
      limited.Add(lines, i);
    }
    const Profile expected = limited.Build();
    const Profile cut = LimitFrames(whole.Build(), limit, LineOf::kInnermost);
    for (const char* key : {"traceback", "lineno", "filename"}) {
      for (const bool cumulative : {false, true}) {
        if (cumulative && std::string_view(key) == "traceback") continue;
        EXPECT_EQ(ReprsOf(cut, key, cumulative), ReprsOf(expected, key, cumulative))
            << "seed " << seed << ", " << limit << " frames, by " << key;
      }
    }
  }
}

}  // namespace
}  // namespace allocline
