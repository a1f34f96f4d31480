// The units of one .debug_info, and what attribute values mean inside each of them.
//
// It is a view of sections: an ELF file's, a .dwo's, or one unit's share of a .dwp. Strings and ranges that it hands
// out point into those sections.
//
// Threads:    one thread at a time.
// Invariants: units are sorted by offset and do not overlap. A DwarfUnit keeps its address for the life of the file.
// At the edge: what cannot be read is left out: a damaged unit has no units behind it, a damaged value is 0 or "".
//             problem() then has the first reason.
#ifndef ALLOCLINE_SYMBOLIZE_DWARF_FILE_H_
#define ALLOCLINE_SYMBOLIZE_DWARF_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "symbolize/dwarf_abbrevs.h"
#include "symbolize/dwarf_forms.h"
#include "symbolize/elf_file.h"

namespace allocline {

class DwarfFile;

struct DwarfSections {
  std::string_view info, abbrev, str, line_str, str_offsets, line, ranges, rnglists, addr;
};
// Sections of a linked file or, with suffix ".dwo", of a split one.
absl::StatusOr<DwarfSections> ReadDwarfSections(ElfFile& file, std::string_view suffix = "");

struct DwarfUnit {
  uint64_t offset = 0;      // of its header in .debug_info
  uint64_t end = 0;         // of its last byte, exclusive
  uint64_t die_offset = 0;  // of its first DIE
  DwarfEncoding encoding;
  uint8_t type = 0;  // DW_UT_*; of an older version: DW_UT_compile, or DW_UT_partial
  bool split = false;
  const AbbrevTable* abbrevs = nullptr;
  // From its first DIE:
  std::string_view name, comp_dir, dwo_name;
  std::optional<uint64_t> dwo_id;
  std::optional<uint64_t> line_offset;  // of its line table
  FormValue low_pc, high_pc, ranges;
  uint64_t base_address = 0;  // what its range lists are relative to
  uint64_t str_offsets_base = 0, addr_base = 0, ranges_base = 0, rnglists_base = 0;
};

// A DIE, wherever it is.
struct DieReference {
  const DwarfFile* file = nullptr;
  uint64_t offset = 0;  // in file's .debug_info
  explicit operator bool() const { return file != nullptr; }
  bool operator==(const DieReference&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const DieReference& die) {
    return H::combine(std::move(h), die.file, die.offset);
  }
};

class DwarfFile {
 public:
  explicit DwarfFile(const DwarfSections& sections, bool split = false);
  DwarfFile(const DwarfFile&) = delete;
  DwarfFile& operator=(const DwarfFile&) = delete;

  // The file that several debug files share (dwz), which must outlive this one.
  void set_alt(const DwarfFile* alt) { alt_ = alt; }
  // Makes `unit`, of this split file, read addresses and ranges as its skeleton in `main` says.
  void AttachToSkeleton(DwarfUnit& unit, const DwarfFile& main, const DwarfUnit& skeleton);

  const DwarfSections& sections() const { return sections_; }
  std::vector<DwarfUnit>& units() { return units_; }
  const std::vector<DwarfUnit>& units() const { return units_; }
  const DwarfUnit* UnitAt(uint64_t info_offset) const;  // that holds the offset, or nullptr
  const absl::Status& problem() const { return problem_; }

  std::string_view Text(const DwarfUnit& unit, const FormValue& value) const;
  std::optional<uint64_t> Address(const DwarfUnit& unit, const FormValue& value) const;
  // Entry `index` of .debug_addr.
  std::optional<uint64_t> IndexedAddress(const DwarfUnit& unit, uint64_t index) const;
  DieReference Reference(const DwarfUnit& unit, const FormValue& value) const;

  // DW_TAG_* of the DIE, 0 if it is damaged.
  uint16_t Tag(const DwarfUnit& unit, uint64_t die_offset) const;
  // Calls visit(name, FormValue) for each attribute of the DIE.
  template <typename Visit>
  void ForEachAttribute(const DwarfUnit& unit, uint64_t die_offset, Visit visit) const {
    ByteCursor cursor(sections_.info.substr(0, unit.end), die_offset);
    const Abbrev* abbrev = unit.abbrevs->Find(cursor.Uleb());
    if (abbrev == nullptr) return;
    for (const AttributeSpec& attribute : unit.abbrevs->Attributes(*abbrev)) {
      FormValue value = ReadForm(cursor, attribute.form, attribute.implicit_const, unit.encoding);
      if (!cursor.ok()) return;
      visit(attribute.name, value);
    }
  }

 private:
  bool ReadUnit(ByteCursor& cursor);
  bool ReadHeader(ByteCursor& cursor, DwarfUnit* unit, uint64_t* abbrev_offset);
  void ReadFirstDie(DwarfUnit* unit);
  absl::StatusOr<const AbbrevTable*> Abbrevs(uint64_t offset, DwarfEncoding encoding);
  void Note(absl::Status problem);

  DwarfSections sections_;
  bool split_;
  const DwarfFile* alt_ = nullptr;
  std::vector<DwarfUnit> units_;
  std::map<std::pair<uint64_t, DwarfEncoding>, std::unique_ptr<AbbrevTable>> abbrevs_;
  uint64_t abbrev_bytes_parsed_ = 0;
  absl::Status problem_;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DWARF_FILE_H_
