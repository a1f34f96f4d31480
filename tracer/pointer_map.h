// The live blocks: address -> {site, size}, so that a free on any thread is charged to the site that allocated.
//
// A two-level shadow of the address space. The root has one entry per 32 MiB of addresses; an entry points to a leaf
// with one 8-byte word per 2^kGranuleShift bytes, mapped when the first block of its range appears. No block starts in
// the granule of another: glibc's are 32 bytes apart at least (granule 16), and for allocators with 8-byte classes the
// caller rounds requests below 16 bytes up.
//
//   word: | site 24 bits | size 40 bits |     0 = no live block starts here. Site 0 does not exist, so no live word is
//   0.
//
// Threads:    all functions may run at once on any thread and in signal handlers; no locks, no waiting.
// Context:    inside malloc. Memory is mapped straight from the kernel and never given back.
// Invariants: (1) a word is written by Insert after the allocator returned the block and before the program sees it,
//                 and taken before the allocator gets the block back: between the two nobody else owns the address, so
//                 plain stores suffice and relaxed order is enough (the program itself orders the hand-over of a block
//                 between threads, or it has a data race of its own);
//             (2) a leaf, once published, stays.
// When full:  Insert() returns false if no leaf can be mapped, or the block does not fit a word.
#ifndef ALLOCLINE_TRACER_POINTER_MAP_H_
#define ALLOCLINE_TRACER_POINTER_MAP_H_

#include <atomic>
#include <cstdint>

#include "base/pages.h"

namespace allocline {

struct Block {
  uint32_t site = 0;
  uint64_t bytes = 0;
};

template <int kGranuleShift>
class ShadowMap {
 public:
  // False if the root cannot be mapped.
  bool Init() {
    root_ = static_cast<std::atomic<uint64_t*>*>(MapPages(kRootEntries * sizeof(*root_)));
    return root_ != nullptr;
  }

  // `*replaced` is what stood there before (site 0: nothing).
  bool Insert(uintptr_t address, Block block, Block* replaced) {
    if (__builtin_expect(block.bytes > kMaxBytes || address >> kAddressBits != 0, 0)) return false;
    uint64_t* leaf = FindLeaf(address);
    if (__builtin_expect(leaf == nullptr, 0)) {
      leaf = AddLeaf(address);
      if (leaf == nullptr) return false;
    }
    uint64_t& slot = leaf[SlotOf(address)];
    *replaced = Unpack(__atomic_load_n(&slot, __ATOMIC_RELAXED));
    __atomic_store_n(&slot, Pack(block), __ATOMIC_RELAXED);
    return true;
  }

  // The block that starts at `address`, and forgets it. site 0 if there is none.
  Block Take(uintptr_t address) {
    uint64_t* slot = FindSlot(address);
    if (__builtin_expect(slot == nullptr, 0)) return {};
    const uint64_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (word != 0) __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
    return Unpack(word);
  }

  Block Find(uintptr_t address) const {
    const uint64_t* slot = FindSlot(address);
    return slot == nullptr ? Block{} : Unpack(__atomic_load_n(slot, __ATOMIC_RELAXED));
  }

  // Whether anything was ever recorded in the 32 MiB region around `address`, and where that region ends.
  bool Covers(uintptr_t address) const { return address >> kAddressBits == 0 && FindLeaf(address) != nullptr; }
  static uintptr_t EndOfRegion(uintptr_t address) { return ((address >> kRegionShift) + 1) << kRegionShift; }

  // Calls visit(address, block) for every live block. Blocks that come or go meanwhile may be seen or not.
  template <typename Visitor>
  void ForEach(Visitor visit) const {
    ForEachSlot([&](uintptr_t address, uint64_t& slot) {
      const uint64_t word = __atomic_load_n(&slot, __ATOMIC_RELAXED);
      if (word != 0) visit(address, Unpack(word));
    });
  }

  // Forgets every block, calling visit(address, block) for each one that this call took.
  template <typename Visitor>
  void TakeAll(Visitor visit) {
    ForEachSlot([&](uintptr_t address, uint64_t& slot) {
      if (__atomic_load_n(&slot, __ATOMIC_RELAXED) == 0) return;
      const uint64_t word = __atomic_exchange_n(&slot, 0, __ATOMIC_RELAXED);
      if (word != 0) visit(address, Unpack(word));
    });
  }

  // Address space of root and leaves; memory is used only where blocks were.
  uint64_t leaf_bytes() const { return leaves_.load(std::memory_order_relaxed) * kLeafBytes; }

