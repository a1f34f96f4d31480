#include "tests/fuzz/packed_bytes.h"

#include <algorithm>
#include <cstdint>

#include "base/varint.h"

namespace allocline {

std::string Pack(std::string_view bytes) {
  std::string packed;
  for (size_t i = 0; i < bytes.size();) {
    packed.push_back(bytes[i]);
    if (bytes[i++] != '\0') continue;
    const size_t end = std::min(bytes.find_first_not_of('\0', i), bytes.size());
    unsigned char number[kMaxVarintBytes];
    packed.append(reinterpret_cast<const char*>(number), EncodeVarint(end - i, number) - number);
    i = end;
  }
  return packed;
}

std::string Unpack(std::string_view packed) {
  std::string bytes;
  const auto* in = reinterpret_cast<const unsigned char*>(packed.data());
  const auto* const end = in + packed.size();
  while (in != end && bytes.size() < kMaxUnpackedBytes) {
    bytes.push_back(static_cast<char>(*in));
    if (*in++ != 0) continue;
    uint64_t more = 0;
    if (const unsigned char* after = DecodeVarint(in, end, &more)) in = after;
    bytes.append(static_cast<size_t>(std::min<uint64_t>(more, kMaxUnpackedBytes - bytes.size())), '\0');
  }
  return bytes;
}

}  // namespace allocline
