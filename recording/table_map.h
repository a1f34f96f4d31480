// The tables of a recording as ranges of its file: which bytes each table has, and where they lie.
//
// Checks the header and the extent directory, and afterwards only gives out bytes that are there. A table that uses
// more bytes than its extents have within the file is *torn*: its prefix can be read, and Missing() says how much
// cannot. So it is when the file was cut, or was copied while it grew.
//
// Threads: one reader at a time. The file may be written meanwhile: every Refresh() looks again, in the order that
//          makes its answer hold (a table's used bytes, then the extents, then the size of the file).
#ifndef ALLOCLINE_RECORDING_TABLE_MAP_H_
#define ALLOCLINE_RECORDING_TABLE_MAP_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "recording/byte_source.h"
#include "recording/format.h"

namespace allocline {

std::string_view TableName(format::TableKind kind);

class TableMap {
 public:
  explicit TableMap(ByteSource& source) : source_(source) {}

  // Reads header and directory. Errors: InvalidArgument (no recording), FailedPrecondition (a version or a byte order
  // this reader does not know), DataLoss.
  absl::Status Refresh();

  const format::FileHeader& header() const { return header_; }  // as of the last Refresh()
  uint64_t file_bytes() const { return file_bytes_; }

  // Bytes of the table that are in use and in the file.
  uint64_t Readable(format::TableKind kind) const { return table(kind).readable; }
  // Bytes of the table that are in use, but not in the file.
  uint64_t Missing(format::TableKind kind) const { return table(kind).used - table(kind).readable; }
  bool Torn(format::TableKind kind) const { return Missing(kind) != 0; }

  // `offset` and `bytes` lie within Readable(kind).
  absl::Status Read(format::TableKind kind, uint64_t offset, void* into, size_t bytes);
  // An error about the byte at `offset` of a table: names the file, the offset in it, and what is wrong.
  absl::Status Damaged(format::TableKind kind, uint64_t offset, std::string_view what) const;

 private:
  struct Table {
    std::vector<format::Extent> extents;  // by rising table_offset, without gaps
    uint64_t capacity = 0;                // bytes in extents
    uint64_t in_file = 0;                 // of these, bytes before the end of the file, without gaps
    uint64_t used = 0;
    uint64_t readable = 0;
  };
  const Table& table(format::TableKind kind) const { return tables_[static_cast<uint32_t>(kind)]; }
  absl::Status DamagedAt(uint64_t file_offset, std::string_view what) const;

  absl::Status CheckHeader() const;
  absl::Status ReadDirectory();
  absl::Status CheckNoOverlap() const;
  void ClipTables();
  absl::Status CheckStorage();

  ByteSource& source_;
  format::FileHeader header_{};
  uint64_t file_bytes_ = 0;
  std::array<Table, format::kTableCount> tables_;
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_TABLE_MAP_H_
