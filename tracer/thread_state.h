// What the tracer knows of a thread: its gate, its counters, its last stack.
//
// A state is born at the thread's first event and lives in pages that fork wipes: a child finds every gate at kWiped
// and knows by that, even after a raw clone that ran no atfork handler. When a thread ends, its state goes on a list of
// ended ones (by a pthread key destructor) and is handed to a new thread, once the kernel says the old one is really
// gone: destructors that run after ours may still free. So the recording grows with the number of threads at once, not
// with the number there ever were. Threads that end without running key destructors (raw clone) keep theirs.
//
// Threads: a state is used by its thread, and by signal handlers on it. Others only look whether it is in the middle of
//          an event (WaitForEventsInProgress), at `gate` and `taking`.
#ifndef ALLOCLINE_TRACER_THREAD_STATE_H_
#define ALLOCLINE_TRACER_THREAD_STATE_H_

#include <cstdint>

#include "base/spin_lock.h"
#include "recording/format.h"
#include "recording/writer.h"
#include "tracer/event_timer.h"
#include "tracer/sampler.h"
#include "tracer/stack_predictor.h"
#include "tracer/thread_counters.h"
#include "tracer/unwind_cfi.h"

namespace allocline {

enum class Gate : uint32_t {
  kWiped = 0,  // fork happened: this state is of a thread of the parent
  kOpen = 1,
  kInside = 2,    // in the middle of an event: what arrives now is nested (a signal handler, or libc called by us)
  kIgnored = 3,   // ignore_this_thread(): allocations are not recorded; frees of recorded blocks are
  kSampled = 4,   // open, and blocks are sampled
  kInPython = 5,  // an allocator of Python is at work, for which its hook speaks: what arrives now is part of that
  kTimed = 6,     // open as `gate_behind` says, and one of the next events is timed (event_timer.h)
};

class PythonThread;

struct ThreadState {
  Gate gate;
  uint32_t taking;          // a block out of the pointer map: TakingMark
  const HookFrame* inside;  // where on the stack the event is that closed the gate
  uintptr_t inside_return_address;
  // Counted down at each free. Below zero a free has to look at the gate; else it is one of the usual way. That is any
  // but of a thread that samples, is attentive or wiped.
  int64_t usual_frees;
  format::ThreadRecord* record;
  ThreadCounters counters;
  void* allocated_underneath;  // kInPython: the block that malloc gave last
  PythonThread* python;        // null before the first event that asks for frames of Python
  Gate gate_behind;            // kOpen or kSampled, while the gate is kTimed
  EventTimer timer;
  int64_t last_share;  // what the thread published last (Tracer::Flush)
  uint32_t shares;     // so often it did
  uint32_t record_index;
  int tid;
  ThreadState* next;  // of all states of the process
  ThreadState* next_ended;
  format::Counter* counted;  // of site 0: blocks without a stack. Null while every block is recorded
  uint64_t publish_freed;    // its freed_bytes at which the thread's share is to be published
  Sampler sampler;
  InternedStack last;              // what `stack` is in the site table
  struct VerifyRoom* verify_room;  // of verify mode: made at the first stack it compares (verify.cc)
  StackCache stack;
  StackPredictor predictor;
};

// While one exists, its thread is between looking at a block's record and having taken it. (A handler that comes in
// between and frees something ends it too early; a clear() on another thread would have to come in that same moment.)
class TakingMark {
 public:
  explicit TakingMark(ThreadState* state) : state_(state) {
    StoreRelaxed(state_->taking, 1u);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);  // the other half of the barrier is in WaitForEventsInProgress()
  }
  // Release: who sees that it is over sees what was done. Pairs with the acquire in WaitForEventsInProgress().
  ~TakingMark() { StoreRelease(state_->taking, 0u); }
  TakingMark(const TakingMark&) = delete;
  TakingMark& operator=(const TakingMark&) = delete;

 private:
  ThreadState* state_;
};

// The states of a process.
class ThreadStates {
 public:
  void Init(RecordingWriter* recording) { recording_ = recording; }
  void InitAfterFork();
  // Where fork does not wipe the states (base/pages.h): in the child, before anything else.
  void Wipe();
  bool wiped_on_fork() const { return wiped_on_fork_.load(std::memory_order_relaxed); }

  // A state for a thread, made or handed on. Null: no memory, or no room in the recording.
  ThreadState* Acquire(format::ThreadKind kind);
  // The calling thread's state is no longer needed, but for what its last destructors still free.
  void Release(ThreadState* state);

  // Returns once every event has ended that was in progress on another thread, `self` being the calling one's state:
  // an event that begins later sees what was stored before the call. An event whose end never comes, because a signal
  // handler left it by longjmp, is waited for a second; for one that was taking a block, ten.
  void WaitForEventsInProgress(const ThreadState* self) const;

  static void RefreshName(ThreadState* state);
  // Without what of the predictors' rings was never used.
  uint64_t private_bytes() const;

 private:
  ThreadState* TakeEnded();

  RecordingWriter* recording_ = nullptr;
  std::atomic<ThreadState*> all_{nullptr};  // states are added, never removed
  SpinLock ended_lock_;
  ThreadState* ended_ = nullptr;  // guarded by ended_lock_
  std::atomic<uint64_t> private_bytes_{0};
  std::atomic<bool> wiped_on_fork_{true};
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_THREAD_STATE_H_
