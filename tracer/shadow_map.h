// Address -> {site, size} at the price of one 8-byte word per 2^kGranuleShift bytes of addresses, where blocks are.
//
//   word: | site 24 bits | size 40 bits |     0 = no live block starts here. Site 0 does not exist, so no live word is
//   0.
//
// No two blocks start in one granule: that is the caller's promise.
//
// Threads:    all functions may run at once on any thread and in signal handlers; no locks, no waiting.
// Context:    inside malloc.
// Invariants: a word is written by Insert after the allocator returned the block and before the program sees it, and
//             taken before the allocator gets the block back: between the two nobody else owns the address, so plain
//             stores suffice and relaxed order is enough (the program itself orders the hand-over of a block between
//             threads, or it has a data race of its own). Where that does not hold, pages that another thread may
//             unmap, there are Replace() and TakeShared(): one of those who are at a word gets it.
// When full:  Insert() returns false if no memory can be mapped, or the block does not fit a word.
#ifndef ALLOCLINE_TRACER_SHADOW_MAP_H_
#define ALLOCLINE_TRACER_SHADOW_MAP_H_

#include "tracer/regions.h"

namespace allocline {

struct Block {
  uint32_t site = 0;
  uint64_t bytes = 0;
};

template <int kGranuleShift>
class ShadowMap {
  static constexpr int kSizeBits = 40;

 public:
  static constexpr uint64_t kMaxBytes = (uint64_t{1} << kSizeBits) - 1;

  // Not needed, but tells at once whether there is memory: false if not.
  bool Init() { return regions_.Init(); }

  // `*replaced` is what stood there before (site 0: nothing).
  bool Insert(uintptr_t address, Block block, Block* replaced) {
    if (__builtin_expect(block.bytes > kMaxBytes, 0)) return false;
    Leaf* leaf = regions_.FindOrAdd(address);
    if (__builtin_expect(leaf == nullptr, 0)) return false;
    uint64_t& word = leaf->words[SlotOf(address)];
    *replaced = {};
    if (__atomic_load_n(&word, __ATOMIC_RELAXED) == 0) {
      __atomic_store_n(&word, Pack(block), __ATOMIC_RELAXED);
    } else {  // not the address's owner, but TakeAll() may be at it: one of the two gets it
      *replaced = Unpack(__atomic_exchange_n(&word, Pack(block), __ATOMIC_RELAXED));
    }
    return true;
  }

  // Insert() and Take() where nothing is out of the usual, after Init(), of an address below 2^47: there were blocks in
  // the region, and none stands there. False if it is not that simple, or `accept(block)` is.
  __attribute__((always_inline)) bool InsertUsual(uintptr_t address, Block block) {
    Leaf* leaf = regions_.FindKnown(address);
    if (__builtin_expect(leaf == nullptr || block.bytes > kMaxBytes, 0)) return false;
    uint64_t& word = leaf->words[SlotOf(address)];
    if (__builtin_expect(__atomic_load_n(&word, __ATOMIC_RELAXED) != 0, 0)) return false;
    __atomic_store_n(&word, Pack(block), __ATOMIC_RELAXED);
    return true;
  }
  template <typename Accept>
  __attribute__((always_inline)) bool TakeUsual(uintptr_t address, Accept accept) {
    Leaf* leaf = regions_.FindKnown(address);
    if (__builtin_expect(leaf == nullptr, 0)) return false;
    uint64_t& word = leaf->words[SlotOf(address)];
    const Block block = Unpack(__atomic_load_n(&word, __ATOMIC_RELAXED));
    if (__builtin_expect(block.site == 0 || !accept(block), 0)) return false;
    __atomic_store_n(&word, 0, __ATOMIC_RELAXED);
    return true;
  }

  // The block that starts at `address`, and forgets it. Site 0 if there is none.
  Block Take(uintptr_t address) {
    Leaf* leaf = regions_.Find(address);
    if (__builtin_expect(leaf == nullptr, 0)) return {};
    uint64_t& slot = leaf->words[SlotOf(address)];
    const uint64_t word = __atomic_load_n(&slot, __ATOMIC_RELAXED);
    if (word != 0) __atomic_store_n(&slot, 0, __ATOMIC_RELAXED);
    return Unpack(word);
  }

