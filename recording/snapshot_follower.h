// Sees the snapshots of a recording come while its process runs, at the price of reading what is new of it: eight bytes
// where nothing is, else the heads of the new ones. Reader.h, which checks and copies everything, is for reports.
//
// Threads: one. The file may be cut short, or be damaged, at any time: then nothing more comes of it.
#ifndef ALLOCLINE_RECORDING_SNAPSHOT_FOLLOWER_H_
#define ALLOCLINE_RECORDING_SNAPSHOT_FOLLOWER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "recording/format.h"

namespace allocline {

struct SnapshotHead {
  size_t index = 0;  // in Recording::snapshots()
  std::string label;
  format::SnapshotKind kind = format::SnapshotKind::kLabelled;
  uint64_t monotonic_ns = 0, live_bytes = 0;
  uint64_t rss_bytes = 0, container_usage_bytes = 0, container_limit_bytes = 0;  // 0: unknown, or none
};

class SnapshotFollower {
 public:
  // `recording`: open for reading.
  explicit SnapshotFollower(UniqueFd recording) : file_(std::move(recording)) {}

  // Those that came since the last call, oldest first.
  std::vector<SnapshotHead> TakeNew();
  // Whether the process has ended by itself: what comes now is the last.
  bool HasExited() const;

 private:
  struct Place {
    uint64_t table_offset, file_offset, bytes;
  };
  bool ReadAt(uint64_t offset, void* bytes, size_t size) const;
  bool ReadExtents();
  bool ReadTable(uint64_t offset, void* bytes, size_t size) const;
  bool ReadHead(uint64_t used, SnapshotHead* head);

  UniqueFd file_;
  uint64_t offset_ = 0;  // in the table: what lies before has been seen
  size_t index_ = 0;
  std::vector<Place> extents_;  // of the table
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_SNAPSHOT_FOLLOWER_H_
