// A stack of the tracer's own, for the few things that take more of it than the program may have left: libunwind (up to
// 9 KiB), and the reading of /proc and cgroup files (4 KiB). A signal handler on an alternate stack of 8 KiB, as
// SIGSTKSZ had it for decades, has less than that, and so has many a fiber.
//
// A thread has one. It is mapped when it is first needed, with nothing below it.
//
// Threads: its own. Context: inside malloc; signals wait during a call: a handler would run on these pages, or, if it
//          has an alternate stack from which we were called, over the frames there.
#ifndef ALLOCLINE_TRACER_OWN_STACK_H_
#define ALLOCLINE_TRACER_OWN_STACK_H_

#include <cstdint>

#include "base/spin_lock.h"

namespace allocline {

// function(argument), with the stack pointer at `top`. For an unwinder, a frame between two others.
void CallOnStack(void (*function)(void* argument), void* argument, void* top);

// Lies in zeroed memory.
class OwnStack {
 public:
  // body(), there; or on the stack of the caller, if there is no memory for ours. Not from inside another call.
  template <typename Body>
  void Call(Body body) {
    const SignalsBlocked signals_blocked;
    void* const top = __builtin_expect(top_ != nullptr, 1) ? top_ : Map();
    if (__builtin_expect(top == nullptr, 0)) return body();
    CallOnStack([](void* argument) { (*static_cast<Body*>(argument))(); }, &body, top);
  }

  // Of all threads.
  static uint64_t private_bytes();
  // In a forked child, whose states are wiped.
  static void ForgetAll();

 private:
  void* Map();

  void* top_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_OWN_STACK_H_
