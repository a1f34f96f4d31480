// Byte counts as tracemalloc prints them: "66 B", "10.0 KiB", "1024 MiB", with a sign "+5000 B".
//
// The unit grows while the value is at least 10240 of it; from KiB on, values below 100 get one decimal.
#ifndef ALLOCLINE_REPORT_SIZE_TEXT_H_
#define ALLOCLINE_REPORT_SIZE_TEXT_H_

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace allocline {

std::string SizeText(double bytes);
template <std::integral Bytes>
std::string SizeText(Bytes bytes) {
  return SizeText(static_cast<double>(bytes));
}
std::string SignedSizeText(double bytes);  // always with a sign: "+0 B"

// "1 block", "2 blocks": `noun` is the singular, its plural adds an s.
std::string CountText(int64_t count, std::string_view noun);
template <std::integral Count>
std::string CountText(Count count, std::string_view noun) {
  return CountText(static_cast<int64_t>(count), noun);
}

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_SIZE_TEXT_H_
