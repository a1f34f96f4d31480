// Return address -> CfiRow, compiled once and then found with one load.
//
// A direct-mapped cache of 8-byte words, shared by all threads. A word holds the row (31 bits) and a tag (33 bits) that
// is exact: the hash is a multiplication by an odd number modulo 2^47, which can be undone, so the slot's index
// together with the tag name one address below 2^47 and no other.
//
//   hash = address * kOdd mod 2^47:  | index 16 bits | ...31 bits |      word: | tag 31 | valid 1 | row 31 |
//
// Threads:    any, also signal handlers: a word is read and written whole, and a lost write is only compiled again.
// Invariants: relaxed order is enough: nothing is reached through a word, it is the value.
#ifndef ALLOCLINE_TRACER_CFI_TABLE_H_
#define ALLOCLINE_TRACER_CFI_TABLE_H_

#include <atomic>
#include <cstdint>

#include "tracer/cfi_row.h"

namespace allocline {

class CfiTable {
 public:
  CfiRow Find(uintptr_t return_address) {
    const uint64_t hash = (return_address * kOdd) & kAddressMask;
    // Where no code can be, and the tag would name another address: a word that is no return address.
    if (__builtin_expect(return_address > kAddressMask, 0)) return CompileCfiRow(return_address);
    const uint64_t word = words_[hash >> kTagBits].load(std::memory_order_relaxed);
    if (__builtin_expect(word >> kTagShift == Tag(hash), 1)) {
      return CfiRow::FromBits(static_cast<uint32_t>(word & kRowMask));
    }
    return Compile(return_address, hash);
  }

  // After code was unloaded: other code may come to stand at its addresses.
  void Clear() {
    for (auto& word : words_) {
      if (word.load(std::memory_order_relaxed) != 0) word.store(0, std::memory_order_relaxed);
    }
  }

 private:
  static constexpr int kAddressBits = 47;
  static constexpr int kIndexBits = 16;
  static constexpr int kTagBits = kAddressBits - kIndexBits;
  static constexpr int kTagShift = CfiRow::kBits;
  static constexpr uint64_t kAddressMask = (uint64_t{1} << kAddressBits) - 1;
  static constexpr uint64_t kRowMask = (uint64_t{1} << CfiRow::kBits) - 1;
  static constexpr uint64_t kOdd = 0x5DEECE66D2B5;  // odd, so that multiplying is a bijection modulo 2^47

  // With a bit that no empty word has.
  static uint64_t Tag(uint64_t hash) { return (hash & ((uint64_t{1} << kTagBits) - 1)) << 1 | 1; }

  __attribute__((noinline)) CfiRow Compile(uintptr_t return_address, uint64_t hash) {
    const CfiRow row = CompileCfiRow(return_address);
    words_[hash >> kTagBits].store(Tag(hash) << kTagShift | row.bits(), std::memory_order_relaxed);
    return row;
  }

  std::atomic<uint64_t> words_[1 << kIndexBits] = {};
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_CFI_TABLE_H_
