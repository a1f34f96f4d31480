// How attribute values are encoded in .debug_info: their sizes, and their raw numbers.
//
// What a number then means (an index into .debug_addr, an offset in .debug_str ...) depends on the unit it is in:
// DwarfFile knows.
//
// Threads:    pure functions.
// At the edge: a form we do not know has no known size, so nothing behind it can be read: the cursor fails.
#ifndef ALLOCLINE_SYMBOLIZE_DWARF_FORMS_H_
#define ALLOCLINE_SYMBOLIZE_DWARF_FORMS_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "symbolize/byte_cursor.h"

namespace allocline {

// What the header of a unit says about the encoding of everything in it.
struct DwarfEncoding {
  uint16_t version = 0;
  uint8_t address_bytes = 8;
  uint8_t offset_bytes = 4;  // 8 in 64-bit DWARF
  auto operator<=>(const DwarfEncoding&) const = default;
};

struct FormValue {
  uint16_t form = 0;       // DW_FORM_*; 0: there is no such attribute
  uint64_t number = 0;     // address, constant, offset, index, or reference, as it is stored
  std::string_view bytes;  // of DW_FORM_string: the text itself
  explicit operator bool() const { return form != 0; }
};

// Size of a value of this form if it is the same in every DIE.
std::optional<uint8_t> FixedFormBytes(uint16_t form, DwarfEncoding encoding);
// Steps over a value whose size varies. Fails the cursor on an unknown form.
void SkipVariableForm(ByteCursor& cursor, uint16_t form, DwarfEncoding encoding);
// Reads a value. Blocks are stepped over: nothing we ask for is one.
FormValue ReadForm(ByteCursor& cursor, uint16_t form, int64_t implicit_const, DwarfEncoding encoding);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DWARF_FORMS_H_
