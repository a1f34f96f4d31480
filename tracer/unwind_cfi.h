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
//   - rbp as a general register, alloca and realigned stacks: by the row's kind. A realigned frame (kLoadsCfa) keeps
//     its CFA in a word of its own. With the same rbp it can have been entered from another height, while the old
//     return address still lies in the gap: so that word is compared as well;
//   - longjmp, exceptions, coroutines, swapcontext: nothing is remembered about calls and returns, only about memory.
//     That is compared each time, and another stack has other addresses: no joint;
//   - a stack unmapped and mapped again at the same place: compared like any other memory; and ReadableStack stands
//     between wrong unwind information and a fault. What the program unmaps voids what is kept (ForgetReadable());
//   - dlclose and other code at the same addresses: the rows are forgotten and so is the stack (code_epoch);
//   - a signal frame, a PLT stub, hand-written code: no simple row, and libunwind takes the whole stack;
//   - wrong unwind information, or none (a JIT's code, a stack switched by hand): reads are bounded by ReadableStack.
//     A word that no call instruction stands before is not taken for a return address. The stack ends there, and is
//     marked as cut; the memory it led to is asked about again the next time;
//   - a signal handler that allocates in the middle of all this: the gate (tracer.h) keeps it out of the cache;
//   - a stack too deep for the room: what is kept of it begins further in, and stays where it begins while the stack
//     grows and shrinks. A joint says that all kept frames are what they were, and that there were more behind them;
//     so are they now. Where too few frames would be left, or too many, the stack is taken anew (kFewest, kAnew).
//
// By the same argument the frames further in than the joint need not be stepped through either, if somebody knows from
// before what they might be: Become() compares them, too, and stack_predictor.h does the guessing.
#ifndef ALLOCLINE_TRACER_UNWIND_CFI_H_
#define ALLOCLINE_TRACER_UNWIND_CFI_H_

#include <atomic>
#include <cstdint>

#include "recording/format.h"
#include "tracer/cfi_row.h"
#include "tracer/fault_points.h"
#include "tracer/own_stack.h"
#include "tracer/readable_stack.h"

namespace allocline {

// The frame record of a hook: what __builtin_frame_address(0) points at.
struct HookFrame {
  uintptr_t caller_rbp;
  uintptr_t return_address;

  uintptr_t caller() const { return return_address; }
  uintptr_t slot() const { return reinterpret_cast<uintptr_t>(&return_address); }
};

// A return address on the stack: where it lies, and what it is.
struct Slot {
  uintptr_t address;
  uintptr_t value;
};

// A frame of a kept stack.
struct KeptFrame {
  Slot return_address;
  uint32_t label;  // what the user of the cache wants to be told of this frame again: its node
  uint32_t flags;
};

// A stack, as far as it differs from the last one of the same StackCache.
struct TakenStack {
  uint32_t shared;               // outermost frames that are those of the last stack
  uint32_t fresh;                // frames further in
  KeptFrame* kept;               // those, outermost first, to be labelled; null if this stack is not kept
  const uintptr_t* pcs;          // if not: their return addresses, innermost first
  uint64_t path_hash;            // of their return addresses
  format::TruncationReason cut;  // why it is not whole; 0 if it is
  bool plain;                    // it joins the last stack, and rbp mattered neither there nor further in
};

// The inner part of a plain stack: what another stack has to agree with to have the same.
struct StackTop {
  uintptr_t hook;           // where the frame of the hook lay
  uintptr_t joint_address;  // where the return address of the frame further out lay,
  uint32_t joint_label;     // how that frame was labelled,
  uint32_t joint;           // and its index
  uint32_t count;           // of frames further in
  uint32_t reserved;
  // Outermost first. In front of them stands one that never is what it was: see StackCache::FirstDifference().
  const KeptFrame* frames() const { return reinterpret_cast<const KeptFrame*>(this + 1) + 1; }
};

// Of the return addresses of some frames, from the innermost outward. Source: Fibonacci hashing, chained.
constexpr uint64_t ExtendPathHash(uint64_t hash, uintptr_t pc) { return (hash + pc) * 0x9E3779B97F4A7C15u; }

// Raised by ForgetCode().
[[gnu::visibility("hidden")]] extern std::atomic<uint32_t> g_code_epoch;

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
  // Whether it is the last one with the frames of `top` further in than a joint. Then it becomes the last one. `top` is
  // of this cache, and of this code epoch. False is no proof.
  __attribute__((always_inline)) bool Become(const StackTop& top, const HookFrame* hook);
  // The calling thread's stack from the hook's caller outward, which becomes the last one.
  TakenStack Take(const HookFrame* hook);

