// What the memory of a process and of its container consists of, as rows that add up: the view of a RecordedLedger.
//
// There are two sums. The first is the process's resident set. The second is what the kernel charges to its container,
// the figure that a process is killed by, and it is another one: pages of files are charged to whoever read them first
// and are given back before anybody is killed, while page tables and other processes count. A row has its part of
// either; anonymous memory is the same in both.
//
//                            resident set   container
//   anonymous memory              x             x         traced, slack, stacks, ... by what the process knows of it
//   pages of files mapped         x             -
//   page cache in use             -             x         of all the container's processes together, as are the rest
//   shared memory                 x             x
//   kernel, other processes       -             x
//   unexplained                   x             x         what is left of the sum: never silent
//
// Threads: pure functions.
#ifndef ALLOCLINE_REPORT_LEDGER_H_
#define ALLOCLINE_REPORT_LEDGER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recording/reader.h"

namespace allocline {

enum class LedgerPart {
  kTraced,            // live blocks, as far as they are resident
  kSlack,             // what else the allocator holds: free blocks, rounding, its own headers
  kStacks,            //
  kMappedByCode,      // anonymous memory that an object's code took by mmap: an allocator of its own, or buffers
  kUnknown,           // anonymous memory that was taken past malloc and mmap
  kModuleData,        // .data and .bss
  kTracer,            //
  kFiles,             // pages of mapped files
  kPageCache,         //
  kSharedMemory,      //
  kKernel,            //
  kOtherProcesses,    // anonymous memory of the container that is not this process's
  kChargedElsewhere,  // below zero: anonymous memory of this process that another container is charged for
  // What the kernel has charged to the container before anybody has taken it: a stock for each processor, of 256 KiB
  // at most. What is left of the container's sum, as far as these explain it.
  kChargedAhead,
  kUnexplained,
};
// "allocator_slack" for machines.
std::string_view LedgerPartName(LedgerPart part);
std::string_view LedgerItemName(format::LedgerItemKind kind);

struct LedgerRow {
  LedgerPart part;
  std::string object;  // kMappedByCode: path of the object; empty for all others of them together
  int64_t rss_bytes = 0, container_bytes = 0;
  bool operator==(const LedgerRow&) const = default;
};

struct LedgerView {
  uint64_t rss_bytes = 0;
  // Nothing where it is not known what the container's figure consists of.
  std::optional<uint64_t> container_bytes;
  std::vector<LedgerRow> rows;  // in the order of LedgerPart; those that have nothing are left out, but kUnexplained
};
LedgerView MakeLedgerView(const RecordedLedger& ledger);

// "RSS 98.2 MiB = 81.0 traced + 9.1 allocator slack + ...", of the container where that is known. Parts below a
// hundredth are added up as "other", so that the sum is right as it stands there. Safe to print.
std::string LedgerLine(const RecordedLedger& ledger);
// "container +192 MiB: traced +163 MiB, allocator slack +18.2 MiB, ...": how the parts of one process, or of two,
// changed from `old` on; of the resident sets where not both know their container's. Parts whose change is below a
// hundredth of the largest are added up as "other". Safe to print.
std::string LedgerChangeLine(const RecordedLedger& ledger, const RecordedLedger& old);
// The whole, a line for each row, with what it consists of where that is known. Safe to print; lines end in newlines,
// and begin with `indent`.
std::string LedgerTable(const RecordedLedger& ledger, std::string_view indent);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_LEDGER_H_
