#include "report/escape.h"

#include <cstdint>

namespace allocline {
namespace {

uint8_t Byte(std::string_view text, size_t index) { return static_cast<uint8_t>(text[index]); }

// Characters that do not print but steer: they move the cursor, reorder the line or break it.
bool IsSteering(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) ||          // C0, DEL, C1
         c == 0x061c || c == 0x200e || c == 0x200f ||    // direction marks
         (c >= 0x2028 && c <= 0x202e) ||                 // line and paragraph separators, embeddings, overrides
         (c >= 0x2066 && c <= 0x2069) ||                 // isolates
         c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||  // byte order mark, interlinear annotation
         (c >= 0xe0000 && c <= 0xe007f);                 // tags
}

void AppendHex(std::string_view bytes, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (char c : bytes) {
    uint8_t byte = static_cast<uint8_t>(c);
    *out += "\\x";
    *out += kDigits[byte >> 4];
    *out += kDigits[byte & 15];
  }
}

}  // namespace

size_t DecodeUtf8(std::string_view text, char32_t* code_point) {
  if (text.empty()) return 0;
  uint8_t first = Byte(text, 0);
  if (first < 0x80) {
    *code_point = first;
    return 1;
  }
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  char32_t value = first & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((Byte(text, i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (Byte(text, i) & 0x3f);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
  *code_point = value;
  return length;
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    char32_t c = 0;
    size_t length = DecodeUtf8(text, &c);
    bool shown = length > 0 && !IsSteering(c);
    if (length == 0) length = 1;
    if (shown) {
      out += text.substr(0, length);
    } else {
      AppendHex(text.substr(0, length), &out);
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string ValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    char32_t c = 0;
    size_t length = DecodeUtf8(text, &c);
    if (length > 0) {
      out += text.substr(0, length);
    } else {
      out += "\xef\xbf\xbd";
      length = 1;
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace allocline