  // The same, when others may be at it too.
  Block TakeShared(uintptr_t address) {
    Leaf* leaf = regions_.Find(address);
    if (leaf == nullptr) return {};
    uint64_t& slot = leaf->words[SlotOf(address)];
    if (__atomic_load_n(&slot, __ATOMIC_RELAXED) == 0) return {};
    return Unpack(__atomic_exchange_n(&slot, 0, __ATOMIC_RELAXED));
  }
  // Puts `desired` (site 0: nothing) in the place of `expected`. False if that does not stand there.
  bool Replace(uintptr_t address, Block expected, Block desired) {
    Leaf* leaf = regions_.Find(address);
    if (leaf == nullptr) return false;
    uint64_t word = Pack(expected);
    return __atomic_compare_exchange_n(&leaf->words[SlotOf(address)], &word, Pack(desired), false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
  }

  Block Find(uintptr_t address) const {
    const Leaf* leaf = regions_.Find(address);
    return leaf == nullptr ? Block{} : Unpack(__atomic_load_n(&leaf->words[SlotOf(address)], __ATOMIC_RELAXED));
  }

  // Whether anything was ever recorded in the region around `address`, and where that region ends.
  bool Covers(uintptr_t address) const { return regions_.Find(address) != nullptr; }
  static uintptr_t EndOfRegion(uintptr_t address) {
    return (address & ~(Regions<Leaf>::kBytes - 1)) + Regions<Leaf>::kBytes;
  }

  // Calls visit(address, block) for every live block. Blocks that come or go meanwhile may be seen or not.
  template <typename Visitor>
  void ForEach(Visitor visit) const {
    ForEachWord([&](uintptr_t address, uint64_t& slot) {
      const uint64_t word = __atomic_load_n(&slot, __ATOMIC_RELAXED);
      if (word != 0) visit(address, Unpack(word));
    });
  }

  // The same for those that begin in [start, end).
  template <typename Visitor>
  void ForEachIn(uintptr_t start, uintptr_t end, WrittenPages& written, Visitor visit) const {
    constexpr uintptr_t kBytesPerPage = kWordsPerPage << kGranuleShift;  // of addresses, that a page of words is for
    for (uintptr_t first = start; first < end;) {
      const Leaf* leaf = regions_.Find(first);
      if (leaf == nullptr) {
        first = EndOfRegion(first);
        continue;
      }
      const uintptr_t behind = (first & ~(kBytesPerPage - 1)) + kBytesPerPage;
      if (written.Contains(&leaf->words[SlotOf(first)])) {
        for (uintptr_t address = first & ~((uintptr_t{1} << kGranuleShift) - 1); address < behind && address < end;
             address += uintptr_t{1} << kGranuleShift) {
          const uint64_t word = __atomic_load_n(&leaf->words[SlotOf(address)], __ATOMIC_RELAXED);
          if (word != 0 && address >= start) visit(address, Unpack(word));
        }
      }
      first = behind;
    }
  }

  // Forgets every block, calling visit(address, block) for each one that this call took.
  template <typename Visitor>
  void TakeAll(Visitor visit) {
    ForEachWord([&](uintptr_t address, uint64_t& slot) {
      if (__atomic_load_n(&slot, __ATOMIC_RELAXED) == 0) return;
      const uint64_t word = __atomic_exchange_n(&slot, 0, __ATOMIC_RELAXED);
      if (word != 0) visit(address, Unpack(word));
    });
  }

  uint64_t leaf_bytes() const { return regions_.leaf_bytes(); }

 private:
  static constexpr uint64_t kWordsPerLeaf = uint64_t{1} << (25 - kGranuleShift);
  struct Leaf {
    uint64_t words[kWordsPerLeaf];
  };
  static_assert(Regions<Leaf>::kShift == 25);
  static constexpr uint64_t kWordsPerPage = kPage / sizeof(uint64_t);

  static uint64_t Pack(Block block) { return uint64_t{block.site} << kSizeBits | block.bytes; }
  static Block Unpack(uint64_t word) { return {static_cast<uint32_t>(word >> kSizeBits), word & kMaxBytes}; }
  static uint64_t SlotOf(uintptr_t address) { return (address >> kGranuleShift) & (kWordsPerLeaf - 1); }

  template <typename Visitor>
  void ForEachWord(Visitor visit) const {
    WrittenPages written;
    regions_.ForEach(written, [&](uintptr_t region, Leaf* leaf) {
      for (uint64_t first = 0; first < kWordsPerLeaf; first += kWordsPerPage) {
        if (!written.Contains(&leaf->words[first])) continue;
        for (uint64_t i = first; i < first + kWordsPerPage; ++i) visit(region + (i << kGranuleShift), leaf->words[i]);
      }
    });
  }

  Regions<Leaf> regions_;
};

// For track(): pools hand out blocks of any alignment from 8 bytes.
using TrackedMap = ShadowMap<3>;
// For anonymous mappings: one word per page of the mapping, so that a part of it can be unmapped.
using PageMap = ShadowMap<12>;

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SHADOW_MAP_H_
