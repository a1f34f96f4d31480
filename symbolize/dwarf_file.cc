#include "symbolize/dwarf_file.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>

namespace allocline {
namespace {

// Abbreviation tables of a true file do not overlap, so together they are no longer than their section; only damage
// makes us parse more than that.
constexpr uint64_t kMaxAbbrevOverlap = 4;

constexpr uint32_t k64BitMark = 0xffffffff;  // of unit_length: 64-bit DWARF follows
constexpr uint32_t kReservedLengths = 0xfffffff0;

std::string_view NullTerminatedAt(std::string_view section, uint64_t offset) {
  return ByteCursor(section, offset).CString();
}

// Bytes of the header that starts a unit's share of .debug_str_offsets and of .debug_rnglists: in a split file the
// share's base is not written down, it lies just behind.
uint64_t StrOffsetsHeaderBytes(const DwarfUnit& unit) {
  if (unit.encoding.version < 5) return 0;
  return unit.encoding.offset_bytes == 8 ? 16 : 8;
}
uint64_t RnglistsHeaderBytes(const DwarfUnit& unit) { return unit.encoding.offset_bytes == 8 ? 20 : 12; }

}  // namespace

absl::StatusOr<DwarfSections> ReadDwarfSections(ElfFile& file, std::string_view suffix) {
  DwarfSections sections;
  const std::pair<std::string_view, std::string_view*> wanted[] = {
      {".debug_info", &sections.info},
      {".debug_abbrev", &sections.abbrev},
      {".debug_str", &sections.str},
      {".debug_line_str", &sections.line_str},
      {".debug_str_offsets", &sections.str_offsets},
      {".debug_line", &sections.line},
      {".debug_ranges", &sections.ranges},
      {".debug_rnglists", &sections.rnglists},
      {".debug_addr", &sections.addr},
  };
  for (const auto& [name, bytes] : wanted) {
    absl::StatusOr<std::string_view> section = file.Section(fmt::format("{}{}", name, suffix));
    if (!section.ok()) return section.status();
    *bytes = *section;
  }
  return sections;
}

DwarfFile::DwarfFile(const DwarfSections& sections, bool split) : sections_(sections), split_(split) {
  ByteCursor cursor(sections_.info);
  while (!cursor.AtEnd() && ReadUnit(cursor)) {
  }
}

void DwarfFile::Note(absl::Status problem) {
  if (problem_.ok()) problem_ = std::move(problem);
}

// Reads one unit, leaves the cursor at the next. False if there is no way to tell where that is.
bool DwarfFile::ReadUnit(ByteCursor& cursor) {
  DwarfUnit unit;
  uint64_t abbrev_offset = 0;
  if (!ReadHeader(cursor, &unit, &abbrev_offset)) return false;
  cursor.Skip(unit.end - cursor.offset());
  if (unit.encoding.version < 2 || unit.encoding.version > 5) {
    Note(absl::UnimplementedError(fmt::format("DWARF version {}", unit.encoding.version)));
    return true;
  }
  if (unit.encoding.address_bytes != 8 && unit.encoding.address_bytes != 4) {
    Note(absl::DataLossError(fmt::format("addresses of {} bytes", unit.encoding.address_bytes)));
    return true;
  }
  absl::StatusOr<const AbbrevTable*> abbrevs = Abbrevs(abbrev_offset, unit.encoding);
  if (!abbrevs.ok()) {
    Note(abbrevs.status());
    return true;
  }
  unit.abbrevs = *abbrevs;
  ReadFirstDie(&unit);
  units_.push_back(unit);
  return true;
}

bool DwarfFile::ReadHeader(ByteCursor& cursor, DwarfUnit* unit, uint64_t* abbrev_offset) {
  unit->offset = cursor.offset();
  unit->split = split_;
  uint64_t length = cursor.U32();
  if (length == k64BitMark) {
    unit->encoding.offset_bytes = 8;
    length = cursor.U64();
  }
  if (!cursor.ok() || length > cursor.remaining() || (unit->encoding.offset_bytes == 4 && length >= kReservedLengths)) {
    Note(absl::DataLossError(fmt::format("unit at {:#x} of .debug_info does not fit", unit->offset)));
    return false;
  }
  unit->end = cursor.offset() + length;
  ByteCursor header(sections_.info.substr(0, unit->end), cursor.offset());
  unit->encoding.version = header.U16();
  unit->type = DW_UT_compile;
  if (unit->encoding.version >= 5) {
    unit->type = header.U8();
    unit->encoding.address_bytes = header.U8();
    *abbrev_offset = header.Unsigned(unit->encoding.offset_bytes);
    if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile) unit->dwo_id = header.U64();
    if (unit->type == DW_UT_type || unit->type == DW_UT_split_type) header.Skip(8 + unit->encoding.offset_bytes);
  } else {
    *abbrev_offset = header.Unsigned(unit->encoding.offset_bytes);
    unit->encoding.address_bytes = header.U8();
  }
  unit->die_offset = header.offset();
  if (header.ok()) return true;
  Note(absl::DataLossError(fmt::format("unit at {:#x} of .debug_info is shorter than its header", unit->offset)));
  return false;
}

