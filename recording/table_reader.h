// Walks the records of a table: those of fixed size and those that bring their size along.
//
// Threads: one reader at a time; the file may be written meanwhile. Each walk sees what TableMap::Refresh() saw last,
//          and may see later values of it.
#ifndef ALLOCLINE_RECORDING_TABLE_READER_H_
#define ALLOCLINE_RECORDING_TABLE_READER_H_

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/status_macros.h"
#include "recording/table_map.h"

namespace allocline {

// Calls visit(index, record) for every record in use, one piece of the table in memory at a time.
template <typename Record, typename Visit>
absl::Status ForEachRecord(TableMap& map, format::TableKind kind, Visit visit) {
  constexpr size_t kPieceBytes = size_t{1} << 20;
  const uint64_t bytes = map.Readable(kind);
  if (bytes % sizeof(Record) != 0 && !map.Torn(kind)) {
    return map.Damaged(kind, bytes, fmt::format("the table ends within a record of {} bytes", sizeof(Record)));
  }
  const size_t count = bytes / sizeof(Record);
  std::vector<Record> piece(std::min(count, kPieceBytes / sizeof(Record)));
  for (size_t first = 0; first < count; first += piece.size()) {
    const size_t records = std::min(piece.size(), count - first);
    RETURN_IF_ERROR(map.Read(kind, first * sizeof(Record), piece.data(), records * sizeof(Record)));
    for (size_t i = 0; i < records; ++i) visit(first + i, piece[i]);
  }
  return absl::OkStatus();
}

// Calls visit(offset in the table, record) for every published record that begins with its own size and has at least
// `fixed_bytes`. A size of 0 ends the walk: its writer is at that record, or died at it. A record beyond the torn end
// of the file ends it too; one beyond the end of the table is damage.
absl::Status ForEachVariableRecord(TableMap& map, format::TableKind kind, size_t fixed_bytes,
                                   absl::FunctionRef<absl::Status(uint64_t offset, std::string_view record)> visit);

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_TABLE_READER_H_
