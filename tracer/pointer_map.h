// The live blocks: address -> {site, size}, so that a free on any thread is charged to the site that allocated. For
// glibc's malloc in two or three bytes per 32 bytes of heap, 6.25 or 9.4 % of it, whatever the size of the blocks.
//
// A shadow that holds sizes costs eight bytes per sixteen, half of a dense heap again, in a container that has a limit.
// But glibc keeps the size already, in the word before the block, rounded up; what is missing is by how much. And no
// two blocks start in one aligned 32-byte granule, because the smallest chunk has 32 bytes. So this will do per
// granule:
//
//     key, 16 bits: | which half of the granule 1 | slack 5 | site, low 10 bits |        0: no block starts here
//     high, 8 bits: | site, high 8 bits |                    a table apart, touched only with more than 1000 sites
//
//     slack = usable size - requested size: up to 15 by rounding, 16 more where a remainder was too small to split off
//
// The site table gives no ids whose low ten bits are all 0 (a key would be 0) or all 1: those mark a block that stands
// elsewhere, in a ShadowMap, because it does not fit: one that malloc mapped by itself (its slack is up to a page), or
// one of a site above 2^18. With any other allocator than glibc all blocks stand there.
//
// That the word before a block is what malloc/malloc.c (struct malloc_chunk) says is not taken for granted: Init()
// tries it on blocks of many sizes against malloc_usable_size.
//
// Threads:    all functions may run at once on any thread and in signal handlers; no locks, no waiting.
// Context:    inside malloc.
// Invariants: (1) as in ShadowMap, between Insert and Take of an address nobody else owns it. TakeAll() takes what it
//                 does not own: its caller sees to it that no Take() runs meanwhile (Tracer::Clear);
//             (2) the key makes a block visible: Insert writes `high` before it, Take clears only the key. Who walks
//                 over all blocks (a forked child, clear) and sees a key sees the byte that belongs to it. Release and
//                 acquire on the key pair with each other;
//             (3) a key stands for a block that the allocator has not got back, so its size word can be read. That
//                 fails for a block that was freed behind our back: walks ask the kernel first, page by page.
// When full:  Insert() returns false if no memory can be mapped, or the block has 1 TiB.
#ifndef ALLOCLINE_TRACER_POINTER_MAP_H_
#define ALLOCLINE_TRACER_POINTER_MAP_H_

#include <cstddef>
#include <cstdint>

#include "tracer/shadow_map.h"

namespace allocline {

class PointerMap {
 public:
  // Whether a block can be of a site with this id.
  static constexpr bool IsUsableSite(uint32_t site) {
    const uint32_t low = site & kLowSiteMask;
    return low != 0 && low != kElsewhere;
  }

  // The allocator behind us, asked how it lays out its blocks. Null functions: not glibc's.
  struct Allocator {
    void* (*malloc)(size_t) = nullptr;
    void (*free)(void*) = nullptr;
    size_t (*usable_size)(void*) = nullptr;
  };
  // False if there is no memory.
  bool Init(const Allocator& allocator) {
    compact_ = KeepsSizeBeforeBlock(allocator);
    return regions_.Init() && (compact_ || elsewhere_.Init());
  }
  bool compact() const { return compact_; }
  // Where compact(): what the program may use of a block. (For one that malloc mapped by itself 8 bytes more.)
  static uint64_t UsableBytes(uintptr_t block) { return UsableSize(SizeWord(block)); }

  // Insert() where nothing stands in its way, in a leaf where blocks were before; one of glibc's not mapped by itself,
  // and where blocks of such sites were before. False, and nothing was done, if it is not that simple.
  __attribute__((always_inline)) bool InsertUsual(uintptr_t address, uint32_t site, uint64_t bytes) {
    if (__builtin_expect(!Regions<Leaf>::Covers(address), 0)) return false;
    Leaf* leaf = regions_.FindKnown(address);
    if (__builtin_expect(leaf == nullptr, 0)) return !compact_ && elsewhere_.InsertUsual(address, {site, bytes});
    const uint64_t granule = GranuleOf(address);
    uint16_t& key = leaf->keys[granule];
    const uint64_t word = SizeWord(address);
    const uint64_t slack = UsableSize(word) - bytes;
    if (__builtin_expect(
            __atomic_load_n(&key, __ATOMIC_RELAXED) != 0 || slack > kMaxSlack || (word & kMappedByItself) != 0, 0)) {
      return false;
    }
    // That its byte is the site's excludes sites that do not fit, too.
    if (__builtin_expect(HighOf(leaf, granule) != site >> kLowSiteBits, 0)) return false;
    __atomic_store_n(&key, MakeKey(address, slack, site), __ATOMIC_RELEASE);
    return true;
  }

