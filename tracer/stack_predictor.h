// Guesses the next stack of a thread before it is unwound: the one that came the last time after the same stack, with
// the hook's frame at the same place.
//
// Programs repeat themselves. In sqlite3, redis, a JSON parser and cc1plus nine of ten stacks differ from the one
// before by half a dozen frames, and 99.9, 99.9, 100 and 80 % of those are one of the last two that came in that
// situation. A guess is compared with the stack word by word (StackCache::Become), which proves it or not, and costs a
// tenth of unwinding those frames and finding their nodes.
//
// The tops of stacks that were unwound are written to a ring; a set of two for each {node of the stack before, place of
// the hook's frame} says where. What is overwritten is recognised by its position. Where guesses are seldom right, none
// are made for a while.
//
// Threads: one, and no signal handlers: the thread's gate is closed. Lies in zeroed memory.
#ifndef ALLOCLINE_TRACER_STACK_PREDICTOR_H_
#define ALLOCLINE_TRACER_STACK_PREDICTOR_H_

#include <cstdint>

#include "base/atomic.h"
#include "recording/format.h"
#include "tracer/site_table.h"
#include "tracer/unwind_cfi.h"

namespace allocline {

// What is known of a stack that was found in the site table.
struct InternedStack {
  format::Counter* counter;  // this thread's of the site; null if there was no room for it
  SiteId site;
  NodeId node;  // of its innermost frame
  uint32_t domain;
};

class StackPredictor {
 public:
  // What the stack after that of `before` is, if one of the guesses is right: then it is the last one of `stack`.
  __attribute__((always_inline)) const InternedStack* Find(NodeId before, const HookFrame* hook, StackCache* stack) {
    if (__builtin_expect(asleep_ != 0 || code_epoch_ != stack->code_epoch(), 0)) return Rest();
    uint32_t* const set = SetFor(before, hook);
    if (IsThere(set[0]) && stack->Become(At(set[0])->top, hook)) return Right(At(set[0]));
    if (IsThere(set[1]) && stack->Become(At(set[1])->top, hook)) {
      const uint32_t right = set[1];
      set[1] = set[0];
      set[0] = right;
      return Right(At(right));
    }
    Wrong();
    return nullptr;
  }

  // `taken`, plain and labelled, is what came after `before`.
  void Learn(NodeId before, const HookFrame* hook, const StackCache& stack, const TakenStack& taken,
             const InternedStack& interned) {
    if (asleep_ != 0 || taken.fresh > kMostFrames) return;
    if (__builtin_expect(code_epoch_ != stack.code_epoch(), 0)) Clear(stack.code_epoch());
    const uint32_t units =
        static_cast<uint32_t>((sizeof(InternedStack) + StackCache::TopBytes(taken.fresh) + kUnit - 1) / kUnit);
    if (__builtin_expect(kUnits - next_ % kUnits < units, 0)) StoreRelaxed(next_, next_ + kUnits - next_ % kUnits);
    if (__builtin_expect(next_ > ~uint32_t{0} - 2 * kUnits, 0)) Clear(stack.code_epoch());
    const uint32_t position = next_;
    StoreRelaxed(next_, next_ + units);
    Guess* guess = At(position);
    guess->interned = interned;
    stack.DescribeTop(taken.fresh, &guess->top);
    uint32_t* const set = SetFor(before, hook);
    set[1] = set[0];
    set[0] = position;
  }

  static constexpr uint64_t kRingBytes = 128 << 10;
  // How much of the ring was ever used. Any thread may ask.
  uint64_t ring_bytes() const {
    const uint32_t next = LoadRelaxed(next_);
    return next < kUnits ? uint64_t{next} * kUnit : kRingBytes;
  }

 private:
  struct Guess {
    InternedStack interned;
    StackTop top;
  };
  static constexpr uint32_t kMostFrames = 64;
  static constexpr uint32_t kUnit = 16;
  static constexpr uint32_t kUnits = kRingBytes / kUnit;
  static constexpr int kSetBits = 9;
  // A right guess earns, a wrong one costs; who has nothing left rests.
  static constexpr int32_t kEarned = 3;
  static constexpr int32_t kMostCredit = 2048;
  static constexpr int32_t kCreditAfterRest = 128;
  static constexpr uint32_t kRest = 4096;

  uint32_t* SetFor(NodeId before, const HookFrame* hook) {
    const uint64_t key = (uint64_t{before} << 32) ^ reinterpret_cast<uintptr_t>(hook);
    return sets_[key * 0x9E3779B97F4A7C15u >> (64 - kSetBits)];  // Fibonacci hashing
  }
  // Positions count on and on; the last kUnits of them are in the ring. 0 is none.
  bool IsThere(uint32_t position) const { return position != 0 && next_ - position <= kUnits; }
  Guess* At(uint32_t position) { return reinterpret_cast<Guess*>(ring_ + uint64_t{position % kUnits} * kUnit); }

  const InternedStack* Right(const Guess* guess) {
    credit_ = credit_ + kEarned > kMostCredit ? kMostCredit : credit_ + kEarned;
    return &guess->interned;
  }
  void Wrong() {
    if (__builtin_expect(--credit_ < 0, 0)) asleep_ = kRest;
  }
  __attribute__((noinline)) const InternedStack* Rest() {
    if (asleep_ != 0 && --asleep_ == 0) credit_ = kCreditAfterRest;
    return nullptr;
  }
  __attribute__((noinline)) void Clear(uint32_t code_epoch) {
    for (auto& set : sets_) set[0] = set[1] = 0;
    StoreRelaxed(next_, 1u);
    credit_ = kMostCredit;
    code_epoch_ = code_epoch;
  }

  uint32_t asleep_;      // for so many stacks
  uint32_t code_epoch_;  // of what is in the ring
  int32_t credit_;
  uint32_t next_;  // position; 0: nothing was ever learnt
  uint32_t sets_[1 << kSetBits][2];
  alignas(16) unsigned char ring_[kRingBytes];
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_STACK_PREDICTOR_H_
