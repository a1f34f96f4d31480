// Reads little-endian numbers and strings from bytes we do not trust.
//
// Threads:    one owner.
// Invariants: never reads outside the bytes it was given. After the first read that would, ok() is false for good and
//             every read returns 0 or "": a parser may read a whole record and check once.
#ifndef ALLOCLINE_SYMBOLIZE_BYTE_CURSOR_H_
#define ALLOCLINE_SYMBOLIZE_BYTE_CURSOR_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/varint.h"

namespace allocline {

static_assert(std::endian::native == std::endian::little, "ByteCursor copies numbers as they lie");

class ByteCursor {
 public:
  explicit ByteCursor(std::string_view bytes) : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}
  ByteCursor(std::string_view bytes, uint64_t offset) : ByteCursor(bytes) { Skip(offset); }

  bool ok() const { return ok_; }
  bool AtEnd() const { return at_ == end_; }
  uint64_t offset() const { return static_cast<uint64_t>(at_ - begin_); }
  uint64_t remaining() const { return static_cast<uint64_t>(end_ - at_); }

  uint8_t U8() { return Fixed<uint8_t>(); }
  uint16_t U16() { return Fixed<uint16_t>(); }
  uint32_t U32() { return Fixed<uint32_t>(); }
  uint64_t U64() { return Fixed<uint64_t>(); }
  // A number of 1 to 8 bytes.
  uint64_t Unsigned(unsigned bytes) {
    if (bytes > 8 || bytes > remaining()) return Fail();
    uint64_t value = 0;
    std::memcpy(&value, at_, bytes);
    at_ += bytes;
    return value;
  }
  uint64_t Uleb() {
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) return static_cast<uint8_t>(*at_++);  // nearly always
    return LongUleb();
  }
  int64_t Sleb() {
    uint64_t value = 0;
    unsigned shift = 0;
    while (at_ != end_) {
      uint8_t byte = static_cast<uint8_t>(*at_++);
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      shift += 7;
      if (byte < 0x80) {
        if (shift < 64 && (byte & 0x40) != 0) value |= ~uint64_t{0} << shift;
        return static_cast<int64_t>(value);
      }
    }
    return static_cast<int64_t>(Fail());
  }
  std::string_view CString() {
    const void* end = at_ == end_ ? nullptr : std::memchr(at_, 0, remaining());
    if (end == nullptr) {
      Fail();
      return {};
    }
    std::string_view text(at_, static_cast<size_t>(static_cast<const char*>(end) - at_));
    at_ += text.size() + 1;
    return text;
  }
  std::string_view Bytes(uint64_t count) {
    std::string_view bytes(at_, count <= remaining() ? count : 0);
    Skip(count);
    return bytes;
  }
  void Skip(uint64_t count) {
    if (count > remaining()) {
      Fail();
    } else {
      at_ += count;
    }
  }
  // Marks the bytes as unreadable: for a parser that meets something it cannot step over.
  uint64_t Fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }

 private:
  template <typename T>
  T Fixed() {
    if (sizeof(T) > remaining()) return static_cast<T>(Fail());
    T value;
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  uint64_t LongUleb() {
    const auto* in = reinterpret_cast<const unsigned char*>(at_);
    uint64_t value = 0;
    const unsigned char* after = DecodeVarint(in, in + remaining(), &value);
    if (after == nullptr) return Fail();
    at_ += after - in;
    return value;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_BYTE_CURSOR_H_
