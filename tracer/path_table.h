// From the new frames of a stack to its node with one look-up for all of them, where the site table takes one a frame.
//
// A direct-mapped table of node ids under a hash of the path: the node where the kept part of the stack ends, and the
// return addresses from there on inward. An entry is a guess. Who uses it walks from the guessed node outward and
// compares frame by frame, which proves it, so neither a collision nor a lost store can do harm.
//
// Threads:    any, also signal handlers. Acquire and release of an entry pair: who sees an id sees the node's record.
// Context:    inside malloc. Lies in pages that fork wipes: an id of the parent may be of a node that the child has
// not.
#ifndef ALLOCLINE_TRACER_PATH_TABLE_H_
#define ALLOCLINE_TRACER_PATH_TABLE_H_

#include <atomic>
#include <cstdint>

#include "base/pages.h"
#include "tracer/site_table.h"
#include "tracer/unwind_cfi.h"

namespace allocline {

class PathTable {
 public:
  using Entry = std::atomic<NodeId>;  // 0, the root, where nothing was kept: no path ends there

  // False if there is no memory. `*wiped` as of MapPagesWipedOnFork().
  bool Init(bool* wiped) {
    entries_ = static_cast<Entry*>(MapPagesWipedOnFork(kBytes, wiped));
    return entries_ != nullptr;
  }
  void Clear() {
    for (uint64_t i = 0; i < uint64_t{1} << kBits; ++i) entries_[i].store(0, std::memory_order_relaxed);
  }
  Entry& At(NodeId joint, uint64_t path_hash) { return entries_[ExtendPathHash(path_hash, joint) >> (64 - kBits)]; }
  static constexpr uint64_t private_bytes() { return kBytes; }

 private:
  static constexpr int kBits = 15;
  static constexpr uint64_t kBytes = sizeof(Entry) << kBits;

  Entry* entries_ = nullptr;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PATH_TABLE_H_
