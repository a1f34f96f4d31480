// A lock for the tracer's rare paths (growing a table, registering a module), safe against the two things that break a
// mutex inside malloc.
//
// A signal handler on the thread that holds it: TryEnter() sees its own thread id and gives up instead of waiting for
// itself; the caller then takes its fallback (counts a drop). Fork while another thread holds it: the child, which has
// one thread, calls Reset().
//
// Acquire in TryEnter pairs with the release in Leave.
#ifndef ALLOCLINE_BASE_SPIN_LOCK_H_
#define ALLOCLINE_BASE_SPIN_LOCK_H_

#include <atomic>

#include "base/raw_syscall.h"

namespace allocline {

class SpinLock {
 public:
  // False only if this very thread holds the lock already (we are in a signal handler).
  bool TryEnter() {
    const int self = sys::GetTid();
    int owner = 0;
    while (!owner_.compare_exchange_weak(owner, self, std::memory_order_acquire, std::memory_order_relaxed)) {
      if (owner == self) return false;
      owner = 0;
      sys::Yield();
    }
    return true;
  }
  void Leave() { owner_.store(0, std::memory_order_release); }
  void Reset() { owner_.store(0, std::memory_order_relaxed); }

 private:
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
  SpinLock& lock_;
  const bool held_;
};

}  // namespace allocline

#endif  // ALLOCLINE_BASE_SPIN_LOCK_H_