absl::StatusOr<const AbbrevTable*> DwarfFile::Abbrevs(uint64_t offset, DwarfEncoding encoding) {
  std::unique_ptr<AbbrevTable>& table = abbrevs_[{offset, encoding}];
  if (table != nullptr) return table.get();
  if (abbrev_bytes_parsed_ > kMaxAbbrevOverlap * sections_.abbrev.size()) {
    return absl::DataLossError("abbreviation tables overlap");
  }
  absl::StatusOr<AbbrevTable> parsed = AbbrevTable::Parse(sections_.abbrev, offset, encoding);
  if (!parsed.ok()) {
    abbrev_bytes_parsed_ += sections_.abbrev.size();
    return parsed.status();
  }
  abbrev_bytes_parsed_ += parsed->parsed_bytes();
  table = std::make_unique<AbbrevTable>(*std::move(parsed));
  return table.get();
}

void DwarfFile::ReadFirstDie(DwarfUnit* unit) {
  if (split_) {
    unit->str_offsets_base = StrOffsetsHeaderBytes(*unit);
    unit->rnglists_base = RnglistsHeaderBytes(*unit);
  }
  FormValue name, comp_dir, dwo_name;  // strings can be read only when the bases are known
  ForEachAttribute(*unit, unit->die_offset, [&](uint16_t attribute, const FormValue& value) {
    switch (attribute) {
      case DW_AT_name:
        name = value;
        break;
      case DW_AT_comp_dir:
        comp_dir = value;
        break;
      case DW_AT_dwo_name:
      case DW_AT_GNU_dwo_name:
        dwo_name = value;
        break;
      case DW_AT_GNU_dwo_id:
        unit->dwo_id = value.number;
        break;
      case DW_AT_stmt_list:
        unit->line_offset = value.number;
        break;
      case DW_AT_low_pc:
        unit->low_pc = value;
        break;
      case DW_AT_high_pc:
        unit->high_pc = value;
        break;
      case DW_AT_ranges:
        unit->ranges = value;
        break;
      case DW_AT_str_offsets_base:
        unit->str_offsets_base = value.number;
        break;
      case DW_AT_addr_base:
      case DW_AT_GNU_addr_base:
        unit->addr_base = value.number;
        break;
      case DW_AT_rnglists_base:
        unit->rnglists_base = value.number;
        break;
      case DW_AT_GNU_ranges_base:
        unit->ranges_base = value.number;
        break;
      default:
        break;
    }
  });
  unit->name = Text(*unit, name);
  unit->comp_dir = Text(*unit, comp_dir);
  unit->dwo_name = Text(*unit, dwo_name);
  unit->base_address = Address(*unit, unit->low_pc).value_or(0);
}

void DwarfFile::AttachToSkeleton(DwarfUnit& unit, const DwarfFile& main, const DwarfUnit& skeleton) {
  sections_.addr = main.sections_.addr;
  unit.addr_base = skeleton.addr_base;
  unit.base_address = skeleton.base_address;
  if (unit.encoding.version < 5) {  // GNU's split DWARF 4 leaves the ranges in the linked file
    sections_.ranges = main.sections_.ranges;
    unit.ranges_base = skeleton.ranges_base;
  }
}

