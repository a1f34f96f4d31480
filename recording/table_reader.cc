#include "recording/table_reader.h"

#include <string.h>

#include <atomic>

namespace allocline {
namespace {

uint32_t SizeAt(const std::string& table, uint64_t offset) {
  uint32_t record_bytes;
  memcpy(&record_bytes, table.data() + offset, sizeof(record_bytes));
  return record_bytes;
}

}  // namespace

absl::Status ForEachVariableRecord(TableMap& map, format::TableKind kind, size_t fixed_bytes,
                                   absl::FunctionRef<absl::Status(uint64_t, std::string_view)> visit) {
  std::string table(map.Readable(kind), '\0');
  RETURN_IF_ERROR(map.Read(kind, 0, table.data(), table.size()));
  uint64_t end = 0;
  while (table.size() - end >= sizeof(uint32_t)) {
    const uint64_t left = table.size() - end;
    const uint32_t record_bytes = SizeAt(table, end);
    if (record_bytes == 0) break;
    if (record_bytes % 8 != 0 || record_bytes < fixed_bytes) {
      return map.Damaged(
          kind, end,
          fmt::format("a record of {} bytes, expected a multiple of 8 and at least {}", record_bytes, fixed_bytes));
    }
    if (record_bytes > left && map.Torn(kind)) break;
    if (record_bytes > left) {
      return map.Damaged(kind, end,
                         fmt::format("a record of {} bytes where the table has {} left", record_bytes, left));
    }
    end += record_bytes;
  }
  // Read again what is published: the first look may have caught a size, but not all that was written before it.
  // Pairs with the release that publishes the size.
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::string first_look = table;
  table.resize(end);
  RETURN_IF_ERROR(map.Read(kind, 0, table.data(), end));
  for (uint64_t at = 0; at < end;) {
    const uint32_t record_bytes = SizeAt(first_look, at);
    if (SizeAt(table, at) != record_bytes) return map.Damaged(kind, at, "a published record changed its size");
    RETURN_IF_ERROR(visit(at, std::string_view(table).substr(at, record_bytes)));
    at += record_bytes;
  }
  return absl::OkStatus();
}

}  // namespace allocline
