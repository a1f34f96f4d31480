#include "symbolize/dwarf_forms.h"

#include <dwarf.h>

namespace allocline {

std::optional<uint8_t> FixedFormBytes(uint16_t form, DwarfEncoding encoding) {
  switch (form) {
    case DW_FORM_flag_present:
    case DW_FORM_implicit_const:
      return 0;
    case DW_FORM_data1:
    case DW_FORM_ref1:
    case DW_FORM_flag:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
      return 1;
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
      return 2;
    case DW_FORM_strx3:
    case DW_FORM_addrx3:
      return 3;
    case DW_FORM_data4:
    case DW_FORM_ref4:
    case DW_FORM_strx4:
    case DW_FORM_addrx4:
    case DW_FORM_ref_sup4:
      return 4;
    case DW_FORM_data8:
    case DW_FORM_ref8:
    case DW_FORM_ref_sig8:
    case DW_FORM_ref_sup8:
      return 8;
    case DW_FORM_data16:
      return 16;
    case DW_FORM_addr:
      return encoding.address_bytes;
    case DW_FORM_ref_addr:  // DWARF 2 gave it the size of an address
      return encoding.version <= 2 ? encoding.address_bytes : encoding.offset_bytes;
    case DW_FORM_strp:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_sec_offset:
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_GNU_strp_alt:
      return encoding.offset_bytes;
    default:
      return std::nullopt;
  }
}

void SkipVariableForm(ByteCursor& cursor, uint16_t form, DwarfEncoding encoding) {
  switch (form) {
    case DW_FORM_udata:
    case DW_FORM_sdata:
    case DW_FORM_ref_udata:
    case DW_FORM_strx:
    case DW_FORM_addrx:
    case DW_FORM_loclistx:
    case DW_FORM_rnglistx:
    case DW_FORM_GNU_str_index:
    case DW_FORM_GNU_addr_index:
      while (cursor.U8() >= 0x80) {
      }
      return;
    case DW_FORM_exprloc:
    case DW_FORM_block:
      return cursor.Skip(cursor.Uleb());
    case DW_FORM_block1:
      return cursor.Skip(cursor.U8());
    case DW_FORM_block2:
      return cursor.Skip(cursor.U16());
    case DW_FORM_block4:
      return cursor.Skip(cursor.U32());
    case DW_FORM_string:
      cursor.CString();
      return;
    case DW_FORM_indirect: {
      uint64_t real = cursor.Uleb();
      if (real > 0xffff || real == DW_FORM_indirect || real == DW_FORM_implicit_const) {
        cursor.Fail();
      } else if (auto bytes = FixedFormBytes(static_cast<uint16_t>(real), encoding)) {
        cursor.Skip(*bytes);
      } else {
        SkipVariableForm(cursor, static_cast<uint16_t>(real), encoding);
      }
      return;
    }
    default:
      cursor.Fail();
  }
}

FormValue ReadForm(ByteCursor& cursor, uint16_t form, int64_t implicit_const, DwarfEncoding encoding) {
  FormValue value{.form = form};
  switch (form) {
    case DW_FORM_flag_present:
      value.number = 1;
      return value;
    case DW_FORM_implicit_const:
      value.number = static_cast<uint64_t>(implicit_const);
      return value;
    case DW_FORM_data16:
      cursor.Skip(16);
      return value;
    case DW_FORM_string:
      value.bytes = cursor.CString();
      return value;
    case DW_FORM_sdata:
      value.number = static_cast<uint64_t>(cursor.Sleb());
      return value;
    case DW_FORM_udata:
    case DW_FORM_ref_udata:
    case DW_FORM_strx:
    case DW_FORM_addrx:
    case DW_FORM_loclistx:
    case DW_FORM_rnglistx:
    case DW_FORM_GNU_str_index:
    case DW_FORM_GNU_addr_index:
      value.number = cursor.Uleb();
      return value;
    case DW_FORM_indirect: {
      uint64_t real = cursor.Uleb();
      if (real > 0xffff || real == DW_FORM_indirect || real == DW_FORM_implicit_const) {
        cursor.Fail();
        return value;
      }
      return ReadForm(cursor, static_cast<uint16_t>(real), 0, encoding);
    }
    default:
      break;
  }
  if (auto bytes = FixedFormBytes(form, encoding)) {
    value.number = cursor.Unsigned(*bytes);
  } else {
    SkipVariableForm(cursor, form, encoding);
  }
  return value;
}

}  // namespace allocline
