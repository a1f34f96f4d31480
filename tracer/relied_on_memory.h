// Which memory the unwinder relies on: what it has found readable and will not ask about again.
//
// It is asked about once, and then read as often as an event needs it (readable_stack.h). When it is unmapped, all that
// was found and kept is void, on every thread: each has to take its stack anew. A program that maps and unmaps large
// blocks all the time (arenas, files, buffers) must not pay that for each of them. It pays for those that lie where
// somebody's stack did: the surroundings of stacks are noted here, in units of 64 KiB, and unmappings elsewhere change
// nothing.
//
// An open-addressing set of unit numbers. Nothing is ever taken out; when it is nearly full, all memory counts as
// relied on.
//
// Threads: any, signal handlers as well. Add() comes before the kernel is asked, MayHold() after it has unmapped: who
//          was told "readable" asked before that, so the unit is found.
#ifndef ALLOCLINE_TRACER_RELIED_ON_MEMORY_H_
#define ALLOCLINE_TRACER_RELIED_ON_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace allocline {

class ReliedOnMemory {
 public:
  void Add(uintptr_t address) {
    if (has_all_.load(std::memory_order_relaxed)) return;
    const uintptr_t unit = address >> kUnitBits;
    if (unit == 0 || unit > ~uint32_t{0}) return;  // no memory of a program is there
    const auto key = static_cast<uint32_t>(unit);
    uint32_t slot = SlotOf(key);
    for (uint32_t probe = 0; probe < kMostFilled; ++probe, slot = (slot + 1) % kSlots) {
      uint32_t present = units_[slot].load(std::memory_order_relaxed);
      // Sequentially consistent: it is seen by whoever unmaps after the kernel answered us.
      if (present == 0 && units_[slot].compare_exchange_strong(present, key, std::memory_order_seq_cst)) {
        if (filled_.fetch_add(1, std::memory_order_relaxed) + 1 == kMostFilled) {
          has_all_.store(true, std::memory_order_seq_cst);
        }
        return;
      }
      if (present == key) return;
    }
    has_all_.store(true, std::memory_order_seq_cst);
  }

  // Whether anything in [start, start + bytes) may be. Never false where something is.
  bool MayHold(uintptr_t start, size_t bytes) const {
    const uintptr_t first = start >> kUnitBits, last = (start + (bytes == 0 ? 0 : bytes - 1)) >> kUnitBits;
    if (last < first || last > ~uint32_t{0} || last - first >= kMostUnits) return true;
    if (has_all_.load(std::memory_order_seq_cst)) return true;
    for (uintptr_t unit = first; unit <= last; ++unit) {
      if (Holds(static_cast<uint32_t>(unit))) return true;
    }
    return false;
  }

 private:
  static constexpr int kUnitBits = 16;
  static constexpr int kSlotBits = 11;
  static constexpr uint32_t kSlots = 1u << kSlotBits;
  static constexpr uint32_t kMostFilled = kSlots / 4 * 3;
  static constexpr uintptr_t kMostUnits = 4096;  // 256 MiB: to unmap that takes long enough without us

  static uint32_t SlotOf(uint32_t unit) { return unit * 0x9E3779B9u >> (32 - kSlotBits); }  // Fibonacci hashing
  bool Holds(uint32_t unit) const {
    for (uint32_t slot = SlotOf(unit);; slot = (slot + 1) % kSlots) {
      const uint32_t present = units_[slot].load(std::memory_order_relaxed);
      if (present == unit) return unit != 0;
      if (present == 0) return false;
    }
  }

  std::atomic<uint32_t> units_[kSlots] = {};
  std::atomic<uint32_t> filled_{0};
  std::atomic<bool> has_all_{false};
};

inline constinit ReliedOnMemory g_relied_on;

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_RELIED_ON_MEMORY_H_
