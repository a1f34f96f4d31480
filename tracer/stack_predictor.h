// Guesses the next stack of a thread before it is unwound.
//
// Programs repeat themselves. In sqlite3, redis, a JSON parser and cc1plus nine of ten stacks differ from the one
// before in half a dozen frames, but 99.9, 99.9, 100 and 80 % of those are one of the last two that came after the same
// stack with the hook's frame at the same place: the guess by *succession*. Where a program takes its ways at random,
// but over and over, the guess by *places* helps: the stack that was there the last time when the words were the same
// where the innermost return addresses of the last stack lay. A guess is compared with the stack word by word
// (StackCache::Become), which proves it or not, and costs a fifth of unwinding those frames and finding their nodes.
//
// The tops of stacks that had to be unwound are written to a ring; a set of two for each situation says where. What is
// overwritten is recognised by its position. Where guesses are seldom right, the other kind is tried, and then none for
// a while.
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
  // What the stack after that of `before` is, if a guess is right: then it is the last one of `stack`.
  __attribute__((always_inline)) const InternedStack* Find(NodeId before, const HookFrame* hook, StackCache* stack) {
    set_ = 0;
    // Relaxed: as in StackCache::IsSame(). What was learnt or kept before other code came is no proof.
    const uint32_t epoch = g_code_epoch.load(std::memory_order_relaxed);
    if (__builtin_expect(asleep_ != 0 || epoch_plus_one_ != epoch + 1 || stack->code_epoch() != epoch, 0)) {
      return Rest();
    }
    const uint64_t key = by_places_ ? stack->HashOfPlaces(hook)
                                    : (uint64_t{before} << 32 ^ AddressOf(hook)) + hook->return_address * kOdd;
    set_ = static_cast<uint32_t>(key * kOdd >> (64 - kSetBits));
    uint32_t* const set = sets_[set_];
    if (IsThere(set[0]) && stack->Become(At(set[0])->top, hook)) return Right(At(set[0]));
    if (IsThere(set[1]) && stack->Become(At(set[1])->top, hook)) {
      const uint32_t right = set[1];
      set[1] = set[0];
      set[0] = right;
      return Right(At(right));
    }
    return Wrong();
  }

  // The stack came out as `interned`, plain and labelled, with `fresh` frames that the one before had not.
  void Learn(const StackCache& stack, uint32_t fresh, const InternedStack& interned) {
    if (__builtin_expect(epoch_plus_one_ != stack.code_epoch() + 1, 0)) return Clear(stack.code_epoch());
    if (set_ == 0 || fresh > kMostFrames) return;
    // By places, it may come after any stack.
    const uint32_t count = by_places_ ? stack.CountForTop(fresh, StackCache::kHashedPlaces + 1) : fresh;
    const uint32_t units =
        static_cast<uint32_t>((sizeof(InternedStack) + StackCache::TopBytes(count) + kUnit - 1) / kUnit);
    uint32_t position = next_;
    if (__builtin_expect(kUnits - position % kUnits < units, 0)) position += kUnits - position % kUnits;
    if (__builtin_expect(position > ~uint32_t{0} - 2 * kUnits, 0)) return Clear(stack.code_epoch());
    // First: what stood where we write now IsThere() no more.
    StoreRelaxed(next_, position + units);
    Guess* guess = At(position);
    guess->interned = interned;
    stack.DescribeTop(count, &guess->top);
    uint32_t* const set = sets_[set_];
    set[1] = set[0];
    set[0] = position;
  }

  static constexpr uint64_t kRingBytes = 256 << 10;
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
  static constexpr uint64_t kOdd = 0x9E3779B97F4A7C15u;  // Fibonacci hashing
  static constexpr int kSetBits = 10;
  // A right guess earns one, a wrong one costs: below three of four, guessing and learning costs what it saves
  // (cc1plus). When nothing is left, the other kind is tried, and then none.
  static constexpr int32_t kCost = 3;
  static constexpr int32_t kMostCredit = 4096;
  static constexpr int32_t kCreditAfterRest = 512;
  static constexpr uint32_t kRest = 8192;

  static uintptr_t AddressOf(const HookFrame* hook) { return reinterpret_cast<uintptr_t>(hook); }
  // Positions count on and on; the last kUnits of them are in the ring. 0 is none.
  bool IsThere(uint32_t position) const { return position != 0 && next_ - position <= kUnits; }
  Guess* At(uint32_t position) { return reinterpret_cast<Guess*>(ring_ + uint64_t{position % kUnits} * kUnit); }

  const InternedStack* Right(const Guess* guess) {
    credit_ += credit_ < kMostCredit ? 1 : 0;
    return &guess->interned;
  }
  const InternedStack* Wrong() {
    if (__builtin_expect((credit_ -= kCost) < 0, 0)) {
      asleep_ = by_places_ ? kRest : 0;
      by_places_ = !by_places_;
      credit_ = kMostCredit / 2;
    }
    return nullptr;
  }
  __attribute__((noinline)) const InternedStack* Rest() {
    if (asleep_ != 0 && --asleep_ == 0) credit_ = kCreditAfterRest;
    return nullptr;
  }
  __attribute__((noinline)) void Clear(uint32_t code_epoch) {
    for (auto& set : sets_) set[0] = set[1] = 0;
    StoreRelaxed(next_, 1u);
    credit_ = kMostCredit;
    epoch_plus_one_ = code_epoch + 1;
    asleep_ = 0;
    by_places_ = false;
  }

  uint32_t asleep_;  // for so many stacks
  bool by_places_;
  uint32_t set_;             // of the last guess; 0: none was made (set 0 is not learnt in)
  uint32_t epoch_plus_one_;  // code epoch of what is in the ring; 0: nothing ever was
  int32_t credit_;
  uint32_t next_;  // position
  uint32_t sets_[1 << kSetBits][2];
  alignas(16) unsigned char ring_[kRingBytes];
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_STACK_PREDICTOR_H_
