// Split DWARF (-gsplit-dwarf): the linked file keeps of each unit only a skeleton, with its ranges and lines; functions
// and inlined calls are in a .dwo file beside the object file, or gathered with all others in one .dwp.
//
// A .dwp is an archive: its index says, for each unit by its id, which slice of each section is that unit's. So a unit
// of a .dwp is read as if it were a .dwo with just those slices.
//
// Threads:    one thread at a time.
// Invariants: a file is taken only if it holds a unit with the skeleton's id: a .dwo is rewritten by each compilation.
#ifndef ALLOCLINE_SYMBOLIZE_SPLIT_DWARF_H_
#define ALLOCLINE_SYMBOLIZE_SPLIT_DWARF_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "symbolize/dwarf_file.h"
#include "symbolize/elf_file.h"

namespace allocline {

// The unit that a skeleton stands for, and what keeps it readable.
struct SplitUnit {
  std::unique_ptr<ElfFile> elf;  // null for a unit of a .dwp
  std::unique_ptr<DwarfFile> dwarf;
  DwarfUnit* unit = nullptr;
};

class DwpFile {
 public:
  static absl::StatusOr<std::unique_ptr<DwpFile>> Open(const std::string& path);
  // The sections of one unit; nullopt if it is not in here.
  std::optional<DwarfSections> Find(uint64_t dwo_id) const;
  std::vector<uint64_t> ids() const;

 private:
  struct Slice {
    uint32_t offset = 0, bytes = 0;
  };
  struct UnitSlices {
    Slice info, abbrev, str_offsets, line, rnglists;
  };
  absl::Status ReadIndex(std::string_view index);

  std::unique_ptr<ElfFile> elf_;
  DwarfSections all_;
  absl::flat_hash_map<uint64_t, UnitSlices> units_;
};

class SplitUnitFinder {
 public:
  // Looks for FILE.dwp beside each of `linked_files` and in `debug_paths`; for a .dwo where the skeleton says, beside
  // the linked files, and in `debug_paths`.
  SplitUnitFinder(const std::vector<std::string>& linked_files, const std::vector<std::string>& debug_paths);

  // nullopt: not found, missing() counts it.
  std::optional<SplitUnit> Find(const DwarfFile& main, const DwarfUnit& skeleton);

  // "" or one line about the units whose split part was not found.
  std::string problem() const;

 private:
  std::optional<SplitUnit> FindInDwp(uint64_t dwo_id);
  std::optional<SplitUnit> FindInDwo(const DwarfUnit& skeleton);

  std::vector<std::string> directories_;  // of the linked files, then the debug paths
  std::vector<std::unique_ptr<DwpFile>> dwps_;
  std::string first_problem_;
  std::string first_missing_;
  size_t missing_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_SPLIT_DWARF_H_
