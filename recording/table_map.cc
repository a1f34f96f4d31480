#include "recording/table_map.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <bit>

#include "base/status_macros.h"

namespace allocline {

using format::Extent;
using format::FileHeader;
using format::TableKind;

static_assert(std::endian::native == std::endian::little, "recordings are read as they lie: little endian");

namespace {

constexpr uint64_t kFirstExtentOffset = format::kHeaderBytes + format::kPageBytes;

// A recording is never sparse, but a copy of it may be, and a forged file may claim terabytes of zeros. Real file
// systems compress zeros by less than this.
constexpr uint64_t kMaxExpansion = 64;
constexpr uint64_t kAlwaysAllowedBytes = uint64_t{64} << 20;

}  // namespace

std::string_view TableName(TableKind kind) {
  switch (kind) {
    case TableKind::kNone:
      return "none";
    case TableKind::kModules:
      return "modules";
    case TableKind::kNodes:
      return "nodes";
    case TableKind::kSites:
      return "sites";
    case TableKind::kThreads:
      return "threads";
    case TableKind::kChunkOwners:
      return "chunk owners";
    case TableKind::kCounters:
      return "counters";
    case TableKind::kSnapshots:
      return "snapshots";
    case TableKind::kCodes:
      return "codes";
    case TableKind::kTimeline:
      return "timeline";
    case TableKind::kSymbols:
      return "symbols";
    case TableKind::kDifferences:
      return "differences";
    case TableKind::kPeakFirst:
    case TableKind::kPeakSecond:
      return "sites at the peak";
    case TableKind::kLedger:
      return "ledger";
  }
  return "unknown";
}

absl::Status TableMap::DamagedAt(uint64_t file_offset, std::string_view what) const {
  return absl::DataLossError(fmt::format("{}: damaged at offset {}: {}", source_.name(), file_offset, what));
}

absl::Status TableMap::Damaged(TableKind kind, uint64_t offset, std::string_view what) const {
  uint64_t file_offset = 0;
  for (const Extent& extent : table(kind).extents) {
    if (offset < extent.table_offset) break;
    file_offset = extent.file_offset + (offset - extent.table_offset);
  }
  return DamagedAt(file_offset, fmt::format("{} (table of {}, byte {})", what, TableName(kind), offset));
}

absl::Status TableMap::Refresh() {
  ASSIGN_OR_RETURN(const uint64_t size, source_.Size());
  file_bytes_ = size;
  // The used bytes of every table, read first: what is read after this call finds them in extents.
  FileHeader header{};
  const size_t whole = static_cast<size_t>(std::min<uint64_t>(file_bytes_, sizeof(header)));
  RETURN_IF_ERROR(source_.ReadAt(0, &header, whole));
  header_ = header;
  for (auto* text :
       {&header_.program[sizeof(header_.program) - 1], &header_.host[sizeof(header_.host) - 1],
        &header_.allocator[sizeof(header_.allocator) - 1], &header_.python_runtime[sizeof(header_.python_runtime) - 1],
        &header_.directory[sizeof(header_.directory) - 1],
        &header_.container_path[sizeof(header_.container_path) - 1]}) {
    *text = '\0';
  }
  RETURN_IF_ERROR(CheckHeader());
  RETURN_IF_ERROR(ReadDirectory());
  RETURN_IF_ERROR(CheckNoOverlap());
  ClipTables();
  return CheckStorage();
}

absl::Status TableMap::CheckHeader() const {
  if (file_bytes_ == 0) return absl::InvalidArgumentError(fmt::format("{}: is empty, not a recording", source_.name()));
  constexpr char kNotYet[sizeof(header_.magic)] = {};  // the writer sets the magic last
  if (memcmp(header_.magic, kNotYet, sizeof(kNotYet)) == 0 && header_.byte_order == format::kByteOrderMark) {
    return absl::InvalidArgumentError(
        fmt::format("{}: holds nothing: its process was killed while the recording was made", source_.name()));
  }
  if (memcmp(header_.magic, format::kMagic, sizeof(header_.magic)) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: is not a recording: it does not begin with the magic bytes ALLOCLN", source_.name()));
  }
  if (file_bytes_ < format::kHeaderBytes) {
    return DamagedAt(file_bytes_, fmt::format("the file ends within its header of {} bytes: nothing can be read",
                                              format::kHeaderBytes));
  }
  if (header_.byte_order == __builtin_bswap32(format::kByteOrderMark)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: was recorded on a machine with the other byte order (big endian)", source_.name()));
  }
  if (header_.byte_order != format::kByteOrderMark) {
    return DamagedAt(offsetof(FileHeader, byte_order), fmt::format("byte order mark is {:#010x}, not {:#010x}",
                                                                   header_.byte_order, format::kByteOrderMark));
  }
  if (header_.major != format::kMajorVersion) {
    return absl::FailedPreconditionError(
        fmt::format("{}: has format version {}.{}, this program reads {}.x: use the allocline it was recorded with",
                    source_.name(), header_.major, header_.minor, format::kMajorVersion));
  }
  if (header_.header_bytes != format::kHeaderBytes) {
    return DamagedAt(offsetof(FileHeader, header_bytes),
                     fmt::format("header of {} bytes, not {}", header_.header_bytes, format::kHeaderBytes));
  }
  return absl::OkStatus();
}

absl::Status TableMap::ReadDirectory() {
  uint32_t count = 0;
  RETURN_IF_ERROR(source_.ReadAt(offsetof(FileHeader, extent_count), &count, sizeof(count)));
  if (count > format::kMaxExtents) {
    return DamagedAt(offsetof(FileHeader, extent_count),
                     fmt::format("{} extents, there is room for {}", count, format::kMaxExtents));
  }
  const uint64_t whole = std::min<uint64_t>(count, (file_bytes_ - format::kHeaderBytes) / sizeof(Extent));
  std::vector<Extent> directory(whole);
  RETURN_IF_ERROR(source_.ReadAt(format::kHeaderBytes, directory.data(), whole * sizeof(Extent)));
  // The size last: an extent is on disk before it is in the directory.
  ASSIGN_OR_RETURN(const uint64_t size, source_.Size());
  file_bytes_ = size;

  for (Table& table : tables_) table = {};
  for (size_t i = 0; i < directory.size(); ++i) {
    const Extent& extent = directory[i];
    const uint64_t at = format::kHeaderBytes + i * sizeof(Extent);
    if (extent.kind == 0 || extent.kind >= format::kTableCount) {
      return DamagedAt(at, fmt::format("extent {} belongs to table {}, which cannot be", i, extent.kind));
    }
    if (extent.file_offset % format::kPageBytes != 0 || extent.file_offset < kFirstExtentOffset) {
      return DamagedAt(
          at, fmt::format("extent {} lies at {}, which is no page behind the directory", i, extent.file_offset));
    }
    if (extent.bytes == 0 || extent.bytes % format::kPageBytes != 0 ||
        extent.bytes > INT64_MAX - std::min<uint64_t>(extent.file_offset, INT64_MAX)) {
      return DamagedAt(at, fmt::format("extent {} has {} bytes, which is no number of pages", i, extent.bytes));
    }
    Table& table = tables_[extent.kind];
    if (extent.table_offset != table.capacity) {
      return DamagedAt(
          at, fmt::format("extent {} continues its table at {}, expected {}", i, extent.table_offset, table.capacity));
    }
    table.capacity += extent.bytes;
    table.extents.push_back(extent);
  }
  return absl::OkStatus();
}

absl::Status TableMap::CheckNoOverlap() const {
  std::vector<Extent> all;
  for (const Table& table : tables_) all.insert(all.end(), table.extents.begin(), table.extents.end());
  std::sort(all.begin(), all.end(), [](const Extent& a, const Extent& b) { return a.file_offset < b.file_offset; });
  for (size_t i = 1; i < all.size(); ++i) {
    if (all[i].file_offset - all[i - 1].file_offset < all[i - 1].bytes) {
      return DamagedAt(all[i].file_offset,
                       fmt::format("extents of the tables of {} and of {} overlap",
                                   TableName(TableKind{all[i - 1].kind}), TableName(TableKind{all[i].kind})));
    }
  }
  return absl::OkStatus();
}

void TableMap::ClipTables() {
  for (uint32_t kind = 1; kind < format::kTableCount; ++kind) {
    Table& table = tables_[kind];
    for (const Extent& extent : table.extents) {
      const uint64_t there = file_bytes_ - std::min(extent.file_offset, file_bytes_);
      table.in_file += std::min(there, extent.bytes);
      if (there < extent.bytes) break;
    }
    table.used = header_.tables[kind].used;
    table.readable = std::min(table.used, table.in_file);
  }
}

absl::Status TableMap::CheckStorage() {
  ASSIGN_OR_RETURN(const uint64_t storage, source_.StorageBytes());
  uint64_t claimed = 0;
  for (const Table& table : tables_) claimed += table.readable;
  if (claimed > kAlwaysAllowedBytes && claimed / kMaxExpansion > storage) {
    return DamagedAt(offsetof(FileHeader, tables),
                     fmt::format("the tables use {} bytes, but the file has only {} on disk", claimed, storage));
  }
  return absl::OkStatus();
}

absl::Status TableMap::Read(TableKind kind, uint64_t offset, void* into, size_t bytes) {
  char* out = static_cast<char*>(into);
  for (const Extent& extent : table(kind).extents) {
    if (bytes == 0) break;
    if (offset >= extent.table_offset + extent.bytes) continue;
    const uint64_t skip = offset - extent.table_offset;
    const size_t part = static_cast<size_t>(std::min<uint64_t>(bytes, extent.bytes - skip));
    RETURN_IF_ERROR(source_.ReadAt(extent.file_offset + skip, out, part));
    out += part;
    offset += part;
    bytes -= part;
  }
  return absl::OkStatus();
}

}  // namespace allocline
