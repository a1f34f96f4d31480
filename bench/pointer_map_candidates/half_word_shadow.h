// Candidate: 4 bytes per 16 bytes of heap. A word of 8 bytes per block, as in ShadowMap, at every fourth byte: glibc's
// smallest chunk has 32 bytes, so the two places a word covers belong to one block.
//
// Not in the product because it costs four times what PointerMap does. It knows no block from the middle of one: an
// address 16 bytes into a live block reads the upper half of its word.
#ifndef ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_HALF_WORD_SHADOW_H_
#define ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_HALF_WORD_SHADOW_H_

#include <cstdint>
#include <cstring>

#include "tracer/shadow_map.h"

namespace allocline::bench {

class HalfWordShadow {
 public:
  bool Init() { return regions_.Init(); }
  bool Insert(uintptr_t address, Block block) {
    Leaf* leaf = regions_.FindOrAdd(address);
    if (__builtin_expect(leaf == nullptr, 0)) return false;
    const uint64_t word = uint64_t{block.site} << kSizeBits | block.bytes;
    memcpy(PlaceOf(leaf, address), &word, sizeof word);
    return true;
  }
  Block Take(uintptr_t address) {
    Leaf* leaf = regions_.Find(address);
    if (__builtin_expect(leaf == nullptr, 0)) return {};
    uint64_t word = 0;
    memcpy(&word, PlaceOf(leaf, address), sizeof word);
    if (word == 0) return {};
    memset(PlaceOf(leaf, address), 0, sizeof word);
    return {static_cast<uint32_t>(word >> kSizeBits), word & ((uint64_t{1} << kSizeBits) - 1)};
  }
  void Prefetch(uintptr_t address) const {
    if (const Leaf* leaf = regions_.FindKnown(address)) __builtin_prefetch(PlaceOf(leaf, address), 1);
  }

 private:
  static constexpr int kSizeBits = 40;
  static constexpr uint64_t kPlaces = uint64_t{1} << (25 - 4);
  struct Leaf {
    uint32_t halves[kPlaces + 1];  // one more for the second half of a word at the end
  };
  static_assert(Regions<Leaf>::kShift == 25);

  static uint32_t* PlaceOf(Leaf* leaf, uintptr_t address) { return &leaf->halves[(address >> 4) & (kPlaces - 1)]; }
  static const uint32_t* PlaceOf(const Leaf* leaf, uintptr_t address) {
    return &leaf->halves[(address >> 4) & (kPlaces - 1)];
  }

  Regions<Leaf> regions_;
};

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_POINTER_MAP_CANDIDATES_HALF_WORD_SHADOW_H_
