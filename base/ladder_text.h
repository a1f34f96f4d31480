// How a ladder is written: "50,70,80,90,95", percents of a limit.
//
// Context: for the tracer too: no allocation.
#ifndef ALLOCLINE_BASE_LADDER_TEXT_H_
#define ALLOCLINE_BASE_LADDER_TEXT_H_

#include <stddef.h>
#include <stdint.h>

namespace allocline {

// A limit that is emulated: less than that is less than a process takes to begin.
inline constexpr uint64_t kLeastLimit = 4 << 20;
inline constexpr char kDefaultLadderText[] = "50,70,80,90,95";

// "50,70,80,90,95" or "off": into `rungs`, rising, each once, with zeros behind. False, and no rungs, for anything
// else: each is a number from 1 to 99, and there are at most kCount.
template <size_t kCount>
constexpr bool ParseLadder(const char* text, uint8_t (&rungs)[kCount]) {
  for (uint8_t& rung : rungs) rung = 0;
  if (text[0] == 'o' && text[1] == 'f' && text[2] == 'f' && text[3] == '\0') return true;
  bool is_rung[100] = {};
  for (;; ++text) {
    unsigned percent = 0;
    int digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 3; ++text, ++digits) {
      percent = percent * 10 + static_cast<unsigned>(*text - '0');
    }
    if (percent < 1 || percent > 99 || (*text != ',' && *text != '\0')) return false;
    is_rung[percent] = true;
    if (*text == '\0') break;
  }
  size_t count = 0;
  for (unsigned percent = 1; percent < 100; ++percent) count += is_rung[percent] ? 1 : 0;
  if (count > kCount) return false;
  count = 0;
  for (unsigned percent = 1; percent < 100; ++percent) {
    if (is_rung[percent]) rungs[count++] = static_cast<uint8_t>(percent);
  }
  return true;
}

}  // namespace allocline

#endif  // ALLOCLINE_BASE_LADDER_TEXT_H_
