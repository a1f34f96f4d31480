// The line table of a unit: which file and line each instruction came from.
//
// A line table is a program for a small machine that emits rows (address, file, line) in ascending order within a
// *sequence*, one per function section. The usual reader runs it, keeps every row, sorts them and then searches. We
// know the addresses we want before it runs, and they are sorted: they are merged with the rows as those appear, and no
// row is kept. File names are put together only when asked for.
//
// Threads:    one thread at a time.
// At the edge: rows behind damage are missing; sequences at address 0 belong to functions the linker threw away.
#ifndef ALLOCLINE_SYMBOLIZE_DWARF_LINES_H_
#define ALLOCLINE_SYMBOLIZE_DWARF_LINES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "symbolize/dwarf_file.h"

namespace allocline {

struct LineRow {
  uint64_t address = 0;  // of the first instruction of the row
  uint64_t file = 0;     // for LineTable::FilePath
  uint32_t line = 0;
  bool found = false;
  bool approximate = false;  // the row of the address itself had line 0
};

class LineTable {
 public:
  // The table at `offset` of file's .debug_line; `unit` gives what its header of DWARF 2 to 4 leaves out.
  static absl::StatusOr<LineTable> Parse(const DwarfFile& file, const DwarfUnit& unit, uint64_t offset);

  // The row that each address lies in; `addresses` ascend. A compiler marks code that belongs to no line with line 0;
  // such an address gets the last row with a line before it in its file and sequence, most likely the statement it is
  // part of.
  std::vector<LineRow> FindRows(std::span<const uint64_t> addresses) const;

  // Absolute and without "." and "..", "" if there is no such file.
  const std::string& FilePath(uint64_t index);

 private:
  struct FileEntry {
    std::string_view name;
    uint64_t directory;
  };
  bool ParseHeader(ByteCursor& cursor);
  void ParseNamesBefore5(ByteCursor& cursor);
  bool ParseNames5(ByteCursor& cursor, bool directories);
  std::vector<uint64_t> FirstOfEachName() const;

  const DwarfFile* file_ = nullptr;
  const DwarfUnit* unit_ = nullptr;
  DwarfEncoding encoding_;
  std::string_view program_;
  uint8_t min_instruction_bytes_ = 1;
  int8_t line_base_ = 0;
  uint8_t line_range_ = 1;
  uint8_t opcode_base_ = 1;
  std::string_view opcode_lengths_;
  std::vector<std::string_view> directories_;
  std::vector<FileEntry> files_;
  std::vector<std::string> paths_;  // as far as asked for
};

// `path` made absolute with `directory`, without "." and "//", and with "a/.." resolved by its text: compilers write
// /usr/lib/gcc/x86_64-linux-gnu/12/../../../../include/c++/12/new, and no reader should have to.
std::string JoinPath(std::string_view directory, std::string_view path);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DWARF_LINES_H_