const DwarfUnit* DwarfFile::UnitAt(uint64_t info_offset) const {
  auto after = std::upper_bound(units_.begin(), units_.end(), info_offset,
                                [](uint64_t offset, const DwarfUnit& unit) { return offset < unit.offset; });
  if (after == units_.begin()) return nullptr;
  const DwarfUnit& unit = *std::prev(after);
  return info_offset >= unit.die_offset && info_offset < unit.end ? &unit : nullptr;
}

uint16_t DwarfFile::Tag(const DwarfUnit& unit, uint64_t die_offset) const {
  ByteCursor cursor(sections_.info.substr(0, unit.end), die_offset);
  const Abbrev* abbrev = unit.abbrevs->Find(cursor.Uleb());
  return abbrev == nullptr ? 0 : abbrev->tag;
}

std::string_view DwarfFile::Text(const DwarfUnit& unit, const FormValue& value) const {
  switch (value.form) {
    case DW_FORM_string:
      return value.bytes;
    case DW_FORM_strp:
      return NullTerminatedAt(sections_.str, value.number);
    case DW_FORM_line_strp:
      return NullTerminatedAt(sections_.line_str, value.number);
    case DW_FORM_GNU_strp_alt:
    case DW_FORM_strp_sup:
      return alt_ == nullptr ? std::string_view() : NullTerminatedAt(alt_->sections_.str, value.number);
    case DW_FORM_strx:
    case DW_FORM_strx1:
    case DW_FORM_strx2:
    case DW_FORM_strx3:
    case DW_FORM_strx4:
    case DW_FORM_GNU_str_index: {
      uint64_t index_bytes;
      if (__builtin_mul_overflow(value.number, unit.encoding.offset_bytes, &index_bytes)) return {};
      ByteCursor offsets(sections_.str_offsets, unit.str_offsets_base);
      offsets.Skip(index_bytes);
      uint64_t offset = offsets.Unsigned(unit.encoding.offset_bytes);
      return offsets.ok() ? NullTerminatedAt(sections_.str, offset) : std::string_view();
    }
    default:
      return {};
  }
}

std::optional<uint64_t> DwarfFile::IndexedAddress(const DwarfUnit& unit, uint64_t index) const {
  uint64_t index_bytes;
  if (__builtin_mul_overflow(index, unit.encoding.address_bytes, &index_bytes)) return std::nullopt;
  ByteCursor addresses(sections_.addr, unit.addr_base);
  addresses.Skip(index_bytes);
  uint64_t address = addresses.Unsigned(unit.encoding.address_bytes);
  return addresses.ok() ? std::optional(address) : std::nullopt;
}

std::optional<uint64_t> DwarfFile::Address(const DwarfUnit& unit, const FormValue& value) const {
  switch (value.form) {
    case DW_FORM_addr:
      return value.number;
    case DW_FORM_addrx:
    case DW_FORM_addrx1:
    case DW_FORM_addrx2:
    case DW_FORM_addrx3:
    case DW_FORM_addrx4:
    case DW_FORM_GNU_addr_index:
      return IndexedAddress(unit, value.number);
    default:
      return std::nullopt;
  }
}

DieReference DwarfFile::Reference(const DwarfUnit& unit, const FormValue& value) const {
  switch (value.form) {
    case DW_FORM_ref1:
    case DW_FORM_ref2:
    case DW_FORM_ref4:
    case DW_FORM_ref8:
    case DW_FORM_ref_udata:
      if (value.number >= unit.end - unit.offset) return {};
      return {.file = this, .offset = unit.offset + value.number};
    case DW_FORM_ref_addr:
      return {.file = this, .offset = value.number};
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_ref_sup4:
    case DW_FORM_ref_sup8:
      return {.file = alt_, .offset = value.number};
    default:
      return {};
  }
}

}  // namespace allocline
