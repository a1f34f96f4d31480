#include "recording/snapshot_follower.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace allocline {
namespace {

using format::FileHeader;
using format::SnapshotRecord;
using format::SnapshotTail;

constexpr auto kTable = static_cast<uint32_t>(format::TableKind::kSnapshots);
constexpr uint64_t kUsedOffset = offsetof(FileHeader, tables) + kTable * sizeof(format::TableHead);

}  // namespace

bool SnapshotFollower::ReadAt(uint64_t offset, void* bytes, size_t size) const {
  if (offset > INT64_MAX) return false;
  ssize_t got;
  do got = pread(file_.get(), bytes, size, static_cast<off_t>(offset));
  while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(size);
}

// The extents of the table are published before bytes in them are: called after `used` was read, it finds them all.
bool SnapshotFollower::ReadExtents() {
  uint32_t count = 0;
  format::Extent directory[format::kMaxExtents];
  if (!ReadAt(offsetof(FileHeader, extent_count), &count, sizeof count) || count > format::kMaxExtents ||
      !ReadAt(format::kHeaderBytes, directory, sizeof directory)) {
    return false;
  }
  extents_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    if (directory[i].kind != kTable) continue;
    extents_.push_back({directory[i].table_offset, directory[i].file_offset, directory[i].bytes});
  }
  return true;
}

// From as many extents as it lies in.
bool SnapshotFollower::ReadTable(uint64_t offset, void* bytes, size_t size) const {
  auto* out = static_cast<char*>(bytes);
  while (size > 0) {
    const auto extent = std::ranges::find_if(extents_, [&](const Place& place) {
      return offset >= place.table_offset && offset - place.table_offset < place.bytes;
    });
    if (extent == extents_.end()) return false;
    const uint64_t inside = offset - extent->table_offset;
    const size_t part = std::min<uint64_t>(size, extent->bytes - inside);
    if (extent->file_offset > INT64_MAX || !ReadAt(extent->file_offset + inside, out, part)) return false;
    offset += part;
    out += part;
    size -= part;
  }
  return true;
}

// The next one, if it is written.
bool SnapshotFollower::ReadHead(uint64_t used, SnapshotHead* head) {
  SnapshotRecord record;
  if (used - offset_ < sizeof record || !ReadTable(offset_, &record, sizeof record)) return false;
  const uint64_t bytes = record.record_bytes;
  const uint64_t padded = (sizeof record + uint64_t{record.label_bytes} + record.payload_bytes + 7) & ~uint64_t{7};
  if (bytes % 8 != 0 || bytes > used - offset_ || padded + sizeof(SnapshotTail) > bytes ||
      record.label_bytes > format::kMaxLabelBytes) {
    return false;
  }
  head->label.resize(record.label_bytes);
  SnapshotTail tail{};
  if (!ReadTable(offset_ + sizeof record, head->label.data(), head->label.size()) ||
      !ReadTable(offset_ + padded, &tail, sizeof tail)) {
    return false;
  }
  head->index = index_++;
  head->kind = static_cast<format::SnapshotKind>(tail.kind);
  head->monotonic_ns = record.monotonic_ns;
  head->live_bytes = record.live_bytes;
  head->rss_bytes = record.rss_bytes;
  head->container_usage_bytes = record.container_usage_bytes;
  head->container_limit_bytes = record.container_limit_bytes;
  offset_ += bytes;
  return true;
}

std::vector<SnapshotHead> SnapshotFollower::TakeNew() {
  std::vector<SnapshotHead> heads;
  uint64_t used = 0;
  if (!ReadAt(kUsedOffset, &used, sizeof used) || used <= offset_ || !ReadExtents()) return heads;
  for (SnapshotHead head; offset_ < used && ReadHead(used, &head);) heads.push_back(std::move(head));
  return heads;
}

bool SnapshotFollower::HasExited() const {
  uint32_t state = 0;
  return !ReadAt(offsetof(FileHeader, state), &state, sizeof state) || (state & format::kStateEndedByItself) != 0;
}

}  // namespace allocline
