#include "symbolize/dwarf_lines.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace allocline {
namespace {

constexpr uint64_t kMaxFormats = 16;  // kinds of field in a file entry; five are defined

}  // namespace

absl::StatusOr<LineTable> LineTable::Parse(const DwarfFile& file, const DwarfUnit& unit, uint64_t offset) {
  LineTable table;
  table.file_ = &file;
  table.unit_ = &unit;
  ByteCursor cursor(file.sections().line, offset);
  if (!table.ParseHeader(cursor)) {
    return absl::DataLossError(fmt::format("line table at {:#x} of .debug_line is damaged", offset));
  }
  table.paths_.resize(table.files_.size());
  return table;
}

bool LineTable::ParseHeader(ByteCursor& cursor) {
  encoding_ = unit_->encoding;
  encoding_.offset_bytes = 4;
  uint64_t length = cursor.U32();
  if (length == 0xffffffff) {
    encoding_.offset_bytes = 8;
    length = cursor.U64();
  }
  if (!cursor.ok() || length > cursor.remaining()) return false;
  cursor = ByteCursor(file_->sections().line.substr(0, cursor.offset() + length), cursor.offset());
  encoding_.version = cursor.U16();
  if (encoding_.version < 2 || encoding_.version > 5) return false;
  if (encoding_.version >= 5) {
    encoding_.address_bytes = cursor.U8();
    cursor.U8();  // segment selectors, which nobody has
  }
  uint64_t header_bytes = cursor.Unsigned(encoding_.offset_bytes);
  if (header_bytes > cursor.remaining()) return false;
  ByteCursor program = cursor;
  program.Skip(header_bytes);
  program_ = program.Bytes(program.remaining());
  min_instruction_bytes_ = cursor.U8();
  if (encoding_.version >= 4) cursor.U8();  // operations per instruction: 1 outside VLIW machines
  cursor.U8();                              // is_stmt by default: every row names its line, statement or not
  line_base_ = static_cast<int8_t>(cursor.U8());
  line_range_ = cursor.U8();
  opcode_base_ = cursor.U8();
  if (!cursor.ok() || line_range_ == 0 || opcode_base_ == 0) return false;
  opcode_lengths_ = cursor.Bytes(opcode_base_ - 1);
  if (encoding_.version >= 5) return ParseNames5(cursor, true) && ParseNames5(cursor, false);
  ParseNamesBefore5(cursor);
  return cursor.ok();
}

// Numbered from 1; directory 0 is the compilation's.
void LineTable::ParseNamesBefore5(ByteCursor& cursor) {
  directories_.push_back(unit_->comp_dir);
  for (std::string_view name = cursor.CString(); !name.empty(); name = cursor.CString()) directories_.push_back(name);
  files_.push_back({});
  for (std::string_view name = cursor.CString(); !name.empty(); name = cursor.CString()) {
    files_.push_back({.name = name, .directory = cursor.Uleb()});
    cursor.Uleb();  // time
    cursor.Uleb();  // size
  }
}

// Numbered from 0, each entry as a format in front of them describes it.
bool LineTable::ParseNames5(ByteCursor& cursor, bool directories) {
  struct Field {
    uint64_t content;  // DW_LNCT_*
    uint16_t form;
  } fields[kMaxFormats];
  const unsigned field_count = cursor.U8();
  if (field_count > kMaxFormats) return false;
  for (unsigned i = 0; i < field_count; ++i) {
    uint64_t content = cursor.Uleb();
    uint64_t form = cursor.Uleb();
    if (form > 0xffff) return false;
    fields[i] = {.content = content, .form = static_cast<uint16_t>(form)};
  }
  const uint64_t count = cursor.Uleb();
  if (count > cursor.remaining()) return false;  // an entry has a byte at least: a bound on what we allocate
  for (uint64_t i = 0; i < count; ++i) {
    FileEntry entry = {};
    for (unsigned k = 0; k < field_count; ++k) {
      FormValue value = ReadForm(cursor, fields[k].form, 0, encoding_);
      if (fields[k].content == DW_LNCT_path) entry.name = file_->Text(*unit_, value);
      if (fields[k].content == DW_LNCT_directory_index) entry.directory = value.number;
    }
    if (!cursor.ok()) return false;
    if (directories) {
      directories_.push_back(entry.name);
    } else {
      files_.push_back(entry);
    }
  }
  return true;
}

std::vector<uint64_t> LineTable::FirstOfEachName() const {
  std::vector<uint64_t> first(files_.size());
  absl::flat_hash_map<std::pair<std::string_view, uint64_t>, uint64_t> known;
  known.reserve(files_.size());
  for (uint64_t i = 0; i < files_.size(); ++i) {
    first[i] = known.try_emplace({files_[i].name, files_[i].directory}, i).first->second;
  }
  return first;
}

const std::string& LineTable::FilePath(uint64_t index) {
  static const std::string kNone;
  if (index >= files_.size()) return kNone;
  std::string& path = paths_[index];
  const FileEntry& entry = files_[index];
  if (!path.empty() || entry.name.empty()) return path;
  std::string_view directory = entry.directory < directories_.size() ? directories_[entry.directory] : "";
  path = JoinPath(JoinPath(unit_->comp_dir, directory), entry.name);
  return path;
}

namespace {

// Merges the rows of a running line program with ascending addresses.
class RowMatcher {
 public:
  // `first_of` gives, for every file, the first one of its name: clang lists a unit's own file twice.
  RowMatcher(std::span<const uint64_t> addresses, std::vector<uint64_t> first_of, std::vector<LineRow>* rows)
      : addresses_(addresses), first_of_(std::move(first_of)), rows_(*rows), last_with_line_(first_of_.size()) {}

