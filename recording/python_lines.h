// Which line of its source an instruction of Python code is on: co_lnotab, co_linetable.
//
// A code object says it in a table of steps, each so many bytes of instructions further and so many lines further, both
// in one or two bytes. The form of a step changed twice (format::LineTableKind):
//
//   up to 3.9   two bytes: offset += u8, line += i8. A step of more than 255 bytes or 127 lines is taken in several;
//               the line holds from there on.
//   3.10        two bytes: the line changes by i8 (-128: is none), and holds for the next u8 bytes.
//   3.11        one byte 1kkkklll: lll + 1 instructions of two bytes, and kkkk says how line and columns follow:
//                 0..9   same line          10..12  line += k - 10        13, 14  line += a signed varint
//                 15     no line            behind it come bytes without bit 7 (columns): to be skipped
//
// What comes out is what the interpreter's PyCode_Addr2Line() gives, by which traceback and tracemalloc number lines:
// for every instruction, those without a line among them. A table of any bytes is read without leaving it, in a time
// that grows with its length.
//
// Context: nothing here allocates: reports use it, and the tracer where a program asks it for a traceback.
#ifndef ALLOCLINE_RECORDING_PYTHON_LINES_H_
#define ALLOCLINE_RECORDING_PYTHON_LINES_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "recording/format.h"

namespace allocline {

// Of instructions that are on no line (what ends a with block, say), and of offsets behind the code. tracemalloc shows
// line 0 for it.
inline constexpr int32_t kNoPythonLine = -1;

// Instructions [begin, end) are on `line`.
struct PythonLineRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  int32_t line = kNoPythonLine;
};

// The ranges of a code's line table, by rising offset, none of them empty, without a gap, from 0 to the end of what the
// table tells of.
class PythonLineRanges {
 public:
  // `table` must outlive this.
  PythonLineRanges(format::LineTableKind kind, int32_t first_line, std::string_view table)
      : kind_(kind), table_(table), line_(static_cast<uint32_t>(first_line)) {}

  bool Next(PythonLineRange* range) {
    switch (kind_) {
      case format::LineTableKind::kLnotab:
        return NextOfLnotab(range);
      case format::LineTableKind::kLineTable:
        return NextOfLineTable(range);
      case format::LineTableKind::kLocations:
        return NextOfLocations(range);
      case format::LineTableKind::kNone:
        break;
    }
    return false;
  }

 private:
  bool MorePairs() const { return table_.size() - at_ >= 2; }
  uint32_t Byte(size_t index) const { return static_cast<uint8_t>(table_[index]); }
  // As the signed byte it is, widened; adding it modulo 2^32 adds or subtracts.
  uint32_t SignedByte(size_t index) const { return static_cast<uint32_t>(static_cast<int8_t>(table_[index])); }
  // Only a damaged table leads to lines below 0.
  int32_t Line() const { return line_ <= INT32_MAX ? static_cast<int32_t>(line_) : kNoPythonLine; }

  bool NextOfLnotab(PythonLineRange* range) {
    if (ended_) return false;
    for (; MorePairs() && Byte(at_) == 0; at_ += 2) line_ += SignedByte(at_ + 1);
    *range = {.begin = offset_, .end = UINT64_MAX, .line = Line()};
    if (!MorePairs()) {
      ended_ = true;  // the last line goes on for ever
      return true;
    }
    range->end = offset_ += Byte(at_);
    line_ += SignedByte(at_ + 1);
    at_ += 2;
    return true;
  }

  bool NextOfLineTable(PythonLineRange* range) {
    while (MorePairs()) {
      const uint64_t begin = offset_;
      offset_ += Byte(at_);
      const uint32_t change = SignedByte(at_ + 1);
      at_ += 2;
      const bool has_line = change != static_cast<uint32_t>(-128);
      if (has_line) line_ += change;
      if (offset_ == begin) continue;
      *range = {.begin = begin, .end = offset_, .line = has_line ? Line() : kNoPythonLine};
      return true;
    }
    return false;
  }

  bool NextOfLocations(PythonLineRange* range) {
    constexpr uint32_t kWithoutColumns = 13, kLong = 14, kNone = 15;
    if (at_ >= table_.size()) return false;
    const uint32_t first = Byte(at_++);
    const uint32_t kind = (first >> 3) & 15;
    if (kind >= 10 && kind <= 12) line_ += kind - 10;
    if (kind == kWithoutColumns || kind == kLong) line_ += SignedVarint();
    while (at_ < table_.size() && Byte(at_) < 0x80) ++at_;
    const uint64_t begin = offset_;
    offset_ += 2 * ((first & 7) + 1);
    *range = {.begin = begin, .end = offset_, .line = kind == kNone ? kNoPythonLine : Line()};
    return true;
  }

  // Six bits a byte, the lowest first; bit 6: there are more. The lowest bit of the value is its sign.
  uint32_t SignedVarint() {
    uint32_t value = 0;
    for (uint32_t shift = 0; at_ < table_.size() && Byte(at_) < 0x80; shift += 6) {
      const uint32_t byte = Byte(at_++);
      if (shift < 32) value |= (byte & 63) << shift;
      if ((byte & 64) == 0) break;
    }
    return (value & 1) != 0 ? 0 - (value >> 1) : value >> 1;
  }

  format::LineTableKind kind_;
  std::string_view table_;
  size_t at_ = 0;        // in table_: the next step
  uint64_t offset_ = 0;  // where it begins
  uint32_t line_;        // modulo 2^32
  bool ended_ = false;
};

// The line of the instruction at `offset`, or kNoPythonLine. format::kNoCodeOffset is of a frame that has not begun,
// whose line is its function's.
inline int32_t PythonLine(format::LineTableKind kind, int32_t first_line, std::string_view table, uint64_t offset) {
  if (offset == format::kNoCodeOffset) return first_line >= 0 ? first_line : kNoPythonLine;
  PythonLineRanges ranges(kind, first_line, table);
  for (PythonLineRange range; ranges.Next(&range);) {
    if (offset < range.end) return range.line;
  }
  return kNoPythonLine;
}

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_PYTHON_LINES_H_
