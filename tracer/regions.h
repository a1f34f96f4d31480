// The address space in regions of 32 MiB, with a table of the user's choice for each region that was ever asked for.
//
// Threads:    all functions may run at once on any thread and in signal handlers.
// Context:    inside malloc. Leaves are mapped zeroed from the kernel, and never given back.
// Invariants: a leaf, once published, stays. Whoever sees it sees it mapped: the acquire in Find() pairs with Add()'s
//             CAS.
// When full:  FindOrAdd() gives null if no memory can be mapped, and for addresses of 2^47 and above.
#ifndef ALLOCLINE_TRACER_REGIONS_H_
#define ALLOCLINE_TRACER_REGIONS_H_

#include <atomic>
#include <cstdint>

#include "base/pages.h"
#include "base/written_pages.h"

namespace allocline {

template <typename Leaf>
class Regions {
 public:
  static constexpr int kShift = 25;
  static constexpr uintptr_t kBytes = uintptr_t{1} << kShift;
  static constexpr int kAddressBits = 47;
  static constexpr uint64_t kEntries = uint64_t{1} << (kAddressBits - kShift);

  // Maps the root, 32 MiB of addresses, which is otherwise done by the first FindOrAdd(). False if it cannot be.
  bool Init() { return root_.load(std::memory_order_acquire) != nullptr || AddRoot(); }

  Leaf* Find(uintptr_t address) const {
    const Root root = root_.load(std::memory_order_acquire);
    if (__builtin_expect(root == nullptr || !Covers(address), 0)) return nullptr;
    return root[address >> kShift].load(std::memory_order_acquire);
  }
  // Whether it is below 2^47. Asked in this way the index is made on the way.
  static bool Covers(uintptr_t address) { return address >> kShift < kEntries; }
  // Find() for callers that know both: Init() was called, and Covers(address).
  Leaf* FindKnown(uintptr_t address) const {
    return root_.load(std::memory_order_relaxed)[address >> kShift].load(std::memory_order_acquire);
  }
  Leaf* FindOrAdd(uintptr_t address) {
    Leaf* leaf = Find(address);
    return __builtin_expect(leaf != nullptr, 1) ? leaf : Add(address);
  }

  // Calls visit(address of the region, leaf) for each leaf, by rising address.
  template <typename Visitor>
  void ForEach(WrittenPages& written, Visitor visit) const {
    constexpr uint64_t kEntriesPerPage = kPage / sizeof(std::atomic<Leaf*>);
    const Root root = root_.load(std::memory_order_acquire);
    if (root == nullptr) return;
    for (uint64_t page = 0; page < kEntries; page += kEntriesPerPage) {
      if (!written.Contains(&root[page])) continue;
      for (uint64_t i = page; i < page + kEntriesPerPage; ++i) {
        if (Leaf* leaf = root[i].load(std::memory_order_acquire)) visit(static_cast<uintptr_t>(i << kShift), leaf);
      }
    }
  }

  // Addresses used for leaves. Memory is used only where they were written.
  uint64_t leaf_bytes() const { return leaves_.load(std::memory_order_relaxed) * sizeof(Leaf); }

 private:
  using Root = std::atomic<Leaf*>*;

  __attribute__((noinline)) Leaf* Add(uintptr_t address) {
    if (!Covers(address) || !Init()) return nullptr;
    auto* fresh = static_cast<Leaf*>(MapPages(sizeof(Leaf)));
    if (fresh == nullptr) return nullptr;
    sys::Madvise(fresh, sizeof(Leaf), MADV_RANDOM);  // "rr" in smaps: the pointer map, not another of our tables
    Leaf* present = nullptr;
    std::atomic<Leaf*>& entry = root_.load(std::memory_order_acquire)[address >> kShift];
    if (!entry.compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) {
      UnmapPages(fresh, sizeof(Leaf));  // another thread (or a signal handler) was faster
      return present;
    }
    leaves_.fetch_add(1, std::memory_order_relaxed);
    return fresh;
  }

  __attribute__((noinline)) bool AddRoot() {
    const auto fresh = static_cast<Root>(MapPages(kEntries * sizeof(std::atomic<Leaf*>)));
    if (fresh == nullptr) return false;
    Root present = nullptr;
    if (!root_.compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) {
      UnmapPages(fresh, kEntries * sizeof(std::atomic<Leaf*>));
    }
    return true;
  }

  std::atomic<Root> root_{nullptr};
  std::atomic<uint64_t> leaves_{0};
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_REGIONS_H_
