// Decompresses sections. Half the time of symbolizing a big binary goes here, so both halves of it are chosen for
// speed: libdeflate inflates about twice as fast as zlib, and the result lies on huge pages, because at 4 KiB a page
// the page faults of a 200 MB section cost as much as inflating it.
//
// Threads: pure functions; LargeBuffer belongs to one owner.
#ifndef ALLOCLINE_SYMBOLIZE_INFLATE_H_
#define ALLOCLINE_SYMBOLIZE_INFLATE_H_

#include <cstddef>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace allocline {

// Zeroed memory straight from the kernel, on huge pages where the system allows.
class LargeBuffer {
 public:
  static absl::StatusOr<LargeBuffer> Create(size_t bytes);
  LargeBuffer() = default;
  LargeBuffer(LargeBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  LargeBuffer& operator=(LargeBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~LargeBuffer();

  char* data() { return data_; }
  std::string_view view() const { return {data_, bytes_}; }

 private:
  char* data_ = nullptr;
  size_t bytes_ = 0;
};

// Inflates a zlib stream that must come to exactly `result_bytes`. A size that no stream of this length can reach is
// refused before any memory is asked for.
absl::StatusOr<LargeBuffer> InflateZlib(std::string_view compressed, size_t result_bytes);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_INFLATE_H_