  // An instruction of the program emits a row.
  void Row(uint64_t address, uint64_t file, uint32_t line) {
    if (!in_sequence_ || address < row_.address) {
      StartAt(address);
    } else {
      CloseRow(address);
    }
    row_ = {.address = address, .file = file, .line = line, .found = true};
    if (line != 0 && file < first_of_.size()) {
      last_with_line_[first_of_[file]] = {.sequence = sequence_, .address = address, .line = line};
    }
  }
  void EndSequence(uint64_t address) {
    if (in_sequence_) CloseRow(address);
    in_sequence_ = false;
  }

 private:
  struct RowWithLine {  // the last one of a file
    uint64_t sequence = 0;
    uint64_t address = 0;
    uint32_t line = 0;
  };

  void StartAt(uint64_t address) {
    in_sequence_ = true;
    ++sequence_;
    next_ = static_cast<size_t>(std::lower_bound(addresses_.begin(), addresses_.end(), address) - addresses_.begin());
    if (address == 0) next_ = addresses_.size();  // a function that the linker threw away
  }
  // All wanted addresses below `end` lie in the current row.
  void CloseRow(uint64_t end) {
    for (; next_ < addresses_.size() && addresses_[next_] < end; ++next_) {
      LineRow& row = rows_[next_];
      if (row.found) continue;
      row = row_;
      if (row.line != 0 || row.file >= first_of_.size()) continue;
      const RowWithLine& before = last_with_line_[first_of_[row.file]];
      if (before.sequence != sequence_) continue;
      row.address = before.address;
      row.line = before.line;
      row.approximate = true;
    }
  }

  std::span<const uint64_t> addresses_;
  const std::vector<uint64_t> first_of_;
  std::vector<LineRow>& rows_;
  size_t next_ = 0;  // the first address not yet passed in this sequence
  bool in_sequence_ = false;
  uint64_t sequence_ = 0;
  LineRow row_;
  std::vector<RowWithLine> last_with_line_;  // by file
};

}  // namespace

std::vector<LineRow> LineTable::FindRows(std::span<const uint64_t> addresses) const {
  std::vector<LineRow> rows(addresses.size());
  RowMatcher matcher(addresses, FirstOfEachName(), &rows);
  uint64_t address = 0, file = 1;
  uint32_t line = 1;
  const unsigned const_add_pc = (255u - opcode_base_) / line_range_;
  auto advance = [&](uint64_t instructions) { address += instructions * min_instruction_bytes_; };
  ByteCursor cursor(program_);
  while (!cursor.AtEnd()) {
    const uint8_t opcode = cursor.U8();
    if (opcode >= opcode_base_) {  // one byte that advances both address and line, then emits
      const unsigned adjusted = opcode - opcode_base_;
      advance(adjusted / line_range_);
      line += static_cast<uint32_t>(line_base_ + static_cast<int>(adjusted % line_range_));
      matcher.Row(address, file, line);
      continue;
    }
    switch (opcode) {
      case 0: {  // an extended opcode, with its length in front
        std::string_view bytes = cursor.Bytes(cursor.Uleb());
        ByteCursor extended(bytes);
        switch (extended.U8()) {
          case DW_LNE_end_sequence:
            matcher.EndSequence(address);
            address = 0;
            file = 1;
            line = 1;
            break;
          case DW_LNE_set_address:
            address = extended.Unsigned(static_cast<unsigned>(std::min<uint64_t>(extended.remaining(), 8)));
            break;
          default:
            break;  // DW_LNE_define_file is long out of use; discriminators and the like do not move the row
        }
        break;
      }
      case DW_LNS_copy:
        matcher.Row(address, file, line);
        break;
      case DW_LNS_advance_pc:
        advance(cursor.Uleb());
        break;
      case DW_LNS_advance_line:
        line += static_cast<uint32_t>(cursor.Sleb());
        break;
      case DW_LNS_set_file:
        file = cursor.Uleb();
        break;
      case DW_LNS_const_add_pc:
        advance(const_add_pc);
        break;
      case DW_LNS_fixed_advance_pc:
        address += cursor.U16();
        break;
      default:  // one that does not move the row: step over its operands
        for (unsigned i = 0; i < static_cast<uint8_t>(opcode_lengths_[opcode - 1]); ++i) cursor.Uleb();
        break;
    }
  }
  return rows;
}

std::string JoinPath(std::string_view directory, std::string_view path) {
  std::string joined;
  auto append = [&joined](std::string_view part) {
    while (!part.empty()) {
      size_t slash = part.find('/');
      std::string_view component = part.substr(0, slash);
      part = slash == std::string_view::npos ? std::string_view() : part.substr(slash + 1);
      if (component.empty() || component == ".") continue;
      size_t last = joined.rfind('/');
      std::string_view before =
          last == std::string::npos ? std::string_view(joined) : std::string_view(joined).substr(last + 1);
      if (component == ".." && joined == "/") continue;
      if (component == ".." && !before.empty() && before != "..") {
        joined.resize(last == std::string::npos ? 0 : std::max<size_t>(last, joined[0] == '/' ? 1 : 0));
        continue;
      }
      if (!joined.empty() && joined.back() != '/') joined += '/';
      joined += component;
    }
  };
  const bool path_is_absolute = path.starts_with('/');
  if (path_is_absolute || directory.starts_with('/')) joined += '/';
  if (!path_is_absolute) append(directory);
  append(path);
  return joined;
}

}  // namespace allocline
