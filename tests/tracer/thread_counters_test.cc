#include "tracer/thread_counters.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/tracer/every_instruction.h"
#include "tests/tracer/recording_fixture.h"

namespace allocline::testing {
namespace {

using format::TableKind;

// The counters of one thread, and what a reader finds in them.
class ThreadCountersTest : public ::testing::Test {
 protected:
  ThreadCountersTest() {
    // Sites 1 to kSites exist, so that a reader accepts what is counted for them.
    RecordingWriter& writer = recording_.writer();
    auto* node = static_cast<format::NodeRecord*>(writer.Reserve(TableKind::kNodes, 2 * sizeof(format::NodeRecord)));
    node[1] = {.parent = 0, .site = 1, .frame = 0x1000};
    auto* sites =
        static_cast<format::SiteRecord*>(writer.Reserve(TableKind::kSites, (kSites + 1) * sizeof(format::SiteRecord)));
    for (uint32_t i = 1; i <= kSites; ++i) sites[i].node = 1;
    auto* thread =
        static_cast<format::ThreadRecord*>(writer.Reserve(TableKind::kThreads, sizeof(format::ThreadRecord)));
    thread->kind = static_cast<uint32_t>(format::ThreadKind::kThread);
    counters_.Init(0);
  }

  void Allocate(uint32_t site, uint64_t bytes) {
    format::Counter* counter = counters_.At(site, recording_.writer());
    ASSERT_NE(counter, nullptr);
    AddOwned(counter->allocated_bytes, bytes);
    AddOwned(counter->allocated_blocks, 1);
  }
  std::map<uint32_t, uint64_t> AllocatedBytes() {
    std::map<uint32_t, uint64_t> bytes;
    const Recording read = recording_.Read();
    for (const auto& [site, counters] : read.threads().at(0).counters) bytes[site] = counters.allocated_bytes;
    return bytes;
  }

  static constexpr uint32_t kSites = 40'000;
  WrittenRecording recording_;
  ThreadCounters counters_;
};

TEST_F(ThreadCountersTest, ASiteKeepsItsCounterWhateverSitesComeAfter) {
  format::Counter* first = counters_.At(7, recording_.writer());
  for (uint32_t site = 1; site <= kSites; site += 17) ASSERT_NE(counters_.At(site, recording_.writer()), nullptr);
  EXPECT_EQ(counters_.At(7, recording_.writer()), first);
}

TEST_F(ThreadCountersTest, AReaderFindsWhatAModelCounted) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::map<uint32_t, uint64_t> model;
  for (int i = 0; i < 20'000; ++i) {
    // Sites of near and far, as a program that runs into new code has them.
    const uint32_t site = 1 + random() % (i % 2 == 0 ? 500 : kSites);
    const uint64_t bytes = 1 + random() % 1000;
    Allocate(site, bytes);
    model[site] += bytes;
  }
  EXPECT_EQ(AllocatedBytes(), model);
}

TEST_F(ThreadCountersTest, WithoutRoomForAChunkThereIsNoCounterAndNoHarm) {
  Allocate(1, 10);
  uint32_t site = 1;
  RecordingWriter& writer = recording_.writer();
  while (writer.Reserve(TableKind::kCounters, 1 << 20) != nullptr) {
  }
  for (; site <= kSites && counters_.At(site, writer) != nullptr; ++site) {
  }
  EXPECT_LE(site, kSites);
  EXPECT_EQ(counters_.At(site, writer), nullptr);
  EXPECT_EQ(counters_.At(1, writer)->allocated_bytes, 10);
}

// A handler may come between any two instructions, make chunks and outgrow the directory, and lose or double nothing.
TEST(ThreadCountersInterruptedTest, AHandlerMayCountAtAnyInstruction) {
#ifdef ALLOCLINE_SANITIZED
  GTEST_SKIP() << "most instructions would be the sanitizer's";
#endif
  class Trial : public ThreadCountersTest {
   public:
    void TestBody() override {}
    void Run(AtInstruction& at, uint32_t outer, uint32_t inner) {
      Allocate(1, 1);
      const bool interrupted = at.Interrupt([&] { Allocate(outer, 100); },
                                            [&] {
                                              Allocate(inner, 1000);
                                              Allocate(outer, 10'000);
                                              Allocate(1, 1);
                                            });
      Allocate(outer, 100'000);
      Allocate(1, 1);
      std::map<uint32_t, uint64_t> expected = {{1, 2}, {outer, 100'100}};
      if (interrupted) {
        expected[1] += 1;
        expected[outer] += 10'000;
        expected[inner] += 1000;
      }
      EXPECT_EQ(AllocatedBytes(), expected);
    }
  };
  // The chunk is there; it is new; the directory grows, and the handler's chunk needs less, as much, and more of it.
  for (const auto& [outer, inner] :
       {std::pair{2u, 3u}, {40u, 45u}, {17'000u, 200u}, {17'000u, 17'100u}, {17'000u, 39'000u}}) {
    SCOPED_TRACE(::testing::Message() << "site " << outer << ", in the handler " << inner);
    ForEachInstruction([&, outer = outer, inner = inner](AtInstruction& at) { Trial().Run(at, outer, inner); });
  }
}

}  // namespace
}  // namespace allocline::testing
