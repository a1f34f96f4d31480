#include "tracer/site_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/tracer/recording_fixture.h"

namespace allocline::testing {
namespace {

using format::Frame;
using format::TableKind;

class SiteTableTest : public ::testing::Test {
 protected:
  SiteTableTest() { EXPECT_TRUE(sites_.Init(&recording_.writer())); }

  uint64_t NodeCount() { return recording_.writer().used(TableKind::kNodes) / sizeof(format::NodeRecord); }
  // The frame of a new code of Python, of a file of that name.
  Frame NewCode(const std::string& file, uint64_t record_bytes) {
    auto* record = static_cast<format::CodeRecord*>(recording_.writer().Reserve(TableKind::kCodes, record_bytes));
    if (record == nullptr) throw std::runtime_error("no room for a code");
    record->file_bytes = static_cast<uint32_t>(file.size());
    memcpy(record + 1, file.data(), file.size());
    StoreRelease(record->record_bytes, static_cast<uint32_t>(record_bytes));
    const auto at = reinterpret_cast<std::byte*>(record) - recording_.writer().base(TableKind::kCodes);
    const uint64_t id = static_cast<uint64_t>(at) / format::kCodeIdBytes;
    return format::MakeVirtualFrame(format::VirtualKind::kPython, format::PythonPayload(id, 0));
  }
  SiteId SiteOfNew(const std::string& file, uint64_t record_bytes = 64) {
    return sites_.SiteOf(sites_.Child(kRootNode, NewCode(file, record_bytes)));
  }

