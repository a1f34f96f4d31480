// Recordings are pages with little on them. Packed, they are small enough for a corpus, and a fuzzer that changes
// packed bytes changes what matters.
//
//   packed:  bytes as they are, but a 0 is followed by a LEB128 number n and stands for n + 1 zeros
#ifndef ALLOCLINE_TESTS_FUZZ_PACKED_BYTES_H_
#define ALLOCLINE_TESTS_FUZZ_PACKED_BYTES_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace allocline {

inline constexpr size_t kMaxUnpackedBytes = size_t{1} << 18;

std::string Pack(std::string_view bytes);
// Any input unpacks to something: a run of zeros is cut at kMaxUnpackedBytes in all, a number that is none counts as 0.
std::string Unpack(std::string_view packed);

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_FUZZ_PACKED_BYTES_H_