 private:
  static constexpr int kAddressBits = 47;
  static constexpr int kRegionShift = 25;
  static constexpr uint64_t kRootEntries = uint64_t{1} << (kAddressBits - kRegionShift);
  static constexpr uint64_t kSlotsPerLeaf = uint64_t{1} << (kRegionShift - kGranuleShift);
  static constexpr uint64_t kLeafBytes = kSlotsPerLeaf * sizeof(uint64_t);
  static constexpr int kSizeBits = 40;
  static constexpr uint64_t kMaxBytes = (uint64_t{1} << kSizeBits) - 1;
  static constexpr uint64_t kSlotsPerPage = kPage / sizeof(uint64_t);

  static uint64_t Pack(Block block) { return uint64_t{block.site} << kSizeBits | block.bytes; }
  static Block Unpack(uint64_t word) { return {static_cast<uint32_t>(word >> kSizeBits), word & kMaxBytes}; }
  static uint64_t SlotOf(uintptr_t address) { return (address >> kGranuleShift) & (kSlotsPerLeaf - 1); }

  // Acquire: whoever sees a leaf sees it mapped and zeroed. Pairs with the exchange in AddLeaf().
  uint64_t* FindLeaf(uintptr_t address) const { return root_[address >> kRegionShift].load(std::memory_order_acquire); }
  uint64_t* FindSlot(uintptr_t address) const {
    if (__builtin_expect(address >> kAddressBits != 0, 0)) return nullptr;
    uint64_t* leaf = FindLeaf(address);
    return leaf == nullptr ? nullptr : &leaf[SlotOf(address)];
  }

  __attribute__((noinline)) uint64_t* AddLeaf(uintptr_t address) {
    auto* fresh = static_cast<uint64_t*>(MapPages(kLeafBytes));
    if (fresh == nullptr) return nullptr;
    uint64_t* present = nullptr;
    if (!root_[address >> kRegionShift].compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) {
      UnmapPages(fresh, kLeafBytes);  // another thread (or a signal handler) was faster
      return present;
    }
    leaves_.fetch_add(1, std::memory_order_relaxed);
    return fresh;
  }

  // Visits the slots of all pages that were ever written. The kernel knows which: /proc/self/pagemap has a word per
  // page, with bit 63 = in memory and bit 62 = swapped out. Without /proc every page is looked at.
  template <typename Visitor>
  void ForEachSlot(Visitor visit) const {
    const long pagemap = sys::Open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    constexpr size_t kBatch = 256;
    uint64_t present[kBatch];
    for (uint64_t i = 0; i < kRootEntries; ++i) {
      if (i % kSlotsPerPage == 0 && !AnyPagePresent(pagemap, &root_[i])) {
        i += kSlotsPerPage - 1;
        continue;
      }
      uint64_t* leaf = root_[i].load(std::memory_order_acquire);
      if (leaf == nullptr) continue;
      for (uint64_t page = 0; page < kLeafBytes / kPage; ++page) {
        if (page % kBatch == 0) ReadPagemap(pagemap, leaf + page * kSlotsPerPage, present, kBatch);
        if (present[page % kBatch] >> 62 == 0) continue;
        for (uint64_t s = 0; s < kSlotsPerPage; ++s) {
          const uint64_t slot = page * kSlotsPerPage + s;
          visit(static_cast<uintptr_t>(i << kRegionShift | slot << kGranuleShift), leaf[slot]);
        }
      }
    }
    if (!sys::IsError(pagemap)) sys::Close(static_cast<int>(pagemap));
  }

  static void ReadPagemap(long fd, const void* address, uint64_t* out, size_t pages) {
    const long wanted = static_cast<long>(pages * sizeof(uint64_t));
    const uint64_t offset = reinterpret_cast<uintptr_t>(address) / kPage * sizeof(uint64_t);
    if (!sys::IsError(fd) && sys::Pread(static_cast<int>(fd), out, static_cast<size_t>(wanted), offset) == wanted) {
      return;
    }
    for (size_t i = 0; i < pages; ++i) out[i] = ~uint64_t{0};
  }
  static bool AnyPagePresent(long fd, const void* address) {
    uint64_t present;
    ReadPagemap(fd, address, &present, 1);
    return present >> 62 != 0;
  }

  std::atomic<uint64_t*>* root_ = nullptr;
  std::atomic<uint64_t> leaves_{0};
};

// For blocks of the process's allocator.
using PointerMap = ShadowMap<4>;
// For track(): pools hand out blocks of any alignment from 8 bytes.
using TrackedMap = ShadowMap<3>;
// For anonymous mappings: one word per page of the mapping, so that a part of it can be unmapped.
using PageMap = ShadowMap<12>;

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_POINTER_MAP_H_
