#include "tracer/thread_state.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/pages.h"

namespace allocline {
namespace {

using format::TableKind;
using format::ThreadRecord;

bool ThreadIsGone(int tid) { return tid == sys::GetTid() || sys::Call(SYS_tgkill, sys::GetPid(), tid, 0) == -ESRCH; }

}  // namespace

void ThreadStates::InitAfterFork() {
  ended_lock_.Reset();
  ended_ = nullptr;  // the parent's states are wiped; their pages stay behind
  private_bytes_.store(0, std::memory_order_relaxed);
}

ThreadState* ThreadStates::Acquire(format::ThreadKind kind) {
  ThreadState* state = kind == format::ThreadKind::kThread ? TakeEnded() : nullptr;
  if (state == nullptr) {
    state = static_cast<ThreadState*>(MapPagesWipedOnFork(sizeof(ThreadState)));
    if (state == nullptr) return nullptr;
    auto* record = static_cast<ThreadRecord*>(recording_->Reserve(TableKind::kThreads, sizeof(ThreadRecord)));
    if (record == nullptr) {
      UnmapPages(state, sizeof(ThreadState));
      return nullptr;
    }
    private_bytes_.fetch_add(RoundUpToPage(sizeof(ThreadState)), std::memory_order_relaxed);
    state->record = record;
    state->record_index =
        static_cast<uint32_t>(record - reinterpret_cast<ThreadRecord*>(recording_->base(TableKind::kThreads)));
    state->counters.Init(state->record_index);
    // The peak of the epoch we are in counts from the first event on. (A header that changes it meanwhile voids it.)
    StoreRelaxed(record->peak_epoch, LoadRelaxed(recording_->header().peak_epoch));
    StoreRelease(record->kind, static_cast<uint32_t>(kind));
  }
  state->tid = sys::GetTid();
  state->stack.Forget();
  StoreRelaxed(state->record->tid, state->tid);
  AddRelaxed(state->record->threads_served, 1u);
  RefreshName(state);
  state->gate = Gate::kOpen;
  return state;
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

void ThreadStates::RefreshName(ThreadState* state) {
  char name[16] = {};
  if (sys::IsError(sys::Call(SYS_prctl, PR_GET_NAME, reinterpret_cast<long>(name)))) return;
  for (int i = 0; i < 16; ++i) StoreRelaxed(state->record->name[i], name[i]);
}

}  // namespace allocline
