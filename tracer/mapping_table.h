// Whose code has mapped which anonymous memory: what tells a library that brings an allocator of its own.
//
// The mmap hook (preload_mmap.cc) sees every call that goes through libc's symbol, with the address it came from. glibc
// maps for its malloc and for stacks of threads underneath, without passing there. So of the anonymous memory of the
// process this table has what some code took from the kernel by itself; the ledger (ledger.h) asks for the object that
// the code is in. Memory of a program that makes the system call itself is not in here, and the ledger says that too.
//
// A range belongs to who mapped it first: an allocator that reserves addresses, and later maps parts of them anew, is
// asked for once. Neighbours of the same caller are one.
//
// Threads: any. Context: inside the hooks of mmap, munmap, mremap: beside a system call, so a search through a table of
//          512 and a lock are in place. After fork: InitAfterFork() before anything else; the child has the parent's.
// When full: what does not fit is not known; small ranges are not kept at all.
#ifndef ALLOCLINE_TRACER_MAPPING_TABLE_H_
#define ALLOCLINE_TRACER_MAPPING_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/spin_lock.h"

namespace allocline {

class MappingTable {
 public:
  static constexpr size_t kLeastBytes = 64 << 10;
  static constexpr uint32_t kMostMappings = 512;
  // Stands for the caller of what an allocator whose blocks are recorded has mapped.
  static constexpr uintptr_t kTracedAllocator = 1;

  struct Mapping {
    uintptr_t start, end;  // start == end: free
    uintptr_t caller;      // return address into the code that called mmap
  };

  void OnMap(uintptr_t start, size_t bytes, uintptr_t caller);
  void OnUnmap(uintptr_t start, size_t bytes);
  // What was mapped for `caller` is from now on somebody else's memory, whoever it belonged to.
  void Reassign(uintptr_t start, size_t bytes, uintptr_t caller) {
    OnUnmap(start, bytes);
    OnMap(start, bytes, caller);
  }
  // Who has mapped the memory at `address`; 0: unknown.
  uintptr_t CallerOf(uintptr_t address);

  // Copies what there is, in no order; gives how many. `mappings` has room for kMostMappings.
  uint32_t CopyTo(Mapping* mappings);

  void InitAfterFork() { lock_.Reset(); }

 private:
  void Add(const Mapping& mapping);
  void Remove(uintptr_t start, uintptr_t end);

  SpinLock lock_;
  std::atomic<uint32_t> used_{0};  // all in use are below; only grows
  Mapping mappings_[kMostMappings] = {};
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_MAPPING_TABLE_H_
