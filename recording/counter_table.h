// The counters of a recording, read from a file that may be counting on, so that no site is live by less than nothing.
//
// A block may be allocated by one thread and freed by another, so the two halves of a site's balance lie in different
// chunks. Reading chunk by chunk would see a free whose allocation it had read past:
//
//   reader   chunk A: allocated 0             chunk B: freed 1      -> live -1
//   threads             A allocates, B frees
//
// So all `freed` are read first and all `allocated` after: a free seen by the first look counted its allocation before,
// and the second look comes later still. What is freed between the looks shows as live: a few milliseconds of frees on
// a running process, nothing on a dead one. quiet() tells which it was.
//
// Threads: one reader at a time.
#ifndef ALLOCLINE_RECORDING_COUNTER_TABLE_H_
#define ALLOCLINE_RECORDING_COUNTER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "recording/reader.h"
#include "recording/table_map.h"

namespace allocline {

class CounterTable {
 public:
  // In this order. Each looks at the file anew.
  absl::Status ReadFreed(TableMap& map);
  absl::Status ReadAllocated(TableMap& map);
  absl::Status ReadOwners(TableMap& map);

  // Whether nothing was freed between the two looks.
  bool quiet() const { return quiet_; }

  // Calls visit(thread record, site, counters) for everything counted, by rising thread and rising site. The ids are
  // as the file has them, not checked.
  void Visit(absl::FunctionRef<void(uint32_t thread, uint64_t site, const SiteCounters&)> visit) const;
  // What chunks count that have no owner. In a whole file, none has.
  SiteCounters ownerless() const;

 private:
  bool owned(size_t chunk) const { return chunk < owners_.size() && owners_[chunk].thread_plus_one != 0; }

  std::vector<format::CounterChunk> chunks_;  // freed_* as first seen, allocated_* as seen after
  std::vector<format::ChunkOwner> owners_;    // index: chunk
  bool quiet_ = true;
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_COUNTER_TABLE_H_
