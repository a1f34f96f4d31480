// Verified prefix reuse: taking a stack at the price of its changed frames, and of one comparison for each of the
// others.
//
// The problem. Unwinding a stack of 64 frames costs hundreds of nanoseconds even with compiled unwind rows, because
// each step waits for the load of the one before. Yet between two allocations of a thread most of the stack is the
// same.
//
// The idea. Keep the last stack as an array of frames, outermost first: where the return address lay, its value, and
// the rbp that held there. For the next event, step outward from the hook until a frame's return address lies where a
// kept one lay, with the same value. From that *joint* on do not unwind; only read the slots of all frames further out,
// which are independent loads, and compare.
//
//     kept:  main  parse  value  string  alloc          now:  main  parse  value  number  alloc
//            [==== still the same =====]                                          joint: value
//                                                             stepped: alloc, number; compared: value, parse, main
//
// Why that is right. The unwinder is a function: the state of a frame (pc, sp, and rbp where the row asks for it) and
// the words it loads decide the state of the next. If the state at the joint equals the kept one, and every word that
// unwinding from there would load equals the kept word, then, going outward one frame at a time, every further state is
// equal too, and a full unwind would give what is kept. sp is equal because the slot's address is. pc is equal because
// its value is. rbp matters only where a row computes the CFA from it, or passes it on unsaved to a frame that does:
// `needs_rbp`; there it is compared, at the joint itself and, further out, as the word it was loaded from. So for
// frames compiled without frame pointers one comparison a frame is the whole proof.
//
// It must survive:
//   - a return address that changed while everything inside it coincides (f calls g from two places): all further slots
//     are compared, never the joint alone;
//   - a mismatch further out: the kept rbp of frames whose rbp was not compared may be stale, so stepping resumes from
//     the true state at the joint, never from a kept one, and the frames from the mismatch inward cannot be joints
//     again;
//   - slots beyond a mismatch: they may lie on a stack that is gone (a freed fiber). The comparison stops at the first
//     difference;
//   - rbp as a general register, alloca and realigned stacks: by the row's kind;
//   - longjmp, exceptions, coroutines, swapcontext: nothing is remembered about calls and returns, only about memory,
//   and
//     that is compared each time. Another stack has other addresses: no joint;
//   - a stack unmapped and mapped again at the same place: compared like any other memory; and ReadableStack stands
//     between wrong unwind information and a fault;
//   - dlclose and other code at the same addresses: the rows are forgotten and so is the stack (code_epoch);
//   - a signal frame, a PLT stub, hand-written code: no simple row, and libunwind takes the whole stack;
//   - a signal handler that allocates in the middle of all this: the gate (tracer.h) keeps it out of the cache.
#ifndef ALLOCLINE_TRACER_UNWIND_CFI_H_
#define ALLOCLINE_TRACER_UNWIND_CFI_H_

#include <atomic>
#include <cstdint>

#include "recording/format.h"
#include "tracer/cfi_row.h"
#include "tracer/fault_points.h"
#include "tracer/readable_stack.h"

namespace allocline {

// The frame record of a hook: what __builtin_frame_address(0) points at.
struct HookFrame {
  uintptr_t caller_rbp;
  uintptr_t return_address;

  uintptr_t caller() const { return return_address; }
  uintptr_t slot() const { return reinterpret_cast<uintptr_t>(&return_address); }
};

// A stack, as far as it differs from the last one of the same StackCache.
struct TakenStack {
  uint32_t shared;               // outermost frames that are those of the last stack
  uint32_t left;                 // frames of the last stack further in than those
  uint32_t fresh;                // frames further in
  const uintptr_t* pcs;          // their return addresses, innermost first
  format::TruncationReason cut;  // why it is not whole; 0 if it is
};

// Raised by ForgetCode().
extern std::atomic<uint32_t> g_code_epoch;

// The last stack of a thread. Used by its thread only, with the gate closed. Lies in zeroed memory; Forget() comes
// first.
class StackCache {
 public:
  // Whether the calling thread's stack, from the hook's caller outward, is the last one again. False is no proof.
  bool IsSame(const HookFrame* hook) const {
    const uintptr_t top_differs = (top_.hook ^ reinterpret_cast<uintptr_t>(hook)) |
                                  (top_.return_address ^ hook->return_address) |
                                  ((top_.caller_rbp ^ hook->caller_rbp) & top_.rbp_mask);
    // Relaxed: code cannot go away under a frame of this very stack.
    if (top_differs != 0 || code_epoch_ != g_code_epoch.load(std::memory_order_relaxed)) return false;
    return __builtin_expect(FirstDifference(&Kept(depth_ - 1)) == &Kept(0), 1);
  }
  // The calling thread's stack from the hook's caller outward, which becomes the last one.
  TakenStack Take(const HookFrame* hook);
  // The next stack shares nothing with the last.
  void Forget() {
    depth_ = 0;
    ForgetTop();
    const uintptr_t barrier = reinterpret_cast<uintptr_t>(&slots_[0].address);
    slots_[0] = {barrier, ~barrier};  // its word is its own address, and never the inverse
  }
  // The next stack may share frames with the last, but is not to be the same.
  void ForgetTop() { top_.hook = 0; }

