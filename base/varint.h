// Unsigned LEB128: seven bits a byte, least significant first, the top bit set on all bytes but the last.
//
// Threads: pure functions.
// Context: usable inside malloc: no allocation, no locks, no library calls.
// Edges:   DecodeVarint refuses input that ends within a number and numbers above 2^64 - 1, and never reads past `end`.
//          A number padded with zero groups (0x80 0x00) decodes: writers do not make them, readers need not care.
#ifndef ALLOCLINE_BASE_VARINT_H_
#define ALLOCLINE_BASE_VARINT_H_

#include <cstddef>
#include <cstdint>

namespace allocline {

inline constexpr size_t kMaxVarintBytes = 10;

// Writes `value` at `out`, which has room for kMaxVarintBytes, and gives the byte after it.
inline unsigned char* EncodeVarint(uint64_t value, unsigned char* out) {
  while (value >= 0x80) {
    *out++ = static_cast<unsigned char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<unsigned char>(value);
  return out;
}

inline constexpr size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

// Reads one number from [in, end) into `value` and gives the byte after it, or nullptr (and leaves `value` alone) if
// there is none.
inline const unsigned char* DecodeVarint(const unsigned char* in, const unsigned char* end, uint64_t* value) {
  uint64_t result = 0;
  for (unsigned shift = 0; in != end && shift < 64; shift += 7) {
    const uint64_t group = *in & 0x7f;
    if (shift == 63 && group > 1) return nullptr;  // does not fit in 64 bits
    result |= group << shift;
    if ((*in++ & 0x80) == 0) {
      *value = result;
      return in;
    }
  }
  return nullptr;
}

}  // namespace allocline

#endif  // ALLOCLINE_BASE_VARINT_H_
