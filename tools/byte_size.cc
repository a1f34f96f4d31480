#include "tools/byte_size.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

#include "report/size_text.h"

namespace allocline {
namespace {

// -1 for what is no unit.
int ShiftOf(std::string_view unit) {
  std::string lower;
  for (const char c : unit) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (lower.empty() || lower == "b") return 0;
  constexpr std::string_view kLetters = "kmgt";
  const size_t letter = kLetters.find(lower[0]);
  const std::string rest = lower.substr(1);
  if (letter == kLetters.npos || (rest != "" && rest != "b" && rest != "ib")) return -1;
  return 10 * static_cast<int>(letter + 1);
}

}  // namespace

absl::StatusOr<uint64_t> ParseByteSize(const std::string& option, const std::string& text, uint64_t least,
                                       uint64_t most) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  const int shift = error == std::errc() ? ShiftOf(std::string_view(end, text.data() + text.size())) : -1;
  const double bytes = shift < 0 ? -1 : std::floor(std::ldexp(value, shift));
  if (!(bytes >= static_cast<double>(least) && bytes <= static_cast<double>(most))) {
    return absl::InvalidArgumentError(fmt::format("{} {}: expected a number of bytes from {} to {}, such as 512K or 4M",
                                                  option, text, SizeText(static_cast<double>(least)),
                                                  SizeText(static_cast<double>(most))));
  }
  return static_cast<uint64_t>(bytes);
}

}  // namespace allocline
