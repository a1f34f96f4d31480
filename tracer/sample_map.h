// The live samples: address -> {site, size, rounding}, behind a test that tells nearly every other block apart without
// touching anything of its own.
//
// A free asks about every block, and one in thousands is a sample. So what is asked first is small enough to stay in
// the cache: for each page of 4 KiB, how many samples start in it, one byte. A heap of 1 GiB has 256 KiB of them, and 8
// pages in 1000 say yes.
//
//     free(p)  ->  pages[p >> 12 & 4194303] == 0  ->  not a sample
//                                           != 0  ->  ShadowMap
//
// Pages 16 GiB apart share a byte, which costs time where a heap is larger, and is no mistake. A page has room for 256
// blocks of 16 bytes, a byte counts to 255: there it stays, and the page is asked about for ever. Pages can be marked
// so from the start (`Mark`), for addresses that need a second look for another reason.
//
// Threads:    all functions may run at once on any thread and in signal handlers; no locks, no waiting.
// Context:    inside malloc.
// Invariants: between Insert() and Take() of an address nobody else owns it, as in ShadowMap; but clear() may be at it
//             too, so one of them gets it. The word comes before its page's count, and leaves before it: who may free
//             the block sees both, for the program handed it over.
// When full:  Insert() returns false if no memory can be mapped, or the block has 256 GiB.
#ifndef ALLOCLINE_TRACER_SAMPLE_MAP_H_
#define ALLOCLINE_TRACER_SAMPLE_MAP_H_

#include "base/atomic.h"
#include "recording/sampling.h"
#include "tracer/shadow_map.h"

namespace allocline {

struct SampledBlock {
  uint32_t site = 0;
  uint64_t bytes = 0;
  uint32_t rounding = 0;  // RoundSample()
};

class SampleMap {
 public:
  static constexpr uint64_t kMaxBytes = (uint64_t{1} << 38) - 1;

  // To be called before anything else. False if there is no memory.
  bool Init() {
    if (samples_in_ == nullptr) samples_in_ = static_cast<uint8_t*>(MapPages(kPages));
    return samples_in_ != nullptr && words_.Init();
  }

  // False: no sample starts at `address`. True: perhaps one does.
  __attribute__((always_inline)) bool MayHold(uintptr_t address) const {
    return __builtin_expect(LoadRelaxed(samples_in_[PageOf(address)]) != 0, 0);
  }

  // `*replaced` is what stood there before (site 0: nothing): a block whose free was not seen.
  bool Insert(uintptr_t address, SampledBlock sample, SampledBlock* replaced) {
    if (sample.bytes > kMaxBytes) return false;
    Block before;
    if (!words_.Insert(address, Pack(sample), &before)) return false;
    *replaced = Unpack(before);
    if (before.site == 0) Raise(samples_in_[PageOf(address)]);
    return true;
  }

  // The sample that starts at `address`, and forgets it. Site 0 if there is none.
  SampledBlock Take(uintptr_t address) {
    const Block taken = words_.TakeShared(address);
    if (taken.site != 0) Lower(address);
    return Unpack(taken);
  }
  SampledBlock Find(uintptr_t address) const {
    return address % 16 == 0 ? Unpack(words_.Find(address)) : SampledBlock{};
  }

  template <typename Visitor>
  void ForEach(Visitor visit) const {
    words_.ForEach([&](uintptr_t, Block block) { visit(Unpack(block)); });
  }
  // Forgets all samples, calling visit(sample) for each one that this call took.
  template <typename Visitor>
  void TakeAll(Visitor visit) {
    words_.TakeAll([&](uintptr_t address, Block block) {
      Lower(address);
      visit(Unpack(block));
    });
  }

  // Has MayHold() be true in [start, start + bytes) for ever.
  void Mark(uintptr_t start, uint64_t bytes) {
    for (uintptr_t address = start & ~(kPage - 1); address < start + bytes; address += kPage) {
      StoreRelaxed(samples_in_[PageOf(address)], kMany);
    }
  }

  uint64_t leaf_bytes() const { return words_.leaf_bytes() + (samples_in_ == nullptr ? 0 : kPages); }

 private:
  static constexpr uint8_t kMany = 255;
  static constexpr uint64_t kPages = uint64_t{1} << 22;
  static constexpr int kRoundingShift = 38;

  static uint64_t PageOf(uintptr_t address) { return address / kPage % kPages; }
  static Block Pack(SampledBlock sample) {
    return {sample.site, sample.bytes | uint64_t{sample.rounding} << kRoundingShift};
  }
  static SampledBlock Unpack(Block block) {
    return {block.site, block.bytes & kMaxBytes, static_cast<uint32_t>(block.bytes >> kRoundingShift)};
  }

  static void Raise(uint8_t& samples) {
    uint8_t seen = LoadRelaxed(samples);
    while (seen != kMany && !CompareExchange(samples, seen, static_cast<uint8_t>(seen + 1))) {
    }
  }
  void Lower(uintptr_t address) {
    uint8_t& samples = samples_in_[PageOf(address)];
    uint8_t seen = LoadRelaxed(samples);
    while (seen != kMany && seen != 0 && !CompareExchange(samples, seen, static_cast<uint8_t>(seen - 1))) {
    }
  }

  uint8_t* samples_in_ = nullptr;
  ShadowMap<4> words_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SAMPLE_MAP_H_