 private:
  struct Slot {
    uintptr_t address;
    uintptr_t value;
  };
  // A frame on the way: where its pc lay (the stack pointer in it is that address + 8), and where its rbp was saved
  // last, by the frame inside or one further in. What lies there is loaded only if the way outward depends on it.
  struct State {
    Slot return_address;
    uintptr_t rbp_place;
  };

  // The innermost kept frame, in the hook's words.
  struct Top {
    uintptr_t hook;  // 0: there is none, or a frame further out needs its rbp compared: that is left to Take()
    uintptr_t return_address;
    uintptr_t caller_rbp;
    uintptr_t rbp_mask;  // all ones if the way outward depends on it
  };

  static constexpr uint32_t kRoom = format::kMaxDepth;
  Slot& Kept(uint32_t i) { return slots_[1 + i]; }
  const Slot& Kept(uint32_t i) const { return slots_[1 + i]; }
  static uintptr_t Load(uintptr_t address) { return *reinterpret_cast<const volatile uintptr_t*>(address); }

  // How many of the frames further out than `joint`, counted from it outward, still are what they were: `joint` if all.
  uint32_t SameFurtherOut(uint32_t joint) const {
    if (joint == 0) return 0;
    if (__builtin_expect(AnyNeedsRbp(joint - 1), 0)) return SameFurtherOutWithRbp(joint);
    return static_cast<uint32_t>(&Kept(joint) - FirstDifference(&Kept(joint)));
  }
  // The slots further out than `s` are compared, from it outward. Gives the last that is what it was, Kept(0) if all
  // are: in front of that stands one that never is, so the search needs no count.
  //
  // One branch a frame, and never a load beyond a difference: what lies there may not be a stack any more. Predicted
  // branches let the loads overlap all the same.
  const Slot* FirstDifference(const Slot* s) const {
    for (;; s -= 4) {
      if (__builtin_expect(Load(s[-1].address) != s[-1].value, 0)) return s;
      if (__builtin_expect(Load(s[-2].address) != s[-2].value, 0) && !IsLeftOut(s - 2)) return s - 1;
      if (__builtin_expect(Load(s[-3].address) != s[-3].value, 0)) return s - 2;
      if (__builtin_expect(Load(s[-4].address) != s[-4].value, 0)) return s - 3;
    }
  }
  bool IsLeftOut(const Slot* s) const { return Faulty(Fault::kUncomparedSlot) && s != slots_; }
  uint32_t SameFurtherOutWithRbp(uint32_t joint) const;
  __attribute__((noinline)) bool StepByRbp(CfiRow row, State* state);
  TakenStack TakeByLibunwind(const HookFrame* hook);
  void Keep(uint32_t shared, uint32_t fresh, uintptr_t joint_rbp_place, bool uses_rbp);

  Top top_;
  static constexpr uint8_t kNeedsRbp = 1;     // the way outward from this frame depends on its rbp
  static constexpr uint8_t kAnyNeedsRbp = 2;  // that of this frame or of one further out does
  bool NeedsRbp(uint32_t frame) const { return (flags_[frame] & kNeedsRbp) != 0; }
  bool AnyNeedsRbp(uint32_t frame) const { return (flags_[frame] & kAnyNeedsRbp) != 0; }

  uint32_t depth_ = 0;
  uint32_t code_epoch_ = 0;
  ReadableStack readable_;
  // Frames [0, depth_), 0 = outermost.
  Slot slots_[1 + kRoom];  // return addresses, behind one that never is what it was: see Kept()
  uint8_t flags_[kRoom];
  Slot kept_rbp_[kRoom];  // of frames with kNeedsRbp. Address 0: it is that of the frame inside, not saved again
  // Frames stepped through for the current event, innermost first.
  State stepped_[kRoom];
  CfiRow rows_[kRoom];
  uintptr_t pcs_[kRoom + 32];
};

// Code was unloaded. Rows and kept stacks of all threads are void.
void ForgetCode();

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_UNWIND_CFI_H_
