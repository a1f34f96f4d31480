// The bytes of a recording, to be damaged on purpose.
#ifndef ALLOCLINE_TESTS_RECORDING_RAW_RECORDING_H_
#define ALLOCLINE_TESTS_RECORDING_RAW_RECORDING_H_

#include <string.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "recording/builder.h"
#include "recording/format.h"
#include "recording/reader.h"

namespace allocline {

class RawRecording {
 public:
  explicit RawRecording(const RecordingBuilder& builder) : bytes_(builder.Build()) {}

  std::string& bytes() { return bytes_; }
  format::FileHeader& header() { return *At<format::FileHeader>(0); }
  format::Extent& extent(size_t index) {
    return *At<format::Extent>(format::kHeaderBytes + index * sizeof(format::Extent));
  }
  format::Extent& extent(format::TableKind kind) { return extent(IndexOf(kind)); }
  // Record `index` of a table of fixed-size records, or the first of one of variable size.
  template <typename Record>
  Record& record(format::TableKind kind, size_t index = 0) {
    return *At<Record>(extent(kind).file_offset + index * sizeof(Record));
  }
  format::TableHead& head(format::TableKind kind) { return header().tables[static_cast<uint32_t>(kind)]; }
  // Adds an extent for bytes at the end of the file.
  format::Extent& AddExtent(format::TableKind kind, uint64_t table_offset, const std::string& contents) {
    const uint64_t at = bytes_.size();
    bytes_ += contents;
    bytes_.resize((bytes_.size() + format::kPageBytes - 1) / format::kPageBytes * format::kPageBytes);
    format::Extent& added = extent(header().extent_count++);
    added = {.kind = static_cast<uint32_t>(kind),
             .reserved = 0,
             .table_offset = table_offset,
             .file_offset = at,
             .bytes = bytes_.size() - at};
    return added;
  }

  absl::StatusOr<Recording> Parse() const { return Recording::Parse(bytes_, "raw.allocline"); }

 private:
  template <typename T>
  T* At(uint64_t offset) {
    return reinterpret_cast<T*>(bytes_.data() + offset);
  }
  size_t IndexOf(format::TableKind kind) {
    size_t index = 0;
    while (index < header().extent_count && extent(index).kind != static_cast<uint32_t>(kind)) ++index;
    return index;
  }

  std::string bytes_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_RECORDING_RAW_RECORDING_H_
