// The ledger: what the resident memory of the process consists of, written down in the recording, for a process that is
// killed cannot be asked.
//
// One pass over /proc/self/smaps gives every resident page to one part:
//
//   region                                     part
//   of the recording's file                    own: the recording
//   anonymous, out of core dumps, not huge     own (base/pages.h maps so); with MADV_RANDOM: the pointer map
//   [heap]; arenas of glibc: 64 MiB aligned,   the allocator's. Of it the live blocks are taken off, and what remains
//     MAP_NORESERVE                            is its slack
//   of a file, pages of the file               mapped files; of /dev/shm, memfd, ...: shared memory
//   of a file, written; and what is anonymous  data of modules (.data, .bss)
//     right behind it
//   [stack]; above a guard, with a thread's    stacks. glibc keeps a thread's descriptor at the top of its stack, which
//     descriptor at its top                    begins with its own address: so also of threads that never allocate
//   anonymous, in the mapping table            of the object whose code called mmap; of pymalloc's arenas: the
//                                              allocator's
//   anonymous, a block of the pointer map      the allocator's: malloc maps large blocks by themselves
//     lies there
//   anonymous, none of these                   unknown: a system call that went past libc's mmap
//
// The kernel joins neighbours that look alike, so one region may have several parts. Where it has, /proc/self/pagemap
// says which of its pages are resident.
//
// Why not mallinfo2() and malloc_trim()? Both take the locks of all arenas, and this runs inside malloc, where the
// thread that holds one may be this one; and they speak for glibc alone. What mallinfo2 calls free is what is resident
// in the allocator's regions and not live. And what malloc_trim would return are the resident pages there on which no
// live block lies: the pointer map tells these without touching a block (PointerMap::ForEachFreeRun). So both are known
// after a SIGKILL as well. They count what malloc holds for later (tcache, fast bins) as free, and blocks that were
// taken before the tracer started, or with recording off, too.
//
// Where blocks are sampled, or the allocator is not glibc's, it is not known what lies where: then all anonymous memory
// that nobody was seen to map counts as the allocator's, and the record says so.
//
// Threads:   one at a time reads; others may allocate and map meanwhile: what smaps tells of a region is of the moment
//            in which the kernel came to it, so the parts are as exact as the process stands still.
// Context:   inside malloc: no allocation, no lock of malloc's, raw system calls. 1 KiB of stack; the rest is in pages
//            of our own, mapped at the first reading.
// When full: nothing is written if there is no memory, or no room in the recording.
#ifndef ALLOCLINE_TRACER_LEDGER_H_
#define ALLOCLINE_TRACER_LEDGER_H_

#include <cstdint>

#include "base/cgroup.h"
#include "recording/writer.h"
#include "tracer/mapping_table.h"
#include "tracer/pointer_map.h"

namespace allocline {

class Ledger {
 public:
  void Init(RecordingWriter* recording) { recording_ = recording; }
  void InitAfterFork();

  struct Question {
    const PointerMap* blocks;  // null: they are not all in there, or not of glibc's malloc
    MappingTable* mappings;
    const Cgroup* cgroup;
    uintptr_t allocator;          // an address in the code of the allocator behind us; 0: glibc's
    uint64_t traced_bytes;        // live of malloc and of Python
    uint64_t outside_heap_bytes;  // live of other domains
    uint64_t python_arena_bytes, python_live_bytes;
    uint64_t own_private_bytes;   // what we know ourselves to hold: where there is no smaps
    uint64_t arriving_bytes = 0;  // of traced_bytes: a block that malloc gave, and the program does not have yet
    const char* smaps = "/proc/self/smaps";
  };
  // False if nothing could be written.
  bool Read(const Question& question);

  // The last record, with its items: record_bytes. Null: none was written yet.
  const format::LedgerRecord* last() const { return last_; }
  uint64_t private_bytes() const;

 private:
  RecordingWriter* recording_ = nullptr;
  void* workspace_ = nullptr;
  format::LedgerRecord* last_ = nullptr;
  uint64_t sequence_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_LEDGER_H_
