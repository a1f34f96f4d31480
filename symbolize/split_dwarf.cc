#include "symbolize/split_dwarf.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "symbolize/dwarf_lines.h"

namespace allocline {
namespace {

namespace fs = std::filesystem;

// Column identifiers of a .dwp index that mean the same in GNU's version 2 and in DWARF 5, and the one that does not.
enum IndexColumn : uint32_t {
  kInfo = 1,
  kAbbrev = 3,
  kLine = 4,
  kStrOffsets = 6,
  kRnglists = 8,  // DWARF 5; in version 2 it is .debug_macro
};

bool IsUnitOf(const DwarfUnit& unit, uint64_t dwo_id) {
  return (unit.type == DW_UT_split_compile || unit.type == DW_UT_compile) && unit.dwo_id == dwo_id;
}

std::optional<SplitUnit> UnitById(const DwarfSections& sections, uint64_t dwo_id) {
  SplitUnit split{.dwarf = std::make_unique<DwarfFile>(sections, /*split=*/true)};
  for (DwarfUnit& unit : split.dwarf->units()) {
    if (!IsUnitOf(unit, dwo_id)) continue;
    split.unit = &unit;
    return split;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DwpFile>> DwpFile::Open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<ElfFile>> elf = ElfFile::Open(path);
  if (!elf.ok()) return elf.status();
  auto dwp = std::make_unique<DwpFile>();
  dwp->elf_ = *std::move(elf);
  absl::StatusOr<DwarfSections> sections = ReadDwarfSections(*dwp->elf_, ".dwo");
  if (!sections.ok()) return sections.status();
  dwp->all_ = *sections;
  absl::StatusOr<std::string_view> index = dwp->elf_->Section(".debug_cu_index");
  if (!index.ok()) return index.status();
  if (absl::Status status = dwp->ReadIndex(*index); !status.ok()) {
    return absl::Status(status.code(), fmt::format("{}: {}", path, std::string(status.message())));
  }
  return dwp;
}

// version, counts | ids of the hash slots | row of each slot | column names | offsets by row | sizes by row
absl::Status DwpFile::ReadIndex(std::string_view index) {
  ByteCursor header(index);
  const uint32_t version = header.U32();  // 2, or (in 16 bits, and 16 of padding) 5
  const uint64_t columns = header.U32();
  const uint64_t rows = header.U32();
  const uint64_t slots = header.U32();
  if (!header.ok() || (version != 2 && version != 5))
    return absl::DataLossError("no .debug_cu_index of a known version");
  ByteCursor ids(index, header.offset());
  ByteCursor slot_rows(index, header.offset() + slots * 8);
  const uint64_t names_offset = header.offset() + slots * 12;
  const uint64_t offsets_offset = names_offset + columns * 4;
  const uint64_t sizes_offset = offsets_offset + rows * columns * 4;
  if (slots > index.size() || columns > index.size() || rows > index.size() ||
      sizes_offset + rows * columns * 4 > index.size()) {
    return absl::DataLossError(".debug_cu_index is shorter than it says");
  }
  for (uint64_t slot = 0; slot < slots; ++slot) {
    const uint64_t id = ids.U64();
    const uint64_t row = slot_rows.U32();
    if (row == 0 || row > rows) continue;
    ByteCursor names(index, names_offset);
    ByteCursor offsets(index, offsets_offset + (row - 1) * columns * 4);
    ByteCursor sizes(index, sizes_offset + (row - 1) * columns * 4);
    UnitSlices slices;
    for (uint64_t column = 0; column < columns; ++column) {
      const uint32_t name = names.U32();
      const Slice slice{.offset = offsets.U32(), .bytes = sizes.U32()};
      if (name == kInfo) slices.info = slice;
      if (name == kAbbrev) slices.abbrev = slice;
      if (name == kLine) slices.line = slice;
      if (name == kStrOffsets) slices.str_offsets = slice;
      if (name == kRnglists && version == 5) slices.rnglists = slice;
    }
    units_.emplace(id, slices);
  }
  return absl::OkStatus();
}

std::optional<DwarfSections> DwpFile::Find(uint64_t dwo_id) const {
  auto found = units_.find(dwo_id);
  if (found == units_.end()) return std::nullopt;
  auto cut = [](std::string_view section, Slice slice) {
    return slice.offset <= section.size() ? section.substr(slice.offset, slice.bytes) : std::string_view();
  };
  const UnitSlices& slices = found->second;
  DwarfSections sections = all_;
  sections.info = cut(all_.info, slices.info);
  sections.abbrev = cut(all_.abbrev, slices.abbrev);
  sections.str_offsets = cut(all_.str_offsets, slices.str_offsets);
  sections.line = cut(all_.line, slices.line);
  sections.rnglists = cut(all_.rnglists, slices.rnglists);
  return sections;
}

std::vector<uint64_t> DwpFile::ids() const {
  std::vector<uint64_t> ids;
  for (const auto& [id, slices] : units_) ids.push_back(id);
  return ids;
}

SplitUnitFinder::SplitUnitFinder(const std::vector<std::string>& linked_files,
                                 const std::vector<std::string>& debug_paths) {
  std::vector<std::string> candidates;
  for (const std::string& file : linked_files) {
    directories_.push_back(fs::path(file).parent_path().string());
    candidates.push_back(file + ".dwp");
    if (file.ends_with(".debug")) candidates.push_back(fs::path(file).replace_extension(".dwp").string());
  }
  for (const std::string& path : debug_paths) {
    directories_.push_back(path);
    for (const std::string& file : linked_files) {
      candidates.push_back((fs::path(path) / fs::path(file).filename()).string() + ".dwp");
    }
  }
  for (const std::string& path : candidates) {
    absl::StatusOr<std::unique_ptr<DwpFile>> dwp = DwpFile::Open(path);
    if (dwp.ok()) {
      dwps_.push_back(*std::move(dwp));
    } else if (dwp.status().code() != absl::StatusCode::kNotFound && first_problem_.empty()) {
      first_problem_ = std::string(dwp.status().message());
    }
  }
}

std::optional<SplitUnit> SplitUnitFinder::Find(const DwarfFile& main, const DwarfUnit& skeleton) {
  std::optional<SplitUnit> split;
  if (skeleton.dwo_id) split = FindInDwp(*skeleton.dwo_id);
  if (!split && skeleton.dwo_id) split = FindInDwo(skeleton);
  if (split) {
    split->dwarf->AttachToSkeleton(*split->unit, main, skeleton);
  } else if (missing_++ == 0) {
    first_missing_ = std::string(skeleton.dwo_name);
  }
  return split;
}

std::optional<SplitUnit> SplitUnitFinder::FindInDwp(uint64_t dwo_id) {
  for (const std::unique_ptr<DwpFile>& dwp : dwps_) {
    if (std::optional<DwarfSections> sections = dwp->Find(dwo_id)) return UnitById(*sections, dwo_id);
  }
  return std::nullopt;
}

std::optional<SplitUnit> SplitUnitFinder::FindInDwo(const DwarfUnit& skeleton) {
  std::vector<std::string> candidates = {JoinPath(skeleton.comp_dir, skeleton.dwo_name)};
  for (const std::string& directory : directories_) {
    candidates.push_back(JoinPath(directory, skeleton.dwo_name));
    candidates.push_back((fs::path(directory) / fs::path(skeleton.dwo_name).filename()).string());
  }
  for (const std::string& path : candidates) {
    absl::StatusOr<std::unique_ptr<ElfFile>> elf = ElfFile::Open(path);
    absl::Status status = elf.status();
    if (elf.ok()) {
      absl::StatusOr<DwarfSections> sections = ReadDwarfSections(**elf, ".dwo");
      status = sections.status();
      if (sections.ok()) {
        if (std::optional<SplitUnit> split = UnitById(*sections, *skeleton.dwo_id)) {
          split->elf = *std::move(elf);
          return split;
        }
        status = absl::FailedPreconditionError(fmt::format("{}: from another compilation", path));
      }
    }
    if (status.code() != absl::StatusCode::kNotFound && first_problem_.empty()) {
      first_problem_ = std::string(status.message());
    }
  }
  return std::nullopt;
}

std::string SplitUnitFinder::problem() const {
  if (missing_ == 0) return "";
  return fmt::format("split DWARF of {} unit{} not found ({}){}{}", missing_, missing_ == 1 ? "" : "s", first_missing_,
                     first_problem_.empty() ? "" : "; ", first_problem_);
}

}  // namespace allocline
