#include "tracer/stack_predictor.h"

#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

// The stacks are this test's own: real calls, through functions whose frames have different sizes.
#define NEVER_MERGED __attribute__((noinline, noclone))
#if defined(__clang__)
#undef NEVER_MERGED
#define NEVER_MERGED __attribute__((noinline))
#endif

namespace allocline::testing {
namespace {

struct PageDeleter {
  size_t bytes;
  void operator()(void* pages) const { UnmapPages(pages, bytes); }
};
template <typename T>
using InZeroedPages = std::unique_ptr<T, PageDeleter>;
template <typename T>
InZeroedPages<T> MapZeroed() {
  const size_t bytes = RoundUpToPage(sizeof(T));
  return InZeroedPages<T>(static_cast<T*>(MapPages(bytes)), PageDeleter{bytes});
}

// What the tracer does with stacks, with a map where it has the site table.
class Taker {
 public:
  Taker() {
    stack_->Forget();
    again_->Forget();
  }

  void OnEvent(const HookFrame* hook) {
    ++events;
    if (const InternedStack* guess = predictor_->Find(node_, hook, stack_.get())) {
      ++right;
      node_ = guess->node;
    } else {
      const TakenStack taken = stack_->Take(hook);
      node_ = taken.shared > 0 ? stack_->label(taken.shared - 1) : kRootNode;
      for (uint32_t i = 0; i < taken.fresh; ++i) {
        const bool kept = taken.kept != nullptr;
        node_ = Child(node_, kept ? taken.kept[i].return_address.value : taken.pcs[taken.fresh - 1 - i]);
        if (kept) taken.kept[i].label = node_;
      }
      if (taken.plain) predictor_->Learn(*stack_, taken.fresh, {nullptr, node_, node_, 0});
    }
    again_->Forget();
    const TakenStack whole = again_->Take(hook);
    NodeId expected = kRootNode;
    for (uint32_t i = 0; i < whole.fresh; ++i) {
      const bool kept = whole.kept != nullptr;
      expected = Child(expected, kept ? whole.kept[i].return_address.value : whole.pcs[whole.fresh - 1 - i]);
    }
    if (node_ != expected) ++wrong;
  }

  uint64_t events = 0, right = 0, wrong = 0;

 private:
  NodeId Child(NodeId parent, uintptr_t pc) {
    return nodes_.try_emplace({parent, pc}, static_cast<NodeId>(nodes_.size() + 1)).first->second;
  }

  InZeroedPages<StackCache> stack_ = MapZeroed<StackCache>(), again_ = MapZeroed<StackCache>();
  InZeroedPages<StackPredictor> predictor_ = MapZeroed<StackPredictor>();
  std::map<std::pair<NodeId, uintptr_t>, NodeId> nodes_;
  NodeId node_ = kRootNode;
};

Taker* g_taker = nullptr;

NEVER_MERGED void Hook() {
  g_taker->OnEvent(static_cast<const HookFrame*>(__builtin_frame_address(0)));
  asm volatile("" ::: "memory");
}

// ---- six frames, each in four variants of different size; `way` has two bits for each

constexpr int kLevels = 6;

template <int level, int variant>
NEVER_MERGED void Step(unsigned way);

template <int level, int... variant>
constexpr std::array<void (*)(unsigned), sizeof...(variant)> Steps(std::integer_sequence<int, variant...>) {
  return {&Step<level, variant>...};
}

template <int level, int variant>
void Step(unsigned way) {
  volatile char room[16 + 32 * (variant % 3)];
  room[0] = static_cast<char>(way);
  if constexpr (level == kLevels) {
    Hook();
    if (variant == 3) Hook();
  } else {
    static constexpr auto kNext = Steps<level + 1>(std::make_integer_sequence<int, 4>{});
    kNext[way % 4](way / 4);
    if (variant == 2) Hook();
  }
  asm volatile("# frame %c0" : : "i"(level * 4 + variant), "m"(room[0]) : "memory");
}

constexpr auto kFirst = Steps<0>(std::make_integer_sequence<int, 4>{});
void Go(unsigned way) { kFirst[way % 4](way / 4); }

class StackPredictorTest : public ::testing::Test {
 protected:
  StackPredictorTest() {
    g_main_stack_top = getauxval(AT_RANDOM);
    g_taker = &taker_;
  }
  ~StackPredictorTest() override {
    g_main_stack_top = 0;
    EXPECT_EQ(taker_.wrong, 0u) << "of " << taker_.events;
  }
  // Sanitizers make frames that need their rbp, and such stacks are not guessed.
  static constexpr bool kFramesArePlain =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__) || !defined(__OPTIMIZE__)
      false;
#else
      true;
#endif

