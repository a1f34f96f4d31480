// Candidate: 8 bytes at the end of the block's usable area, {site, slack, check}, and a byte per 32-byte granule that
// says whether a block of ours starts there. Each request grows by 8 bytes, which glibc's rounding gives for nothing to
// half of all sizes.
//
// Not in the product because it changes what the program is given (malloc_usable_size, and every other size's chunk
// grows by 16 bytes), because a program that writes past its block damages it, and because the end of a large block is
// a line of cache that neither the program nor free() would touch.
#ifndef ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_TRAILER_H_
#define ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_TRAILER_H_

#include <cstdint>
#include <cstring>

#include "tracer/shadow_map.h"

namespace allocline::bench {

class Trailer {
 public:
  static constexpr size_t kBytes = 8;  // that a request has to be larger

  bool Init() { return regions_.Init(); }
  bool Insert(uintptr_t address, Block block) {
    Leaf* leaf = regions_.FindOrAdd(address);
    if (__builtin_expect(leaf == nullptr, 0)) return false;
    const uintptr_t end = EndOfUsable(address);
    const uint64_t slack = end - address - block.bytes;
    const uint64_t word = uint64_t{block.site} << 40 | slack << 24;
    const uint64_t checked = word | Check(word, address);
    memcpy(reinterpret_cast<void*>(end - kBytes), &checked, kBytes);
    __atomic_store_n(&leaf->starts[GranuleOf(address)], Half(address), __ATOMIC_RELAXED);
    return true;
  }
  Block Take(uintptr_t address) {
    Leaf* leaf = regions_.Find(address);
    if (__builtin_expect(leaf == nullptr, 0)) return {};
    uint8_t& start = leaf->starts[GranuleOf(address)];
    if (__atomic_load_n(&start, __ATOMIC_RELAXED) != Half(address)) return {};
    __atomic_store_n(&start, 0, __ATOMIC_RELAXED);
    const uintptr_t end = EndOfUsable(address);
    uint64_t checked = 0;
    memcpy(&checked, reinterpret_cast<const void*>(end - kBytes), kBytes);
    const uint64_t word = checked & ~kCheckMask;
    if (__builtin_expect((checked & kCheckMask) != Check(word, address), 0)) return {};
    return {static_cast<uint32_t>(word >> 40), end - address - ((word >> 24) & 0xFFFF)};
  }
  void Prefetch(uintptr_t address) const {
    if (const Leaf* leaf = regions_.FindKnown(address)) __builtin_prefetch(&leaf->starts[GranuleOf(address)], 1);
  }

 private:
  static constexpr uint64_t kGranules = uint64_t{1} << (25 - 5);
  static constexpr uint64_t kCheckMask = (1u << 24) - 1;
  struct Leaf {
    uint8_t starts[kGranules];  // 0: none; 1, 2: in the lower, the upper half
  };
  static_assert(Regions<Leaf>::kShift == 25);

  static uint64_t GranuleOf(uintptr_t address) { return (address >> 5) & (kGranules - 1); }
  static uint8_t Half(uintptr_t address) { return (address & 16) != 0 ? 2 : 1; }
  static uint64_t Check(uint64_t word, uintptr_t address) { return (word ^ address) * 0x9E3779B97F4A7C15u >> 40; }
  // malloc_chunk.mchunk_size, in front of the block, as in PointerMap.
  static uintptr_t EndOfUsable(uintptr_t address) {
    uint64_t word = 0;
    memcpy(&word, reinterpret_cast<const void*>(address - 8), sizeof word);
    return address + (word & ~uint64_t{7}) - 8;
  }

  Regions<Leaf> regions_;
};

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_TRAILER_H_
