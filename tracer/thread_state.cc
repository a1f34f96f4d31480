#include "tracer/thread_state.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/pages.h"

namespace allocline {
namespace {

using format::TableKind;
using format::ThreadRecord;

void Sleep(long ns) {
  const timespec pause = {0, ns};
  sys::Call(SYS_nanosleep, reinterpret_cast<long>(&pause), 0);
}

bool ThreadIsGone(int tid) { return tid == sys::GetTid() || sys::Call(SYS_tgkill, sys::GetPid(), tid, 0) == -ESRCH; }

// A thread that waits for a processor may take long: one that was stopped, or has used up its container's share. What
// is abandoned in the few instructions of a taking is rarer than that; and the thread's next free ends it.
void WaitForEventInProgress(const ThreadState& state) {
  constexpr int kYields = 64;
  constexpr long kSleepNs = 100'000;
  constexpr int kSleepsForTaking = 100'000, kSleepsForGate = 10'000;  // 10 s, 1 s
  for (int looks = 0;; ++looks) {
    const bool taking = LoadAcquire(state.taking) != 0;
    if (!taking && LoadAcquire(state.gate) != Gate::kInside) return;
    if (looks < kYields) {
      sys::Yield();
      continue;
    }
    if (looks >= kYields + (taking ? kSleepsForTaking : kSleepsForGate) || ThreadIsGone(LoadRelaxed(state.tid))) return;
    Sleep(kSleepNs);
  }
}

}  // namespace

void ThreadStates::InitAfterFork() {
  ended_lock_.Reset();
  all_.store(nullptr, std::memory_order_relaxed);
  ended_ = nullptr;  // the parent's states are wiped; their pages stay behind
  private_bytes_.store(0, std::memory_order_relaxed);
}

void ThreadStates::Wipe() {
  for (ThreadState* state = all_.load(std::memory_order_relaxed); state != nullptr;) {
    ThreadState* next = state->next;
    memset(static_cast<void*>(state), 0, sizeof *state);
    state = next;
  }
}

ThreadState* ThreadStates::Acquire(format::ThreadKind kind) {
  ThreadState* state = kind == format::ThreadKind::kThread ? TakeEnded() : nullptr;
  if (state == nullptr) {
    bool wiped = true;
    state = static_cast<ThreadState*>(MapPagesWipedOnFork(sizeof(ThreadState), &wiped));
    if (!wiped) wiped_on_fork_.store(false, std::memory_order_relaxed);
    if (state == nullptr) return nullptr;
    auto* record = static_cast<ThreadRecord*>(recording_->Reserve(TableKind::kThreads, sizeof(ThreadRecord)));
    if (record == nullptr) {
      UnmapPages(state, sizeof(ThreadState));
      return nullptr;
    }
    private_bytes_.fetch_add(RoundUpToPage(sizeof(ThreadState)) - StackPredictor::kRingBytes,
                             std::memory_order_relaxed);
    state->record = record;
    state->record_index =
        static_cast<uint32_t>(record - reinterpret_cast<ThreadRecord*>(recording_->base(TableKind::kThreads)));
    state->counters.Init(state->record_index);
    // The peak of the epoch we are in counts from the first event on. (A header that changes it meanwhile voids it.)
    StoreRelaxed(record->peak_epoch, LoadRelaxed(recording_->header().peak_epoch));
    StoreRelease(record->kind, static_cast<uint32_t>(kind));
    if (kind == format::ThreadKind::kThread) {
      state->next = all_.load(std::memory_order_relaxed);
      // Release: who finds the state finds its `next`. Pairs with the acquire in WaitForEventsInProgress().
      while (!all_.compare_exchange_weak(state->next, state, std::memory_order_release, std::memory_order_relaxed)) {
      }
    }
  }
  state->tid = sys::GetTid();
  state->stack.Forget();
  StoreRelaxed(state->record->tid, state->tid);
  AddRelaxed(state->record->threads_served, 1u);
  RefreshName(state);
  state->timer.Start(static_cast<uint32_t>(state->tid));
  state->usual_frees = state->timer.FreesUntilAttentive();
  state->gate = Gate::kOpen;
  return state;
}

uint64_t ThreadStates::private_bytes() const {
  uint64_t bytes = private_bytes_.load(std::memory_order_relaxed);
  // Acquire: as in WaitForEventsInProgress().
  for (const ThreadState* state = all_.load(std::memory_order_acquire); state != nullptr; state = state->next) {
    bytes += state->predictor.ring_bytes();
  }
  return bytes;
}

void ThreadStates::Release(ThreadState* state) {
  RefreshName(state);
  SpinLockHolder lock(ended_lock_);
  if (!lock.held()) return;  // in a signal handler inside TakeEnded(): the state is not handed on
  state->next_ended = ended_;
  ended_ = state;
}

ThreadState* ThreadStates::TakeEnded() {
  SpinLockHolder lock(ended_lock_);
  if (!lock.held()) return nullptr;
  int looked_at = 0;
  for (ThreadState** link = &ended_; *link != nullptr && looked_at < 16; link = &(*link)->next_ended, ++looked_at) {
    ThreadState* state = *link;
    if (!ThreadIsGone(state->tid)) continue;
    *link = state->next_ended;
    return state;
  }
  return nullptr;
}

// Dekker's pattern with its two halves of unequal cost: an event stores its mark and then looks whether it may go on
// (with no fence between: it runs a billion times), we have stored that it may not and then look at the marks. The
// kernel makes the fence for both, by running one on each processor that runs a thread of ours (membarrier(2)); one
// that runs none had one when it last changed threads. So one of the two sees the other's store. A state that is not
// on the list yet is added to it by a locked instruction, after which its thread looks.
//
// A kernel that will not do it (an old one, a sandbox) leaves the event's store in its processor's buffer while it
// looks; buffers drain within microseconds, and we sleep a thousand of them.
//
// Each state has a patience of its own, or one that was abandoned would use up what the next needs; and it is measured
// in looks, for while we ourselves wait for a processor, no time passes in which the other might have gone on.
void ThreadStates::WaitForEventsInProgress(const ThreadState* self) const {
  long fenced = sys::Call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
  if (fenced == -EPERM) {  // not registered for it yet
    sys::Call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
    fenced = sys::Call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
  }
  if (sys::IsError(fenced)) Sleep(1'000'000);
  for (const ThreadState* state = all_.load(std::memory_order_acquire); state != nullptr; state = state->next) {
    if (state != self) WaitForEventInProgress(*state);
  }
}

void ThreadStates::RefreshName(ThreadState* state) {
  char name[16] = {};
  if (sys::IsError(sys::Call(SYS_prctl, PR_GET_NAME, reinterpret_cast<long>(name)))) return;
  for (int i = 0; i < 16; ++i) StoreRelaxed(state->record->name[i], name[i]);
}

}  // namespace allocline