  // A hash of the words that lie on the calling thread's stack where the innermost return addresses of the last one
  // lay, if it is known that they can be read.
  uint64_t HashOfPlaces(const HookFrame* hook) const {
    const uintptr_t slot = hook->slot();
    // Multiplied apart from each other, by odd numbers of no meaning, so that none waits for another.
    uint64_t hash = slot + hook->return_address * 0x9E3779B97F4A7C15u;
    if (__builtin_expect(depth_ < kHashedPlaces, 0)) return hash;
    const KeptFrame* const end = &Kept(depth_);
    // Places rise from frame to frame, so the nearest and the farthest tell of all.
    const uintptr_t nearest = end[-2].return_address.address, farthest = end[-4].return_address.address;
    if (nearest <= slot || farthest - slot > ReadableStack::RoomAbove(slot) - sizeof(uintptr_t)) return hash;
    hash += Load(nearest) * 0xD6E8FEB86659FD93u;
    hash += Load(end[-3].return_address.address) * 0xA0761D6478BD642Fu;
    hash += Load(farthest) * 0xE7037ED1A0B428DBu;
    return hash;
  }
  static constexpr uint32_t kHashedPlaces = 4;

  // How many frames a StackTop of the last stack can have, if not fewer than `least` are wanted and `most` at best.
  uint32_t CountForTop(uint32_t least, uint32_t most) const {
    uint32_t count = least;
    while (count < most && count + 1 < depth_ && (Kept(depth_ - 1 - count).flags & kNeedsRbp) == 0) ++count;
    return count;
  }
  // The innermost `count` frames of the last stack, which was plain. At `top` are TopBytes(count).
  void DescribeTop(uint32_t count, StackTop* top) const;
  static constexpr size_t TopBytes(uint32_t count) { return sizeof(StackTop) + (1 + count) * sizeof(KeptFrame); }

  // The next stack shares nothing with the last.
  void Forget() {
    ForgetFrames();
    ForgetTop();
    frames_[0] = Barrier(&frames_[0]);
  }
  // The next stack may share frames with the last, but is not to be the same.
  void ForgetTop() { top_.hook = 0; }
  uint32_t label(uint32_t frame) const { return Kept(frame).label; }
  // Of the last stack: where the return addresses of its frames lie, 0 = outermost. None if it is not kept.
  uint32_t depth() const { return depth_; }
  const Slot& frame(uint32_t i) const { return Kept(i).return_address; }
  uint32_t code_epoch() const { return code_epoch_; }
  OwnStack* own_stack() { return &own_stack_; }

 private:
  // A frame on the way: where its pc lay (the stack pointer in it is that address + 8), and where its rbp was saved
  // last, by the frame inside or one further in; 0 if one of those lost it. What lies there is loaded only if the way
  // outward depends on it: if it is lost, that way ends.
  struct State {
    Slot return_address;
    uintptr_t rbp_place;
  };

  // The innermost kept frame, in the hook's words.
  struct Top {
    uintptr_t hook;  // 0: there is none, or more than slots is to be compared, which IsSame() does not do
    uintptr_t return_address;
    uintptr_t caller_rbp;
    uintptr_t rbp_mask;  // all ones if the way outward depends on it
  };

  void ForgetFrames() {
    depth_ = 0;
    outermost_joint_ = &frames_[0];
  }

  static constexpr uint32_t kRoom = format::kMaxDepth;
  // Of a stack with more frames than kRoom so many are kept: at least, and when it is taken anew. So an event that
  // takes it anew is followed by many that do not.
  static constexpr uint32_t kFewest = format::kFewestOfTooDeep, kAnew = (kFewest + kRoom) / 2;
  KeptFrame& Kept(uint32_t i) { return frames_[1 + i]; }
  const KeptFrame& Kept(uint32_t i) const { return frames_[1 + i]; }
  static uintptr_t Load(uintptr_t address) { return *reinterpret_cast<const volatile uintptr_t*>(address); }
  // Its word is its own address, and never the inverse.
  static KeptFrame Barrier(const KeptFrame* at) {
    const uintptr_t place = reinterpret_cast<uintptr_t>(at);
    return {{place, ~place}, 0, 0};
  }

  // The slots of the frames further out than `f` are compared, from it outward. Gives the last frame that is what it
  // was, the outermost if all are: in front of that stands one that never is, so the search needs no count.
  //
  // One branch a frame, and never a load beyond a difference: what lies there may not be a stack any more. Predicted
  // branches let the loads overlap all the same.
  __attribute__((always_inline)) static const KeptFrame* FirstDifference(const KeptFrame* f) {
    for (;; f -= 4) {
      if (__builtin_expect(Load(f[-1].return_address.address) != f[-1].return_address.value, 0)) return f;
      if (__builtin_expect(Load(f[-2].return_address.address) != f[-2].return_address.value, 0) && !IsLeftOut(f[-2])) {
        return f - 1;
      }
      if (__builtin_expect(Load(f[-3].return_address.address) != f[-3].return_address.value, 0)) return f - 2;
      if (__builtin_expect(Load(f[-4].return_address.address) != f[-4].return_address.value, 0)) return f - 3;
    }
  }
  static bool IsLeftOut(const KeptFrame& f) {
    return Faulty(Fault::kUncomparedSlot) && f.return_address.value != ~f.return_address.address;
  }
  // The same for a kept frame, where rbp may matter further out.
  __attribute__((always_inline)) const KeptFrame* FirstDifferenceFurtherOut(const KeptFrame* f) const {
    return __builtin_expect((f->flags & kAnyNeedsRbp) == 0, 1) ? FirstDifference(f) : FirstDifferenceWithRbp(f);
  }
  __attribute__((noinline)) const KeptFrame* FirstDifferenceWithRbp(const KeptFrame* f) const;
  uint32_t IndexOf(const KeptFrame* f) const { return static_cast<uint32_t>(f - &Kept(0)); }

