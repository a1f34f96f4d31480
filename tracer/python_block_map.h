// The live blocks in the arenas of Python's allocator: address -> {site, size}, in four bytes per 16 bytes of arena.
//
// pymalloc hands out blocks of 1 to 512 bytes at multiples of 16, from arenas that it asks an allocator of its own for.
// It keeps no size per block, so the map of malloc's blocks (pointer_map.h) cannot be used; but sizes are small, so a
// word of half the size will do:
//
//     word, 32 bits: | code 1 | site 22 | size - 1, 9 bits |        site 0: no block is recorded there
//
// `code` marks a block that holds a code object which was seen on a stack: whoever frees it must say so to PythonCodes.
// It is kept apart from what is recorded, so a word can consist of it alone: clear() forgets the block and keeps it.
//
// Blocks of Python's allocators outside of arenas are not here: larger ones come from malloc and stand in its map,
// where free() finds them too; those of sites above 2^22, and of other allocators than pymalloc and malloc, in a
// ShadowMap.
//
// Threads:    all functions may run at once on any thread and in signal handlers; no locks, no waiting.
// Context:    inside malloc.
// Invariants: as in ShadowMap: between Insert and Take of an address nobody else owns it. TakeAll() takes what it does
//             not own: its caller sees to it that no Take() runs meanwhile (Tracer::Clear). MarkCode() is for a block
//             that cannot be freed during the call, by an atomic or, for Insert and Take of it were before or come
//             later.
// When full:  AddArena() gives false if no memory can be mapped: its blocks are then treated as those of another
//             allocator.
#ifndef ALLOCLINE_TRACER_PYTHON_BLOCK_MAP_H_
#define ALLOCLINE_TRACER_PYTHON_BLOCK_MAP_H_

#include <cstdint>

#include "tracer/shadow_map.h"

namespace allocline {

class PythonBlockMap {
 public:
  static constexpr uint64_t kMaxBytes = 512;
  static constexpr uint32_t kMaxSite = (1u << 22) - 1;

  // To be called before anything else. False if there is no memory.
  bool Init() { return regions_.Init(); }

  // From here on blocks at [start, start + bytes) are pymalloc's.
  bool AddArena(uintptr_t start, uint64_t bytes) {
    // Relaxed: who is given a block of it knows of it.
    const bool added = ForEachPage(start, bytes, /*add=*/true, [](bool& page) { StoreRelaxed(page, true); });
    if (added) PopulateWords(start, bytes);
    return added;
  }
  void RemoveArena(uintptr_t start, uint64_t bytes) {
    ForEachPage(start, bytes, /*add=*/false, [](bool& page) { StoreRelaxed(page, false); });
  }

  // A place of the map. Null `leaf`: the address is in no arena, nor near one.
  struct Leaf;
  struct Place {
    Leaf* leaf = nullptr;
    uint64_t granule = 0;
  };
  __attribute__((always_inline)) Place PlaceOf(uintptr_t address) const {
    if (__builtin_expect(!Regions<Leaf>::Covers(address), 0)) return {};
    return {regions_.FindKnown(address), (address >> 4) & (kGranulesPerLeaf - 1)};
  }
  static bool IsInArena(Place place) {
    return __builtin_expect(place.leaf != nullptr, 1) &&
           LoadRelaxed(place.leaf->arena_pages[place.granule / kGranulesPerPage]);
  }
  bool IsInArena(uintptr_t address) const { return IsInArena(PlaceOf(address)); }

  // Insert() where nothing stands in its way. False, and nothing was done, if it is not that simple.
  __attribute__((always_inline)) static bool InsertUsual(Place place, uint32_t site, uint64_t bytes) {
    const uint64_t size = bytes - 1;
    if (__builtin_expect(!IsInArena(place) || size >= kMaxBytes || site > kMaxSite, 0)) return false;
    uint32_t& word = place.leaf->words[place.granule];
    if (__builtin_expect(LoadRelaxed(word) != 0, 0)) return false;
    StoreRelaxed(word, site << kSizeBits | static_cast<uint32_t>(size));
    return true;
  }
  // False if the block is in no arena, or does not fit a word. `*replaced` is what stood there before (site 0:
  // nothing),
  // `*was_code` that it was a code's: a block whose free was not seen.
  static bool Insert(Place place, Block block, Block* replaced, bool* was_code) {
    *replaced = {};
    *was_code = false;
    if (!IsInArena(place) || block.bytes - 1 >= kMaxBytes || block.site > kMaxSite) return false;
    uint32_t& slot = place.leaf->words[place.granule];
    const uint32_t word = LoadRelaxed(slot);
    *replaced = Unpack(word);
    *was_code = (word & kCode) != 0;
    StoreRelaxed(slot, block.site << kSizeBits | static_cast<uint32_t>(block.bytes - 1));
    return true;
  }

