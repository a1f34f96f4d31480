#include "tests/fuzz/mutate_recording.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>

#include "recording/format.h"

namespace allocline {
namespace {

using format::Extent;
using format::FileHeader;

class Mutation {
 public:
  Mutation(std::string& bytes, uint64_t seed) : bytes_(bytes), random_(seed) {}

  void Apply() {
    if (bytes_.size() < format::kHeaderBytes + format::kPageBytes)
      bytes_.resize(format::kHeaderBytes + format::kPageBytes);
    switch (Below(8)) {
      case 0:
        return bytes_.resize(Below(bytes_.size() + 1));
      case 1:
        return SwapRecords();
      case 2:
        return AddExtent();
      default:
        return ChangeField();
    }
  }

 private:
  uint64_t Below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }

  // A place of `bytes` bytes, aligned to them, where something is: a header field, an extent, a record.
  size_t Place(size_t bytes) {
    const auto header = Load<FileHeader>(0);
    size_t begin = 0, end = sizeof(FileHeader);
    const uint64_t extents = std::min<uint64_t>(header.extent_count, format::kMaxExtents);
    switch (Below(8)) {
      case 0:
        begin = offsetof(FileHeader, live_bytes);
        break;
      case 1:
        begin = format::kHeaderBytes;
        end = begin + (extents + 1) * sizeof(Extent);
        break;
      default:
        if (extents == 0) break;
        const auto extent = Load<Extent>(format::kHeaderBytes + Below(extents) * sizeof(Extent));
        begin = std::min<uint64_t>(extent.file_offset, bytes_.size());
        end = begin + std::min<uint64_t>(header.tables[extent.kind % format::kTableCount].used, extent.bytes) + 16;
    }
    end = std::min(end, bytes_.size());
    if (end < begin + bytes) return 0;
    return begin + Below((end - begin) / bytes) * bytes;
  }

  uint64_t Value(uint64_t before) {
    static constexpr uint64_t kInteresting[] = {0,    1,    2,    7,          8,          31,         32,
                                                0x7f, 0x80, 0xff, 0xffff,     0x7fffffff, 0x80000000, 0xfffffffe,
                                                4096, 8192, 4095, 0xffffffff, ~0ull - 1,  ~0ull,      1ull << 63};
    switch (Below(5)) {
      case 0:
        return kInteresting[Below(std::size(kInteresting))];
      case 1:
        return before + Below(33) - 16;
      case 2:
        return before ^ (uint64_t{1} << Below(64));
      case 3:
        return Below(bytes_.size() / format::kPageBytes + 1) * format::kPageBytes;
      default:
        return random_() >> Below(64);
    }
  }

  template <typename T>
  T Load(size_t at) const {
    T value{};
    if (at < bytes_.size()) memcpy(&value, bytes_.data() + at, std::min(sizeof(T), bytes_.size() - at));
    return value;
  }

  void ChangeField() {
    const size_t width = size_t{1} << Below(4);
    const size_t at = Place(width);
    uint64_t value = Load<uint64_t>(at);
    value = Value(width == 8 ? value : value & ((uint64_t{1} << width * 8) - 1));
    memcpy(bytes_.data() + at, &value, std::min(width, bytes_.size() - at));
  }

  void SwapRecords() {
    const size_t width = 16;
    char a[width], b[width];
    const size_t at = Place(width), other = Place(width);
    if (std::max(at, other) + width > bytes_.size()) return;
    memcpy(a, bytes_.data() + at, width);
    memcpy(b, bytes_.data() + other, width);
    memcpy(bytes_.data() + at, b, width);
    memcpy(bytes_.data() + other, a, width);
  }

  // A table goes on in a new page at the end of the file.
  void AddExtent() {
    auto header = Load<FileHeader>(0);
    if (header.extent_count >= format::kMaxExtents || bytes_.size() > (size_t{1} << 17)) return;
    bytes_.resize((bytes_.size() + format::kPageBytes - 1) / format::kPageBytes * format::kPageBytes);
    Extent added{.kind = static_cast<uint32_t>(1 + Below(format::kTableCount - 1)),
                 .reserved = 0,
                 .table_offset = 0,
                 .file_offset = bytes_.size(),
                 .bytes = format::kPageBytes};
    for (uint32_t i = 0; i < header.extent_count; ++i) {
      const auto extent = Load<Extent>(format::kHeaderBytes + i * sizeof(Extent));
      if (extent.kind == added.kind) added.table_offset += extent.bytes;
    }
    header.tables[added.kind].used = added.table_offset + Below(format::kPageBytes + 1);
    memcpy(bytes_.data() + format::kHeaderBytes + header.extent_count++ * sizeof(Extent), &added, sizeof(added));
    memcpy(bytes_.data(), &header, sizeof(header));
    for (uint64_t i = 0; i < format::kPageBytes / 8; ++i) {
      const uint64_t word = Below(3) == 0 ? 0 : random_() >> Below(64);
      bytes_.append(reinterpret_cast<const char*>(&word), sizeof(word));
    }
  }

  std::string& bytes_;
  std::mt19937_64 random_;
};

}  // namespace

std::string MutateRecording(std::string bytes, uint64_t seed) {
  Mutation mutation(bytes, seed);
  for (uint64_t i = 0; i <= seed % 3; ++i) mutation.Apply();
  return bytes;
}

}  // namespace allocline
