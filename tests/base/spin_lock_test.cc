#include "base/spin_lock.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace allocline {
namespace {

volatile sig_atomic_t g_handled;

class SpinLockTest : public ::testing::Test {
 protected:
  SpinLockTest() {
    g_handled = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { g_handled = g_handled + 1; };
    sigaction(SIGUSR1, &action, &before_);
  }
  ~SpinLockTest() override { sigaction(SIGUSR1, &before_, nullptr); }

  SpinLock lock_;

 private:
  struct sigaction before_ {};
};

TEST_F(SpinLockTest, ASignalWaitsUntilTheLockIsFree) {
  {
    SpinLockHolder holder(lock_);
    ASSERT_TRUE(holder.held());
    raise(SIGUSR1);
    EXPECT_EQ(g_handled, 0);
  }
  usleep(1);  // the thread sanitizer holds handlers back itself, until a call that it knows to wait
  EXPECT_EQ(g_handled, 1);
}

TEST_F(SpinLockTest, SignalsBlockedBeforeStayBlocked) {
  sigset_t usr1, before, after;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, &before);
  { SpinLockHolder holder(lock_); }
  pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_TRUE(sigismember(&after, SIGUSR1));
  EXPECT_FALSE(sigismember(&after, SIGUSR2));
}

TEST_F(SpinLockTest, AFaultInALockedSectionReachesTheProgramsHandler) {
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { g_handled = g_handled + 1; };
  sigaction(SIGTRAP, &action, &before);
  {
    SpinLockHolder holder(lock_);
    raise(SIGTRAP);  // blocked and raised by an instruction, it would kill
    EXPECT_EQ(g_handled, 1);
  }
  sigaction(SIGTRAP, &before, nullptr);
}

TEST_F(SpinLockTest, AThreadThatHoldsTheLockDoesNotWaitForItself) {
  SpinLockHolder outer(lock_);
  {
    SpinLockHolder inner(lock_);
    EXPECT_FALSE(inner.held());
  }
  EXPECT_FALSE(lock_.TryEnter()) << "the inner holder let go of a lock that was not its own";
}

TEST_F(SpinLockTest, OnlyOneThreadIsInside) {
  int64_t count = 0;  // not atomic: the lock is what keeps it right
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5000; ++j) {
        SpinLockHolder holder(lock_);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 20000);
}

TEST_F(SpinLockTest, AWaiterOfRealTimePriorityLetsTheHolderFinish) {
  cpu_set_t all, one;
  sched_getaffinity(0, sizeof all, &all);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);  // one processor for both
  auto holder = std::make_unique<SpinLockHolder>(lock_);
  std::optional<bool> got;
  uint64_t used_ns = 0;
  std::thread urgent([&] {
    const sched_param priority = {.sched_priority = 1};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0) return;
    SpinLockHolder waiting(lock_);
    got = waiting.held();
    used_ns = ThreadCpuNow();
  });
  // By now it waits, and if it only yielded it would keep the processor until the kernel's throttle, near a second.
  usleep(20'000);
  holder.reset();
  urgent.join();
  sched_setaffinity(0, sizeof all, &all);
  if (!got) GTEST_SKIP() << "no right to real-time priority";
  EXPECT_TRUE(*got);
  EXPECT_LT(used_ns, 500'000'000u) << "processor time";
}

}  // namespace
}  // namespace allocline
