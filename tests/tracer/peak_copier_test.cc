// Copies of what was live at the peak, read while others are being written: a reader gets a whole one, or none.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "base/atomic.h"
#include "tests/tracer/recording_fixture.h"
#include "tracer/peak_copy.h"
#include "tracer/site_table.h"
#include "tracer/thread_state.h"

namespace allocline {
namespace {

constexpr uint32_t kSites = 3000;  // 94 chunks

// A program whose every site holds the same at any copy: `round` blocks of 8 bytes.
class EvenProgram {
 public:
  EvenProgram() {
    copier_.Init(&recording_.writer());
    threads_.Init(&recording_.writer());
    state_ = threads_.Acquire(format::ThreadKind::kThread);
    sites_.Init(&recording_.writer());
    for (uint32_t i = 0; i < kSites; ++i) used_.push_back(sites_.SiteOf(sites_.Child(kRootNode, 0x1000 + i)));
  }

  void GrowAndCopy() {
    ++rounds_;
    for (const SiteId site : used_) {
      format::Counter* counter = state_->counters.At(site, recording_.writer());
      ASSERT_NE(counter, nullptr);
      AddOwned(counter->allocated_bytes, 16);
      AddOwned(counter->allocated_blocks, 2);
      AddOwned(counter->freed_bytes, 8);
      AddOwned(counter->freed_blocks, 1);
    }
    Copy();
  }

  void Copy() {
    StoreRelaxed(recording_.writer().header().peak_copy_ns, uint64_t{0});  // there is always time for it
    copier_.Copy(static_cast<int64_t>(rounds_ * 8 * kSites), sites_.site_count());
  }

  // As which round the copy that a reader finds was taken; 0: it found none.
  uint64_t RoundRead() const {
    const Recording read = recording_.Read();
    const auto& peak = read.peak_copy();
    if (!peak.has_value()) return 0;
    EXPECT_EQ(peak->live.size(), kSites);
    const uint64_t round = peak->live.front().second.allocated_blocks;
    EXPECT_EQ(peak->live_bytes, round * 8 * kSites);
    for (const auto& [site, live] : peak->live) {
      EXPECT_EQ(live.allocated_blocks, round) << site;
      EXPECT_EQ(live.allocated_bytes, 8 * round) << site;
    }
    return round;
  }
  uint64_t rounds() const { return rounds_; }

 private:
  testing::WrittenRecording recording_;
  PeakCopier copier_;
  ThreadStates threads_;
  SiteTable sites_;
  std::vector<SiteId> used_;
  ThreadState* state_ = nullptr;
  uint64_t rounds_ = 0;
};

TEST(PeakCopierTest, TheLastCopyIsWhatIsRead) {
  EvenProgram program;
  EXPECT_EQ(program.RoundRead(), 0u);
  for (uint64_t round = 1; round <= 5; ++round) {
    program.GrowAndCopy();
    EXPECT_EQ(program.RoundRead(), round);
  }
}

// Sites that one thread counts, or several, or none; met by them in whatever order; and room that held another copy.
TEST(PeakCopierTest, ACopyIsTheSumOverThreadsWhateverSitesTheyCameTo) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  testing::WrittenRecording recording;
  PeakCopier copier;
  ThreadStates threads;
  SiteTable sites;
  copier.Init(&recording.writer());
  threads.Init(&recording.writer());
  sites.Init(&recording.writer());
  std::vector<SiteId> ids;
  for (uint32_t i = 0; i < kSites; ++i) ids.push_back(sites.SiteOf(sites.Child(kRootNode, 0x1000 + i)));
  std::array<ThreadState*, 3> states{};
  for (ThreadState*& state : states) state = threads.Acquire(format::ThreadKind::kThread);
  std::map<SiteId, uint64_t> blocks;
  for (int round = 0; round < 6; ++round) {
    for (int event = 0; event < 40; ++event) {
      const SiteId site = ids[random() % ids.size()];
      format::Counter* counter = states[random() % states.size()]->counters.At(site, recording.writer());
      ASSERT_NE(counter, nullptr);
      const bool frees = blocks[site] > 0 && random() % 2 == 0;
      AddOwned(frees ? counter->freed_blocks : counter->allocated_blocks, 1);
      AddOwned(frees ? counter->freed_bytes : counter->allocated_bytes, 24);
      blocks[site] += frees ? -1 : 1;
    }
    StoreRelaxed(recording.writer().header().peak_copy_ns, uint64_t{0});
    copier.Copy(round + 1, sites.site_count());
    const Recording read = recording.Read();
    ASSERT_TRUE(read.peak_copy().has_value());
    std::map<SiteId, uint64_t> copied;
    for (const auto& [site, live] : read.peak_copy()->live) {
      EXPECT_EQ(live.allocated_bytes, 24 * live.allocated_blocks);
      if (live.allocated_blocks != 0) copied[site] = live.allocated_blocks;
    }
    std::erase_if(blocks, [](const auto& entry) { return entry.second == 0; });
    EXPECT_EQ(copied, blocks);
  }
}

TEST(PeakCopierTest, AReaderBesideTheWriterGetsWholeCopiesThatNeverGoBack) {
  EvenProgram program;
  program.GrowAndCopy();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done.load(std::memory_order_relaxed)) program.GrowAndCopy();
  });
  uint64_t last = 0;
  int whole = 0;
  for (int i = 0; i < 200 && !::testing::Test::HasFailure(); ++i) {
    const uint64_t round = program.RoundRead();
    if (round == 0) continue;  // each attempt met a copy that was just being written
    EXPECT_GE(round, last);
    last = round;
    ++whole;
  }
  done = true;
  writer.join();
  EXPECT_GT(whole, 20);
  EXPECT_GT(program.rounds(), 20u) << "nothing was written meanwhile";
}

// Of two threads that find one due at once, one takes it: the slots are never written by both.
TEST(PeakCopierTest, ThreadsThatCopyAtOnceLeaveWholeCopies) {
  EvenProgram program;
  program.GrowAndCopy();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        program.Copy();
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    const uint64_t round = program.RoundRead();
    EXPECT_TRUE(round == 0 || round == 1);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(program.RoundRead(), 1u);
}

}  // namespace
}  // namespace allocline