  // Take() of a block that is no code's, if `accept(block)` wants it. False if it does not, or none is recorded.
  template <typename Accept>
  __attribute__((always_inline)) static bool TakeUsual(Place place, Accept accept) {
    uint32_t& slot = place.leaf->words[place.granule];
    const uint32_t word = LoadRelaxed(slot);
    if (__builtin_expect(!IsBlockAlone(word), 0)) return false;
    if (__builtin_expect(!accept(Block{word >> kSizeBits, (word & kSizeMask) + 1}), 0)) return false;
    StoreRelaxed(slot, 0u);
    return true;
  }
  // The block there, and forgets it, with the mark of a code. Site 0: none is recorded.
  __attribute__((always_inline)) static Block Take(Place place, bool* was_code) {
    if (__builtin_expect(place.leaf == nullptr, 0)) {
      *was_code = false;
      return {};
    }
    uint32_t& slot = place.leaf->words[place.granule];
    const uint32_t word = LoadRelaxed(slot);
    *was_code = (word & kCode) != 0;
    if (word != 0) StoreRelaxed(slot, 0u);
    return Unpack(word);
  }
  // Undoes a Take(), for a realloc that failed.
  static void PutBack(Place place, Block block, bool was_code) {
    if (place.leaf == nullptr || (block.site == 0 && !was_code)) return;
    const uint32_t word = block.site == 0 ? 0 : block.site << kSizeBits | static_cast<uint32_t>(block.bytes - 1);
    StoreRelaxed(place.leaf->words[place.granule], word | (was_code ? kCode : 0));
  }

  Block Find(uintptr_t address) const {
    const Place place = PlaceOf(address);
    if (address % 16 != 0 || place.leaf == nullptr) return {};
    return Unpack(LoadRelaxed(place.leaf->words[place.granule]));
  }

  // Marks the block at `address` as that of a code object. False if it is in no arena.
  bool MarkCode(uintptr_t address) {
    const Place place = PlaceOf(address);
    if (!IsInArena(place)) return false;
    OrRelaxed(place.leaf->words[place.granule], kCode);
    return true;
  }

  // Calls visit(address, block) for every live block. Blocks that come or go meanwhile may be seen or not.
  template <typename Visitor>
  void ForEach(Visitor visit) const {
    ForEachWord([&](uintptr_t address, uint32_t& slot) {
      const Block block = Unpack(LoadRelaxed(slot));
      if (block.site != 0) visit(address, block);
    });
  }
  // Forgets every block, calling visit(address, block) for each one that this call took. Marks of codes stay.
  template <typename Visitor>
  void TakeAll(Visitor visit) {
    ForEachWord([&](uintptr_t address, uint32_t& slot) {
      if (Unpack(LoadRelaxed(slot)).site == 0) return;
      const Block block = Unpack(__atomic_fetch_and(&slot, kCode, __ATOMIC_RELAXED));
      if (block.site != 0) visit(address, block);
    });
  }

  uint64_t leaf_bytes() const { return regions_.leaf_bytes(); }

 private:
  static constexpr int kSizeBits = 9;
  static constexpr uint32_t kSizeMask = (1u << kSizeBits) - 1;
  static constexpr uint32_t kCode = 1u << 31;
  static constexpr uint64_t kGranulesPerLeaf = uint64_t{1} << (25 - 4);
  static constexpr uint64_t kGranulesPerPage = kPage / 16;
  static constexpr uint64_t kPagesPerLeaf = kGranulesPerLeaf / kGranulesPerPage;
  static constexpr uint64_t kWordsPerPage = kPage / sizeof(uint32_t);

 public:
  struct Leaf {
    uint32_t words[kGranulesPerLeaf];
    bool arena_pages[kPagesPerLeaf];  // of 4 KiB. A byte each: it is asked for at each event
  };
  static_assert(Regions<Leaf>::kShift == 25);

 private:
  // Whether a block is recorded there, and it is no code's: as one comparison.
  static bool IsBlockAlone(uint32_t word) { return static_cast<int32_t>(word) > static_cast<int32_t>(kSizeMask); }
  static Block Unpack(uint32_t word) {
    const uint32_t site = (word & ~kCode) >> kSizeBits;
    return {site, site == 0 ? 0 : (word & kSizeMask) + 1};
  }

  template <typename Visitor>
  bool ForEachPage(uintptr_t start, uint64_t bytes, bool add, Visitor visit) {
    for (uintptr_t page = start; page < start + bytes; page += kPage) {
      Leaf* leaf = add ? regions_.FindOrAdd(page) : regions_.Find(page);
      if (leaf == nullptr) return false;
      visit(leaf->arena_pages[(page / kPage) % kPagesPerLeaf]);
    }
    return true;
  }

  // One by one, each page of words would fault twice: when it is first read, and when it is first written.
  void PopulateWords(uintptr_t start, uint64_t bytes) const {
    for (uintptr_t at = start, end = start + bytes; at < end;) {
      const uintptr_t next_leaf = (at | (Regions<Leaf>::kBytes - 1)) + 1;
      const uintptr_t next = next_leaf < end ? next_leaf : end;
      const Place place = PlaceOf(at);
      const uintptr_t words = reinterpret_cast<uintptr_t>(&place.leaf->words[place.granule]);
      const uintptr_t first_page = words & ~(kPage - 1);
      sys::Madvise(reinterpret_cast<void*>(first_page), words - first_page + (next - at) / 16 * sizeof(uint32_t),
                   MADV_POPULATE_WRITE);  // where the kernel does not know it yet, they fault
      at = next;
    }
  }

  template <typename Visitor>
  void ForEachWord(Visitor visit) const {
    WrittenPages written;
    regions_.ForEach(written, [&](uintptr_t region, Leaf* leaf) {
      for (uint64_t first = 0; first < kGranulesPerLeaf; first += kWordsPerPage) {
        if (!written.Contains(&leaf->words[first])) continue;
        for (uint64_t i = first; i < first + kWordsPerPage; ++i) visit(region + (i << 4), leaf->words[i]);
      }
    });
  }

  Regions<Leaf> regions_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_BLOCK_MAP_H_