  Taker taker_;
  std::mt19937 random_{20221};
};

TEST_F(StackPredictorTest, WaysThatComeAgainInTheSameOrderAreGuessed) {
  std::vector<unsigned> ways(100);
  for (unsigned& way : ways) way = random_();
  for (int round = 0; round < 30; ++round) {
    for (const unsigned way : ways) Go(way);
  }
  if (kFramesArePlain) {
    EXPECT_GT(taker_.right, taker_.events * 8 / 10);
  }
}

TEST_F(StackPredictorTest, WaysAtRandomOfAFewAreGuessedByWhatLiesWhereTheLastStackWas) {
  // Variants 0 and 3 have frames of one size: the places of return addresses are the same on all ways.
  std::vector<unsigned> ways(8);
  for (unsigned i = 0; i < ways.size(); ++i) {
    for (unsigned level = 3; level < 6; ++level) ways[i] |= (i >> (level - 3) & 1) * 3 << 2 * level;
  }
  for (int i = 0; i < 60'000; ++i) Go(ways[random_() % ways.size()]);
  if (kFramesArePlain) {
    EXPECT_GT(taker_.right, taker_.events * 8 / 10);
  }
}

TEST_F(StackPredictorTest, WhatWasLearntBeforeCodeWasUnloadedIsNotGuessed) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10; ++i) Go(static_cast<unsigned>(i % 2) * 0x555);
    const uint64_t right = taker_.right;
    if (kFramesArePlain) {
      EXPECT_GT(right, 0u);
    }
    ForgetCode();
    Go(0);  // one Hook()
    EXPECT_EQ(taker_.right, right);
  }
}

TEST_F(StackPredictorTest, MoreStacksThanThereIsRoomForAreRightAllTheSame) {
  for (int i = 0; i < 60'000; ++i) Go(random_());
}

TEST_F(StackPredictorTest, SomeWaysAgainAndAgainAmongManyOthersAreRight) {
  std::vector<unsigned> ways(300);
  for (unsigned& way : ways) way = random_();
  for (int i = 0; i < 100'000; ++i) {
    Go(i / 5000 % 2 == 0 ? ways[static_cast<size_t>(i) % ways.size()] : ways[random_() % ways.size()]);
    if (i % 7 == 0) Go(random_());
  }
}

// ---- stacks that come and go

ucontext_t g_main, g_fiber;
unsigned g_way = 0;
void FiberMain() {
  for (;;) {
    Go(g_way);
    swapcontext(&g_fiber, &g_main);
  }
}

TEST_F(StackPredictorTest, StacksThatAreUnmappedAndMappedAnewAtTheSamePlaceAreRight) {
  constexpr size_t kStackBytes = 64 << 10;
  auto* place = static_cast<char*>(ReserveAddresses(4 * kStackBytes));
  ASSERT_NE(place, nullptr);
  std::vector<unsigned> ways(20);
  for (unsigned& way : ways) way = random_();
  for (int i = 0; i < 2000; ++i) {
    // A stack of another size each time, so that it ends elsewhere; what was above it is gone.
    const size_t bytes = kStackBytes * (1 + static_cast<size_t>(i) % 4);
    ASSERT_EQ(mmap(place, 4 * kStackBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0),
              place);
    ASSERT_EQ(mprotect(place, bytes, PROT_READ | PROT_WRITE), 0);
    getcontext(&g_fiber);
    g_fiber.uc_stack.ss_sp = place;
    g_fiber.uc_stack.ss_size = bytes;
    g_fiber.uc_link = &g_main;
    makecontext(&g_fiber, FiberMain, 0);
    for (int j = 0; j < 4; ++j) {
      g_way = ways[random_() % ways.size()];
      swapcontext(&g_main, &g_fiber);
      Go(ways[random_() % ways.size()]);
    }
  }
  munmap(place, 4 * kStackBytes);
}

}  // namespace
}  // namespace allocline::testing
