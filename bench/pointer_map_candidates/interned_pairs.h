// Candidate: 4 bytes per 32-byte granule, the id of an interned (site, size). glibc starts no two blocks in a granule;
// the highest bit says in which half this one starts.
//
// Not in the product because each event looks into the table of pairs too, which a program of many sites and sizes
// makes larger than the cache, and because it costs twice the memory.
#ifndef ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_INTERNED_PAIRS_H_
#define ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_INTERNED_PAIRS_H_

#include <atomic>
#include <cstdint>

#include "base/pages.h"
#include "tracer/shadow_map.h"

namespace allocline::bench {

class InternedPairs {
 public:
  bool Init() {
    pairs_ = static_cast<std::atomic<uint64_t>*>(MapPages(sizeof(std::atomic<uint64_t>) << kPairBits));
    return pairs_ != nullptr && regions_.Init();
  }
  bool Insert(uintptr_t address, Block block) {
    Leaf* leaf = regions_.FindOrAdd(address);
    const uint32_t id = Intern(uint64_t{block.site} << kSizeBits | block.bytes);
    if (__builtin_expect(leaf == nullptr || id == 0, 0)) return false;
    __atomic_store_n(&leaf->ids[GranuleOf(address)], id | HalfBit(address), __ATOMIC_RELAXED);
    return true;
  }
  Block Take(uintptr_t address) {
    Leaf* leaf = regions_.Find(address);
    if (__builtin_expect(leaf == nullptr, 0)) return {};
    uint32_t& place = leaf->ids[GranuleOf(address)];
    const uint32_t id = __atomic_load_n(&place, __ATOMIC_RELAXED);
    if (id == 0 || (id & kHalfBit) != HalfBit(address)) return {};
    __atomic_store_n(&place, 0, __ATOMIC_RELAXED);
    const uint64_t pair = pairs_[id & ~kHalfBit].load(std::memory_order_relaxed);
    return {static_cast<uint32_t>(pair >> kSizeBits), pair & ((uint64_t{1} << kSizeBits) - 1)};
  }
  void Prefetch(uintptr_t address) const {
    if (const Leaf* leaf = regions_.FindKnown(address)) __builtin_prefetch(&leaf->ids[GranuleOf(address)], 1);
  }

 private:
  static constexpr int kSizeBits = 40;
  static constexpr int kPairBits = 22;
  static constexpr uint32_t kHalfBit = 1u << 31;
  static constexpr uint64_t kGranules = uint64_t{1} << (25 - 5);
  struct Leaf {
    uint32_t ids[kGranules];
  };
  static_assert(Regions<Leaf>::kShift == 25);

  static uint64_t GranuleOf(uintptr_t address) { return (address >> 5) & (kGranules - 1); }
  static uint32_t HalfBit(uintptr_t address) { return static_cast<uint32_t>(address & 16) << 27; }

  // The id is the pair's place in an open-addressing table; 0, which is no id, is left empty. 0 if it is full.
  uint32_t Intern(uint64_t pair) {
    constexpr uint32_t kMask = (1u << kPairBits) - 1;
    auto id = static_cast<uint32_t>(pair * 0x9E3779B97F4A7C15u >> (64 - kPairBits));
    for (uint32_t probes = 0; probes < kMask; ++probes, id = (id + 1) & kMask) {
      if (id == 0) continue;
      uint64_t present = pairs_[id].load(std::memory_order_relaxed);
      if (__builtin_expect(present == pair, 1)) return id;
      if (present == 0 && pairs_[id].compare_exchange_strong(present, pair, std::memory_order_relaxed)) return id;
      if (present == pair) return id;
    }
    return 0;
  }

  std::atomic<uint64_t>* pairs_ = nullptr;
  Regions<Leaf> regions_;
};

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_INTERNED_PAIRS_H_