  WrittenRecording recording_;
  SiteTable sites_;
};

TEST_F(SiteTableTest, AContextIsTheSameNodeWhateverContextsComeAfter) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::map<std::pair<NodeId, Frame>, NodeId> model;
  // Chains, bushes and everything between: the parent is a recent node, or any. Past every growth up to 2^18 slots.
  for (int i = 0; i < 100'000; ++i) {
    const NodeId newest = static_cast<NodeId>(NodeCount() - 1);
    const NodeId parent = random() % 4 != 0 ? newest - static_cast<NodeId>(random() % std::min(newest, 8u))
                                            : static_cast<NodeId>(random() % (newest + 1));
    const Frame frame = 0x400000 + random() % 50 * 16;
    const NodeId node = sites_.Child(parent, frame);
    ASSERT_NE(node, kNoNode);
    const auto [known, fresh] = model.try_emplace({parent, frame}, node);
    ASSERT_EQ(known->second, node) << "parent " << parent << (fresh ? "" : ", known before");
  }
  for (const auto& [key, node] : model) {
    ASSERT_EQ(sites_.Child(key.first, key.second), node);
    ASSERT_EQ(sites_.nodes()[node].parent, key.first);
    ASSERT_EQ(sites_.nodes()[node].frame, key.second);
  }
}

TEST_F(SiteTableTest, AParentWithVeryManyChildrenFindsThemAll) {
  const NodeId parent = sites_.Child(kRootNode, 0x1000);
  std::vector<NodeId> children;
  for (Frame i = 0; i < 100'000; ++i) children.push_back(sites_.Child(parent, 0x400000 + i * 8));
  const uint64_t made = NodeCount();
  for (Frame i = 0; i < children.size(); ++i) ASSERT_EQ(sites_.Child(parent, 0x400000 + i * 8), children[i]);
  EXPECT_EQ(NodeCount(), made);
}

TEST_F(SiteTableTest, NoNodeIsFoundThatWasNeverMade) {
  for (Frame i = 0; i < 50'000; ++i) sites_.Child(static_cast<NodeId>(i % NodeCount()), 0x400000 + i * 8);
  EXPECT_EQ(sites_.Find(3, 0x10), kNoNode);
  EXPECT_EQ(sites_.Find(static_cast<NodeId>(NodeCount() - 1), 0x400000), kNoNode);
}

#ifndef ALLOCLINE_SANITIZED  // whose runtime needs addresses of its own
TEST_F(SiteTableTest, ATableThatFilledForLackOfMemoryGrowsOnceThereIsSome) {
  std::vector<NodeId> made;
  made.reserve(4096);
  // Room for nodes, whose table would be full for good.
  ASSERT_NE(recording_.writer().Reserve(TableKind::kNodes, 600 << 10), nullptr);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none = {1 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  NodeId node = kRootNode;
  for (Frame i = 0; node != kNoNode && i < 100'000; ++i) {
    node = sites_.Child(kRootNode, 0x400000 + i * 8);
    if (node != kNoNode && made.size() < made.capacity()) made.push_back(node);
  }
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_EQ(node, kNoNode);
  for (Frame i = 0; i < 100'000; ++i) ASSERT_NE(sites_.Child(kRootNode, 0x400000 + i * 8), kNoNode);
  for (size_t i = 0; i < made.size(); ++i) ASSERT_EQ(sites_.Child(kRootNode, 0x400000 + i * 8), made[i]);
}
#endif

// The parent's table of codes grows between the fork and the moment when the child looks what it takes over. The child
// has no more of it than was mapped when it was forked, and gives the numbers beyond that to codes of its own.
TEST_F(SiteTableTest, AChildTakesOverNoNodeWhoseCodeItDoesNotHave) {
  const SiteId before = SiteOfNew("before");
  const uint64_t capacity = recording_.writer().header().tables[static_cast<uint32_t>(TableKind::kCodes)].capacity;
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(go[1]);  // to learn of it if the parent ends early
    char byte = 0;
    const bool has_all = read(go[0], &byte, 1) == 1 && recording_.writer().OpenForChild() &&
                         recording_.writer().PopulateChild() && sites_.InitAfterFork();
    if (!has_all || sites_.NodeOf(before) == 0) _exit(1);
    // These are where the parent has codes of those numbers, and some that begin elsewhere.
    for (int i = 0; i < 20; ++i) SiteOfNew(fmt::format("of the child {}", i), i % 2 == 0 ? 64 : 96);
    _exit(0);
  }
  const uint64_t space = capacity - recording_.writer().used(TableKind::kCodes);
  SiteOfNew("after", space);  // up to the last byte
  for (int i = 0; i < 40; ++i) SiteOfNew(fmt::format("of the parent {}", i));
  EXPECT_EQ(write(go[1], "x", 1), 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  close(go[0]);
  close(go[1]);
  ASSERT_EQ(status, 0);
  const auto recording = Recording::Open(recording_.directory() / fmt::format("program.{}.allocline", child));
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->damage(), std::vector<std::string>());
  std::vector<std::string> files;
  for (SiteId site = format::kOverflowSite + 1; site < recording->sites().size(); ++site) {
    const std::vector<Frame> stack = recording->Stack(site);
    const RecordedCode* code = stack.empty() ? nullptr : recording->FindCode(stack[0]);
    if (recording->sites()[site] != 0) files.push_back(code == nullptr ? "missing" : code->file);
  }
  std::vector<std::string> expected = {"before", "after"};
  for (int i = 0; i < 20; ++i) expected.push_back(fmt::format("of the child {}", i));
  EXPECT_EQ(files, expected);
}

TEST_F(SiteTableTest, ThreadsThatMeetTheSameContextsWhileTheTableGrowsAgreeOnThem) {
  constexpr int kThreads = 4;
  constexpr Frame kPaths = 12'000;
  std::vector<std::vector<SiteId>> found(kThreads);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : found) {
      threads.emplace_back([this, &mine] {
        for (Frame path = 0; path < kPaths; ++path) {
          NodeId node = kRootNode;
          for (Frame rest = path, level = 1; level <= 4; rest /= 16, ++level) {
            node = sites_.Child(node, 0x400000 + level * 0x10000 + rest % 16 * 8);
          }
          mine.push_back(sites_.SiteOf(node));
        }
      });
    }
  }
  for (int i = 1; i < kThreads; ++i) ASSERT_EQ(found[static_cast<size_t>(i)], found[0]);
  // Different stacks have different sites: so many paths of four levels of 16 frames.
  const std::set<SiteId> distinct(found[0].begin(), found[0].end());
  EXPECT_EQ(distinct.size(), kPaths);
}

}  // namespace
}  // namespace allocline::testing
