// libFuzzer target: any bytes as the line table of Python code, of each kind. The first four are the first line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "recording/python_lines.h"

using allocline::PythonLineRange;
using allocline::format::LineTableKind;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int32_t first_line = 0;
  if (size < sizeof(first_line)) return 0;
  memcpy(&first_line, data, sizeof(first_line));
  // A copy of exactly this size: a read behind its end is seen.
  const size_t bytes = size - sizeof(first_line);
  char* exact = static_cast<char*>(malloc(bytes == 0 ? 1 : bytes));
  memcpy(exact, data + sizeof(first_line), bytes);
  const std::string_view table(exact, bytes);
  for (LineTableKind kind : {LineTableKind::kLnotab, LineTableKind::kLineTable, LineTableKind::kLocations}) {
    allocline::PythonLineRanges ranges(kind, first_line, table);
    uint64_t end = 0;
    for (PythonLineRange range; ranges.Next(&range); end = range.end) {
      if (range.begin != end || range.end <= range.begin || range.line < allocline::kNoPythonLine) abort();
      if (size < 1000 && allocline::PythonLine(kind, first_line, table, range.begin) != range.line) abort();
    }
  }
  free(exact);
  return 0;
}
