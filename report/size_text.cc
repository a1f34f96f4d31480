#include "report/size_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace allocline {
namespace {

std::string Format(double bytes, bool with_sign) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  constexpr size_t kLast = std::size(kUnits) - 1;
  for (size_t unit = 0;; ++unit, bytes /= 1024) {
    // Both limits are tests of the value before it is rounded: 99.96 prints as "100.0", 10239.5 as "10240".
    if (unit > 0 && std::abs(bytes) < 100) {
      return fmt::format(fmt::runtime(with_sign ? "{:+.1f} {}" : "{:.1f} {}"), bytes, kUnits[unit]);
    }
    if (std::abs(bytes) < 10 * 1024 || unit == kLast) {
      return fmt::format(fmt::runtime(with_sign ? "{:+.0f} {}" : "{:.0f} {}"), bytes, kUnits[unit]);
    }
  }
}

}  // namespace

std::string SizeText(double bytes) { return Format(bytes, false); }
std::string SignedSizeText(double bytes) { return Format(bytes, true); }

std::string CountText(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace allocline
