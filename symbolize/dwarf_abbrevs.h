// Abbreviations: what the DIEs of a unit look like. Compiled once per table, so that the walk over millions of DIEs
// steps over most of them with one addition.
//
// Threads:    immutable once built.
// At the edge: a damaged table is an error; of a damaged code the answer is nullptr.
#ifndef ALLOCLINE_SYMBOLIZE_DWARF_ABBREVS_H_
#define ALLOCLINE_SYMBOLIZE_DWARF_ABBREVS_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "symbolize/byte_cursor.h"
#include "symbolize/dwarf_forms.h"

namespace allocline {

struct AttributeSpec {
  uint16_t name;  // DW_AT_*
  uint16_t form;  // DW_FORM_*
  int64_t implicit_const;
};

struct Abbrev {
  uint64_t code = 0;
  uint16_t tag = 0;  // DW_TAG_*
  bool has_children = false;
  // A subprogram or an inlined subroutine that says where its code is.
  bool owns_code = false;
  // A subprogram with a plain name only: where it stands tells the rest of its name.
  bool named_by_scope = false;
  uint32_t first_attribute = 0, attribute_count = 0;
  uint32_t first_step = 0, step_count = 0;
  uint32_t fixed_bytes = 0;  // what follows the last step; all there is when there are no steps
};

class AbbrevTable {
 public:
  static absl::StatusOr<AbbrevTable> Parse(std::string_view section, uint64_t offset, DwarfEncoding encoding);

  const Abbrev* Find(uint64_t code) const {
    if (code - 1 < dense_count_) return &abbrevs_[code - 1];  // compilers number from 1: nearly always
    auto found = sparse_.find(code);
    return found == sparse_.end() ? nullptr : &abbrevs_[found->second];
  }
  std::span<const AttributeSpec> Attributes(const Abbrev& abbrev) const {
    return {attributes_.data() + abbrev.first_attribute, abbrev.attribute_count};
  }
  void SkipAttributes(const Abbrev& abbrev, ByteCursor& cursor) const {
    for (uint32_t i = 0; i < abbrev.step_count; ++i) {
      const Step& step = steps_[abbrev.first_step + i];
      cursor.Skip(step.fixed_bytes);
      SkipVariableForm(cursor, step.form, encoding_);
    }
    cursor.Skip(abbrev.fixed_bytes);
  }
  // How much of the section it took: what all tables together may take is bounded by their user.
  uint64_t parsed_bytes() const { return parsed_bytes_; }

 private:
  struct Step {  // fixed_bytes, then one value of a form whose size varies
    uint32_t fixed_bytes;
    uint16_t form;
  };
  void AddSkipSteps(Abbrev& abbrev);

  DwarfEncoding encoding_;
  std::vector<Abbrev> abbrevs_;
  uint64_t dense_count_ = 0;  // abbrevs_[i].code == i + 1 below this
  absl::flat_hash_map<uint64_t, uint32_t> sparse_;
  std::vector<AttributeSpec> attributes_;
  std::vector<Step> steps_;
  uint64_t parsed_bytes_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DWARF_ABBREVS_H_
