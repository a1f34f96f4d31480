// A lock for the tracer's rare paths (growing a table, registering a module), safe against what breaks a mutex inside
// malloc.
//
// Signals: a SpinLockHolder blocks them all on its thread, but for those that the thread's own instructions raise. So
// no handler runs in the middle of a locked section, and none can leave it by longjmp, by pthread_exit or by never
// returning (a garbage collector stops the world that way) while other threads wait for the lock. Waiting for a system
// call inside is not cut short by EINTR either. A fault inside finds TryEnter() false instead of waiting for itself.
// Fork while another thread holds it: the child, which has one thread, calls Reset().
//
// Acquire in TryEnter pairs with the release in Leave.
#ifndef ALLOCLINE_BASE_SPIN_LOCK_H_
#define ALLOCLINE_BASE_SPIN_LOCK_H_

#include <signal.h>
#include <time.h>

#include <atomic>

#include "base/raw_syscall.h"

namespace allocline {

// A signal set of the kernel with `signal` alone.
constexpr uint64_t SignalBit(int signal) { return uint64_t{1} << (signal - 1); }

// Holds back signals on this thread. Context: async-signal-safe, no errno.
class SignalsBlocked {
 public:
  SignalsBlocked() { SetMask(kBlocked, &before_); }
  ~SignalsBlocked() { SetMask(before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  // To block those that an instruction raises would turn the program's handler for them into its death.
  static constexpr uint64_t kBlocked =
      ~(SignalBit(SIGSEGV) | SignalBit(SIGBUS) | SignalBit(SIGILL) | SignalBit(SIGFPE) | SignalBit(SIGTRAP) |
        SignalBit(SIGSYS) | SignalBit(SIGABRT));

  static void SetMask(uint64_t mask, uint64_t* before) {
    sys::Call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask), reinterpret_cast<long>(before),
              sizeof mask);
  }

  uint64_t before_ = 0;
};

class SpinLock {
 public:
  // False only if this very thread holds the lock already. Call with signals blocked: see SpinLockHolder.
  bool TryEnter() {
    const int self = sys::GetTid();
    int owner = 0;
    for (int spins = 0;
         !owner_.compare_exchange_weak(owner, self, std::memory_order_acquire, std::memory_order_relaxed); ++spins) {
      if (owner == self) return false;
      owner = 0;
      Wait(spins);
    }
    return true;
  }
  void Leave() { owner_.store(0, std::memory_order_release); }
  void Reset() { owner_.store(0, std::memory_order_relaxed); }

 private:
  // Yields at first; then sleeps, for a thread of real-time priority would not yield to a holder of lesser priority.
  static void Wait(int spins) {
    if (spins < 64) {
      sys::Yield();
      return;
    }
    const timespec pause = {0, 100'000};
    sys::Call(SYS_nanosleep, reinterpret_cast<long>(&pause), 0);
  }

  std::atomic<int> owner_{0};
};

class SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock& lock) : lock_(lock), held_(lock.TryEnter()) {}
  ~SpinLockHolder() {
    if (held_) lock_.Leave();
  }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;
  bool held() const { return held_; }

 private:
  const SignalsBlocked signals_blocked_;  // first in, last out
  SpinLock& lock_;
  const bool held_;
};

}  // namespace allocline

#endif  // ALLOCLINE_BASE_SPIN_LOCK_H_