  TakenStack TakeWithRbp(const HookFrame* hook, const KeptFrame* kept, uint32_t fresh, Slot pc, uint64_t path_hash);
  uintptr_t NoteRbpPlaces(const HookFrame* hook, uint32_t fresh);
  bool Step(CfiRow row, State* state);
  bool IsSoundBeyondSignal(State state);
  TakenStack TakeByLibunwind(const HookFrame* hook, bool careful);
  TakenStack KeepAstray(const HookFrame* hook, uint32_t fresh, uint64_t path_hash, format::TruncationReason cut);
  TakenStack TakeAnew(const HookFrame* hook);
  TakenStack KeepTooDeep(const HookFrame* hook);
  static uint32_t CountSound(const uintptr_t* pcs, uint32_t depth, format::TruncationReason* cut);
  __attribute__((always_inline)) TakenStack Keep(const HookFrame* hook, uint32_t shared, uint32_t fresh,
                                                 uint64_t path_hash, format::TruncationReason cut);
  TakenStack KeepWithRbp(const HookFrame* hook, uint32_t shared, uint32_t fresh, uintptr_t joint_rbp_place,
                         uint64_t path_hash, format::TruncationReason cut);

  Top top_;
  static constexpr uint32_t kNeedsRbp = 1;     // the way outward from this frame depends on its rbp
  static constexpr uint32_t kAnyNeedsRbp = 2;  // that of this frame or of one further out does
  static constexpr uint32_t kLoadsCfa = 4;     // this frame's CFA is a word in memory (then kNeedsRbp, too)

  uint32_t depth_ = 0;
  uint32_t code_epoch_ = 0;
  ReadableStack readable_;
  OwnStack own_stack_;
  // What lies further out is no joint. Kept(kFewest - 1) if the stack goes on behind the outermost kept frame, else the
  // one in front of all.
  const KeptFrame* outermost_joint_ = nullptr;
  // Frames [0, depth_), 0 = outermost, behind one that never is what it was: see Kept().
  KeptFrame frames_[1 + kRoom];
  Slot kept_rbp_[kRoom];        // of frames with kNeedsRbp. Address 0: it is that of the frame inside, not saved again
  uintptr_t cfa_place_[kRoom];  // of frames with kLoadsCfa: where that word lies
  // Frames stepped through for the current event, innermost first.
  State stepped_[kRoom];
  uintptr_t pcs_[kRoom + 32];
};

// The frames of `top` are compared from the innermost outward: where one is what it was, the next slot is where the
// unwinder would look. So it would come to the joint's slot, too; the kept frame there, if it is of the same node, is
// the one with the same return address and the same frames further out, and those are compared as ever.
inline bool StackCache::Become(const StackTop& top, const HookFrame* hook) {
  if (top.hook != reinterpret_cast<uintptr_t>(hook)) return false;
  const KeptFrame* frames = top.frames();
  if (FirstDifference(frames + top.count) != frames || top.joint >= depth_) return false;
  KeptFrame* joint = &Kept(top.joint);
  if (joint->return_address.address != top.joint_address || joint->label != top.joint_label) return false;
  if (Load(top.joint_address) != joint->return_address.value || (joint->flags & kNeedsRbp) != 0) return false;
  if (FirstDifferenceFurtherOut(joint) != &Kept(0)) return false;
  const uint32_t flags = joint->flags;
  for (uint32_t i = 0; i < top.count; ++i) {
    joint[1 + i] = frames[i];
    joint[1 + i].flags = flags;
  }
  depth_ = top.joint + 1 + top.count;
  top_ = {.hook = __builtin_expect(flags == 0, 1) ? top.hook : 0,
          .return_address = hook->return_address,
          .caller_rbp = 0,
          .rbp_mask = 0};
  return true;
}

// Code was unloaded. Rows and kept stacks of all threads are void.
void ForgetCode();
// Memory was unmapped that g_relied_on holds. What was found readable is to be asked about again, and what is kept may
// lie there.
void ForgetReadable();

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_UNWIND_CFI_H_
