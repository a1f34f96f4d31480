// Interrupts code at any chosen instruction, as a signal, a fork or a look from outside would: what a timer finds once
// in a billion runs is found here in the first.
//
//   RecordTrace(action, &trace);                     runs it in single steps and notes every instruction
//   ForEachPoint(trace, [](Point point) { ... });    the instructions at which a signal could have arrived
//   InterruptAt(point, action, interrupt);           runs it at full speed up to there, and on from there
//   LookAtEveryInstruction(action, look);            runs it in single steps, with a look at the world before each
//
// A recorded trace costs a trap for each instruction (the processor's trap flag), an interruption one for each visit of
// its point (a breakpoint written over the instruction). Where the code holds back signals, none could come: such
// instructions are no points.
//
// Threads: one user at a time in a process. Context: neither handler allocates, so this works inside malloc itself.
// x86-64 only: elsewhere traces are empty.
#ifndef ALLOCLINE_TESTS_SUPPORT_SINGLE_STEP_H_
#define ALLOCLINE_TESTS_SUPPORT_SINGLE_STEP_H_

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#include "../../base/raw_syscall.h"

namespace allocline::testing {

struct Point {
  uintptr_t instruction;
  uint32_t visit;  // how often the instruction was come to before
};

struct Trace {
  static constexpr uintptr_t kSignalsHeldBack = uintptr_t{1} << 63;
  static constexpr int kMost = 1 << 19;
  int count = 0;  // kMost: there were more
  uintptr_t instructions[kMost];
};

namespace single_step_internal {

#if defined(__x86_64__)
inline constexpr greg_t kTrapFlag = 0x100;
#endif

inline struct {
  bool stepping;
  Trace* trace;
  void (*call)(void*);  // the look, or the interruption
  void* argument;
  Point point;
  uint32_t visits;
  unsigned char original;  // what the breakpoint stands on
  bool stepping_over, interrupted;
} state;

inline void Require(bool condition) {
  if (!condition) abort();
}

inline bool HoldsBackSignals(const ucontext_t* context) {
  // One stands for all: our locks block all or none.
  return (context->uc_sigmask.__val[0] >> (SIGALRM - 1) & 1) != 0;
}

// The kernel's own code in our address space (vdso) cannot be written to.
inline bool MakeCodeWritable(uintptr_t instruction) {
  // No function of libc, nor errno: the breakpoint may stand in it.
  const uintptr_t page = instruction & ~uintptr_t{4095};
  return sys::Call(SYS_mprotect, static_cast<long>(page), 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}

inline void WriteCode(uintptr_t instruction, unsigned char byte) {
  Require(MakeCodeWritable(instruction));
  *reinterpret_cast<volatile unsigned char*>(instruction) = byte;
}

inline void OnTrap(int, siginfo_t*, void* argument) {
#if defined(__x86_64__)
  auto* context = static_cast<ucontext_t*>(argument);
  greg_t& next = context->uc_mcontext.gregs[REG_RIP];
  greg_t& flags = context->uc_mcontext.gregs[REG_EFL];
  if (state.stepping) {
    if (state.trace != nullptr && state.trace->count < Trace::kMost) {
      const uintptr_t held_back = HoldsBackSignals(context) ? Trace::kSignalsHeldBack : 0;
      state.trace->instructions[state.trace->count++] = static_cast<uintptr_t>(next) | held_back;
    }
    if (state.call != nullptr) state.call(state.argument);
  } else if (state.stepping_over) {
    state.stepping_over = false;
    flags &= ~kTrapFlag;
    WriteCode(state.point.instruction, 0xcc);
  } else {  // the breakpoint, one byte behind us
    --next;
    WriteCode(state.point.instruction, state.original);
    if (state.visits++ < state.point.visit) {
      state.stepping_over = true;  // one step on, and the breakpoint comes back
      flags |= kTrapFlag;
    } else {
      state.interrupted = true;
      state.call(state.argument);
    }
  }
#else
  (void)argument;
#endif
}

class TrapHandler {
 public:
  TrapHandler() {
    struct sigaction action = {};
    action.sa_sigaction = OnTrap;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    Require(sigaction(SIGTRAP, &action, &before_) == 0);
  }
  ~TrapHandler() { sigaction(SIGTRAP, &before_, nullptr); }

 private:
  struct sigaction before_;
};

// One body of the action's code, however it is run: its instructions are the same then.
template <typename Action>
__attribute__((noinline)) void Call(Action& action) {
  action();
}

// With `state` told what to do.
template <typename Action>
void RunInSteps(Action& action) {
#if defined(__x86_64__)
  state.stepping = true;
  TrapHandler handler;
  asm volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
  Call(action);
  asm volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                   : "memory", "cc");
#else
  Call(action);
#endif
}

}  // namespace single_step_internal

template <typename Action>
void RecordTrace(Action action, Trace* trace) {
  trace->count = 0;
  single_step_internal::state = {};
  single_step_internal::state.trace = trace;
  single_step_internal::RunInSteps(action);
}

template <typename Action, typename Look>
void LookAtEveryInstruction(Action action, Look look) {
  single_step_internal::state = {};
  single_step_internal::state.call = [](void* argument) { (*static_cast<Look*>(argument))(); };
  single_step_internal::state.argument = &look;
  single_step_internal::RunInSteps(action);
}

// Calls visit(point) for each instruction of the trace: when it runs for the first time, and, if it runs often, once
// more in the middle of that.
template <typename Visitor>
void ForEachPoint(const Trace& trace, Visitor visit) {
  for (int i = 0; i < trace.count; ++i) {
    const uintptr_t instruction = trace.instructions[i] & ~Trace::kSignalsHeldBack;
    uint32_t before = 0, visits = 0;
    for (int j = 0; j < trace.count; ++j) {
      if ((trace.instructions[j] & ~Trace::kSignalsHeldBack) != instruction) continue;
      before += j < i;
      ++visits;
    }
    if ((trace.instructions[i] & Trace::kSignalsHeldBack) != 0) continue;
    if (before == 0 || before == visits / 2) visit(Point{instruction, before});
  }
}

// Calls action(), and interrupt() in its middle, in a signal handler; it may leave by longjmp, or never return. False:
// the action did not come to the point.
template <typename Action, typename Interrupt>
bool InterruptAt(Point point, Action action, Interrupt interrupt) {
  using namespace single_step_internal;
  state = {};
  state.point = point;
  state.call = [](void* argument) { (*static_cast<Interrupt*>(argument))(); };
  state.argument = &interrupt;
  TrapHandler handler;
  if (!MakeCodeWritable(point.instruction)) {
    Call(action);
    return false;
  }
  state.original = *reinterpret_cast<unsigned char*>(point.instruction);
  WriteCode(point.instruction, 0xcc);
  Call(action);
  if (!state.interrupted) WriteCode(point.instruction, state.original);
  return state.interrupted;
}

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_SINGLE_STEP_H_