  // Take() of a block that InsertUsual() would have put there, if `accept(block)` wants it. False if it does not, or if
  // there is none, or one that stands otherwise.
  template <typename Accept>
  __attribute__((always_inline)) bool TakeUsual(uintptr_t address, Accept accept) {
    if (__builtin_expect(!Regions<Leaf>::Covers(address), 0)) return false;
    Leaf* leaf = regions_.FindKnown(address);
    if (__builtin_expect(leaf == nullptr, 0)) return !compact_ && elsewhere_.TakeUsual(address, accept);
    const uint64_t granule = GranuleOf(address);
    const uint16_t key = __atomic_load_n(&leaf->keys[granule], __ATOMIC_ACQUIRE);
    if (__builtin_expect(key == 0 || (key & kHalfBit) != HalfBit(address) || IsElsewhere(key), 0)) return false;
    if (__builtin_expect(!accept(Unpack(key, HighOf(leaf, granule), address)), 0)) return false;
    __atomic_store_n(&leaf->keys[granule], 0, __ATOMIC_RELAXED);
    return true;
  }

  // `*replaced` is what stood there before (site 0: nothing): a block whose free was not seen.
  bool Insert(uintptr_t address, Block block, Block* replaced) {
    if (__builtin_expect(!compact_, 0)) return elsewhere_.Insert(address, block, replaced);
    Leaf* leaf = regions_.FindOrAdd(address);
    if (__builtin_expect(leaf == nullptr, 0)) return false;
    const uint64_t granule = GranuleOf(address);
    uint16_t& key = leaf->keys[granule];
    *replaced = {};
    if (__builtin_expect(__atomic_load_n(&key, __ATOMIC_RELAXED) != 0, 0))
      *replaced = TakeStale(leaf, granule, address);
    const uint64_t word = SizeWord(address);
    const uint64_t slack = UsableSize(word) - block.bytes;
    if (__builtin_expect(slack > kMaxSlack || (word & kMappedByItself) != 0 || block.site > kMaxSite, 0)) {
      Block none;
      if (!elsewhere_.Insert(address, block, &none)) return false;
      __atomic_store_n(&key, static_cast<uint16_t>(HalfBit(address) | kElsewhere), __ATOMIC_RELEASE);
      return true;
    }
    const auto high_bits = static_cast<uint8_t>(block.site >> kLowSiteBits);
    if (HighOf(leaf, granule) != high_bits) {
      if (__atomic_load_n(&leaf->any_high, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&leaf->any_high, 1, __ATOMIC_RELAXED);
      __atomic_store_n(&leaf->high[granule], high_bits, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&key, MakeKey(address, slack, block.site), __ATOMIC_RELEASE);
    return true;
  }

  // The block that starts at `address`, and forgets it. Site 0 if there is none.
  Block Take(uintptr_t address) {
    if (__builtin_expect(!compact_, 0)) return elsewhere_.Take(address);
    Leaf* leaf = regions_.Find(address);
    if (__builtin_expect(leaf == nullptr, 0)) return {};
    const uint64_t granule = GranuleOf(address);
    const uint16_t key = __atomic_load_n(&leaf->keys[granule], __ATOMIC_ACQUIRE);
    if (__builtin_expect(key == 0 || (key & kHalfBit) != HalfBit(address), 0)) return {};
    const Block block =
        __builtin_expect(IsElsewhere(key), 0) ? elsewhere_.Take(address) : Unpack(key, HighOf(leaf, granule), address);
    __atomic_store_n(&leaf->keys[granule], 0, __ATOMIC_RELAXED);
    return block;
  }

  Block Find(uintptr_t address) const {
    if (address % 16 != 0) return {};  // no block starts there
    if (!compact_) return elsewhere_.Find(address);
    const Leaf* leaf = regions_.Find(address);
    if (leaf == nullptr) return {};
    const uint64_t granule = GranuleOf(address);
    const uint16_t key = __atomic_load_n(&leaf->keys[granule], __ATOMIC_ACQUIRE);
    if (key == 0 || (key & kHalfBit) != HalfBit(address)) return {};
    return Look(key, HighOf(leaf, granule), address);
  }

  // Calls visit(address, block) for every live block. Blocks that come or go meanwhile may be seen or not.
  template <typename Visitor>
  void ForEach(Visitor visit) const {
    if (!compact_) return elsewhere_.ForEach(visit);
    ForEachKey([&](Leaf* leaf, uint64_t granule, uint16_t key, uintptr_t address) {
      visit(address, Look(key, HighOf(leaf, granule), address));
    });
  }

  // Where compact(): calls visit(address, block) for those that begin in [start, end) and stand elsewhere, among them
  // all that malloc mapped by themselves. No block is looked at, so they may be freed meanwhile.
  template <typename Visitor>
  void ForEachElsewhereIn(uintptr_t start, uintptr_t end, Visitor visit) const {
    WrittenPages written;
    elsewhere_.ForEachIn(start, end, written, visit);
  }

  // Where compact(): calls visit(from, to) for each run of whole pages in [start, end), one region of malloc's, in
  // which no live block lies. Blocks may come and go meanwhile: `word_at(address, &word)` reads 8 bytes that may be
  // gone, and says so by false. Two looks at keys for a page that is full of blocks, so some ms for each GiB.
  template <typename WordAt, typename Visitor>
  void ForEachFreeRun(uintptr_t start, uintptr_t end, WordAt word_at, Visitor visit) const {
    constexpr uint64_t kGranulesPerPage = kPage >> kGranuleShift;
    constexpr uintptr_t kBytesPerKeyPage = kKeysPerPage << kGranuleShift;
    WrittenPages written;
    uintptr_t last = 0;                   // the last block before the run
    uintptr_t free_from = start + kPage;  // the first page has what malloc itself needs there
    const auto close_run = [&](uintptr_t to) {
      uintptr_t from = free_from;
      uint64_t word = 0;
      if (from >= to) return;
      if (last != 0) {
        if (!word_at(last - sizeof word, &word)) return;
        const uintptr_t behind_last = RoundUpToPage(last - 2 * sizeof word + (word & ~uint64_t{7}));
        if (behind_last > from) from = behind_last;
      }
      if (from < to) visit(from, to);
    };
    for (uintptr_t page = start; page < end;) {
      const Leaf* leaf = regions_.Find(page);
      if (leaf == nullptr) {
        page = (page & ~(Regions<Leaf>::kBytes - 1)) + Regions<Leaf>::kBytes;
        continue;
      }
      const uint64_t granule = GranuleOf(page);
      if (!written.Contains(&leaf->keys[granule])) {
        page = (page & ~(kBytesPerKeyPage - 1)) + kBytesPerKeyPage;
        continue;
      }
      const auto key_at = [&](uint64_t i) { return __atomic_load_n(&leaf->keys[granule + i], __ATOMIC_RELAXED); };
      const auto address_of = [&](uint64_t i) {
        return page + (i << kGranuleShift) + ((key_at(i) & kHalfBit) != 0 ? 16 : 0);
      };
      uint64_t first = 0;
      while (first < kGranulesPerPage && key_at(first) == 0) ++first;
      if (first < kGranulesPerPage) {
        close_run((address_of(first) - 16) & ~(uintptr_t{kPage} - 1));
        uint64_t i = kGranulesPerPage - 1;
        while (i > first && key_at(i) == 0) --i;
        last = address_of(i);
        free_from = page + kPage;
      }
      page += kPage;
    }
    close_run(end);
  }

  // Forgets every block, calling visit(address, block) for each one that this call took. Insert() may run meanwhile;
  // Take() must not: it could take the same block, and give it back to the allocator while we look at its size word.
  template <typename Visitor>
  void TakeAll(Visitor visit) {
    if (!compact_) return elsewhere_.TakeAll(visit);
    ForEachKey([&](Leaf* leaf, uint64_t granule, uint16_t key, uintptr_t address) {
      const Block block = Look(key, HighOf(leaf, granule), address);
      if (!__atomic_compare_exchange_n(&leaf->keys[granule], &key, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
      if (IsElsewhere(key)) elsewhere_.Take(address);
      visit(address, block);
    });
  }

  uint64_t leaf_bytes() const { return regions_.leaf_bytes() + elsewhere_.leaf_bytes(); }

 private:
  static constexpr int kGranuleShift = 5;
  static constexpr int kLowSiteBits = 10;
  static constexpr uint32_t kLowSiteMask = (1u << kLowSiteBits) - 1;
  static constexpr uint32_t kElsewhere = kLowSiteMask;
  static constexpr uint32_t kMaxSite = (1u << (kLowSiteBits + 8)) - 1;
  static constexpr uint64_t kMaxSlack = 31;
  static constexpr uint16_t kHalfBit = 1u << 15;
  static constexpr uint64_t kGranulesPerLeaf = uint64_t{1} << (25 - kGranuleShift);
  static constexpr uint64_t kKeysPerPage = kPage / sizeof(uint16_t);

  struct Leaf {
    uint16_t keys[kGranulesPerLeaf];
    uint8_t high[kGranulesPerLeaf];
    uint8_t any_high;  // 0: all of `high` is 0, and is not looked at: it is a page that is in no cache otherwise
  };
  // For who knows the key, or is about to write one: `any_high` comes before `high`, and both before the key.
  static uint8_t HighOf(const Leaf* leaf, uint64_t granule) {
    if (__builtin_expect(__atomic_load_n(&leaf->any_high, __ATOMIC_RELAXED) == 0, 1)) return 0;
    return __atomic_load_n(&leaf->high[granule], __ATOMIC_RELAXED);
  }
  static_assert(Regions<Leaf>::kShift == 25);

  // malloc_chunk.mchunk_size: the size of the chunk, and three flags below it.
  static constexpr uint64_t kMappedByItself = 2;  // IS_MMAPPED
  static uint64_t SizeWord(uintptr_t block) { return *reinterpret_cast<const volatile uint64_t*>(block - 8); }
  // The chunk without its own size word; the next chunk's first word belongs to this block.
  static uint64_t UsableSize(uint64_t word) { return (word & ~uint64_t{7}) - 8; }

  static uint64_t GranuleOf(uintptr_t address) { return (address >> kGranuleShift) & (kGranulesPerLeaf - 1); }
  static uint16_t HalfBit(uintptr_t address) { return static_cast<uint16_t>((address & 16) << 11); }
  static uint16_t MakeKey(uintptr_t address, uint64_t slack, uint32_t site) {
    return static_cast<uint16_t>(HalfBit(address) | slack << kLowSiteBits | (site & kLowSiteMask));
  }
  static bool IsElsewhere(uint16_t key) { return (key & kLowSiteMask) == kElsewhere; }
  static Block Unpack(uint16_t key, uint8_t high, uintptr_t address) {
    const uint64_t slack = (key >> kLowSiteBits) & kMaxSlack;
    return {uint32_t{high} << kLowSiteBits | (key & kLowSiteMask), UsableSize(SizeWord(address)) - slack};
  }
  Block Look(uint16_t key, uint8_t high, uintptr_t address) const {
    return IsElsewhere(key) ? elsewhere_.Find(address) : Unpack(key, high, address);
  }

  // What stands in the granule of a new block: a block that was freed behind our back, for two cannot be there. Of its
  // size what is left is the new block's size word, if it began at the same place.
  __attribute__((noinline)) Block TakeStale(Leaf* leaf, uint64_t granule, uintptr_t new_block) {
    const uint16_t key = __atomic_exchange_n(&leaf->keys[granule], 0, __ATOMIC_RELAXED);
    if (key == 0) return {};
    const uintptr_t address = (new_block & ~uintptr_t{31}) + ((key & kHalfBit) != 0 ? 16 : 0);
    return IsElsewhere(key) ? elsewhere_.Take(address) : Unpack(key, HighOf(leaf, granule), new_block);
  }

  // Calls visit(leaf, granule, key, address) for each key whose block can be looked at.
  template <typename Visitor>
  void ForEachKey(Visitor visit) const {
    WrittenPages written;
    uintptr_t readable_page = 0;
    regions_.ForEach(written, [&](uintptr_t region, Leaf* leaf) {
      for (uint64_t first = 0; first < kGranulesPerLeaf; first += kKeysPerPage) {
        if (!written.Contains(&leaf->keys[first])) continue;
        for (uint64_t i = first; i < first + kKeysPerPage; ++i) {
          const uint16_t key = __atomic_load_n(&leaf->keys[i], __ATOMIC_ACQUIRE);
          if (key == 0) continue;
          const uintptr_t address = region + (i << kGranuleShift) + ((key & kHalfBit) != 0 ? 16 : 0);
          const uintptr_t page = (address - sizeof(uint64_t)) / kPage;
          if (page != readable_page && !IsElsewhere(key)) {
            if (!IsReadable(address - sizeof(uint64_t))) continue;
            readable_page = page;
          }
          visit(leaf, i, key, address);
        }
      }
    });
  }

  static bool KeepsSizeBeforeBlock(const Allocator& allocator) {
    if (allocator.malloc == nullptr || allocator.free == nullptr || allocator.usable_size == nullptr) return false;
    for (const size_t bytes :
         {size_t{1}, size_t{24}, size_t{25}, size_t{40}, size_t{100}, size_t{1000}, size_t{5000}, size_t{100'000}}) {
      void* block = allocator.malloc(bytes);
      if (block == nullptr) return false;
      const uintptr_t address = reinterpret_cast<uintptr_t>(block);
      const uint64_t word = SizeWord(address);
      const bool as_expected = address % 16 == 0 && (word & kMappedByItself) == 0 && UsableSize(word) >= 24 &&
                               UsableSize(word) == allocator.usable_size(block) &&
                               UsableSize(word) - bytes <= kMaxSlack;
      allocator.free(block);
      if (!as_expected) return false;
    }
    return true;
  }

  bool compact_ = false;
  Regions<Leaf> regions_;
  ShadowMap<4> elsewhere_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_POINTER_MAP_H_
