#include "symbolize/dwarf_abbrevs.h"

#include <dwarf.h>
#include <fmt/format.h>

namespace allocline {

absl::StatusOr<AbbrevTable> AbbrevTable::Parse(std::string_view section, uint64_t offset, DwarfEncoding encoding) {
  AbbrevTable table;
  table.encoding_ = encoding;
  ByteCursor cursor(section, offset);
  while (cursor.ok()) {
    Abbrev abbrev;
    abbrev.code = cursor.Uleb();
    if (abbrev.code == 0) break;
    uint64_t tag = cursor.Uleb();
    abbrev.tag = static_cast<uint16_t>(tag <= 0xffff ? tag : 0);
    abbrev.has_children = cursor.U8() != 0;
    abbrev.first_attribute = static_cast<uint32_t>(table.attributes_.size());
    bool code = false, plain_name = false, full_name = false;
    while (cursor.ok()) {
      uint64_t name = cursor.Uleb();
      uint64_t form = cursor.Uleb();
      int64_t implicit_const = form == DW_FORM_implicit_const ? cursor.Sleb() : 0;
      if (name == 0 && form == 0) break;
      if (form > 0xffff) cursor.Fail();
      code |= name == DW_AT_low_pc || name == DW_AT_ranges;
      plain_name |= name == DW_AT_name;
      full_name |= name == DW_AT_linkage_name || name == DW_AT_MIPS_linkage_name || name == DW_AT_specification ||
                   name == DW_AT_abstract_origin;
      table.attributes_.push_back({.name = static_cast<uint16_t>(name <= 0xffff ? name : 0),
                                   .form = static_cast<uint16_t>(form),
                                   .implicit_const = implicit_const});
    }
    abbrev.owns_code = code && (abbrev.tag == DW_TAG_subprogram || abbrev.tag == DW_TAG_inlined_subroutine);
    abbrev.named_by_scope = plain_name && !full_name && abbrev.tag == DW_TAG_subprogram;
    abbrev.attribute_count = static_cast<uint32_t>(table.attributes_.size()) - abbrev.first_attribute;
    table.AddSkipSteps(abbrev);
    if (abbrev.code == table.abbrevs_.size() + 1 && table.dense_count_ == table.abbrevs_.size()) {
      ++table.dense_count_;
    } else {
      table.sparse_.try_emplace(abbrev.code, static_cast<uint32_t>(table.abbrevs_.size()));
    }
    table.abbrevs_.push_back(abbrev);
  }
  table.parsed_bytes_ = cursor.ok() ? cursor.offset() - offset : section.size();
  if (!cursor.ok()) return absl::DataLossError(fmt::format("abbreviations at {:#x} are damaged", offset));
  return table;
}

void AbbrevTable::AddSkipSteps(Abbrev& abbrev) {
  abbrev.first_step = static_cast<uint32_t>(steps_.size());
  uint32_t fixed_bytes = 0;
  for (const AttributeSpec& attribute : Attributes(abbrev)) {
    if (auto bytes = FixedFormBytes(attribute.form, encoding_)) {
      fixed_bytes += *bytes;
    } else {
      steps_.push_back({.fixed_bytes = fixed_bytes, .form = attribute.form});
      fixed_bytes = 0;
    }
  }
  abbrev.step_count = static_cast<uint32_t>(steps_.size()) - abbrev.first_step;
  abbrev.fixed_bytes = fixed_bytes;
}

}  // namespace allocline
