#include "symbolize/dwarf_ranges.h"

#include <dwarf.h>

#include <limits>

namespace allocline {
namespace {

void Append(uint64_t begin, uint64_t end, std::vector<AddressRange>* ranges) {
  if (begin != 0 && begin < end) ranges->push_back({begin, end});
}

// DWARF 2 to 4: pairs of addresses, relative to a base that a pair of its own can change.
void AppendDebugRanges(const DwarfFile& file, const DwarfUnit& unit, uint64_t offset,
                       std::vector<AddressRange>* ranges) {
  const unsigned bytes = unit.encoding.address_bytes;
  const uint64_t new_base_mark = bytes == 4 ? std::numeric_limits<uint32_t>::max() : ~uint64_t{0};
  ByteCursor cursor(file.sections().ranges, unit.split ? unit.ranges_base : 0);
  cursor.Skip(offset);
  uint64_t base = unit.base_address;
  while (cursor.ok()) {
    uint64_t begin = cursor.Unsigned(bytes);
    uint64_t end = cursor.Unsigned(bytes);
    if (begin == 0 && end == 0) return;
    if (begin == new_base_mark) {
      base = end;
    } else if (begin != end) {
      Append(base + begin, base + end, ranges);
    }
  }
}

// DWARF 5: a little program.
void AppendRnglist(const DwarfFile& file, const DwarfUnit& unit, uint64_t offset, std::vector<AddressRange>* ranges) {
  ByteCursor cursor(file.sections().rnglists, offset);
  const unsigned bytes = unit.encoding.address_bytes;
  auto indexed = [&](uint64_t index) { return file.IndexedAddress(unit, index).value_or(0); };
  uint64_t base = unit.base_address;
  while (cursor.ok()) {
    switch (cursor.U8()) {
      case DW_RLE_end_of_list:
        return;
      case DW_RLE_base_addressx:
        base = indexed(cursor.Uleb());
        break;
      case DW_RLE_base_address:
        base = cursor.Unsigned(bytes);
        break;
      case DW_RLE_startx_endx: {
        uint64_t begin = indexed(cursor.Uleb());
        Append(begin, indexed(cursor.Uleb()), ranges);
        break;
      }
      case DW_RLE_startx_length: {
        uint64_t begin = indexed(cursor.Uleb());
        Append(begin, begin + cursor.Uleb(), ranges);
        break;
      }
      case DW_RLE_offset_pair: {
        uint64_t begin = cursor.Uleb();
        Append(base + begin, base + cursor.Uleb(), ranges);
        break;
      }
      case DW_RLE_start_end: {
        uint64_t begin = cursor.Unsigned(bytes);
        Append(begin, cursor.Unsigned(bytes), ranges);
        break;
      }
      case DW_RLE_start_length: {
        uint64_t begin = cursor.Unsigned(bytes);
        Append(begin, begin + cursor.Uleb(), ranges);
        break;
      }
      default:
        return;
    }
  }
}

}  // namespace

void AppendRanges(const DwarfFile& file, const DwarfUnit& unit, const FormValue& low_pc, const FormValue& high_pc,
                  const FormValue& range_list, std::vector<AddressRange>* ranges) {
  if (range_list) {
    if (unit.encoding.version < 5) return AppendDebugRanges(file, unit, range_list.number, ranges);
    if (range_list.form != DW_FORM_rnglistx) return AppendRnglist(file, unit, range_list.number, ranges);
    uint64_t index_bytes;
    if (__builtin_mul_overflow(range_list.number, unit.encoding.offset_bytes, &index_bytes)) return;
    ByteCursor offsets(file.sections().rnglists, unit.rnglists_base);
    offsets.Skip(index_bytes);
    uint64_t offset = offsets.Unsigned(unit.encoding.offset_bytes);
    if (offsets.ok()) AppendRnglist(file, unit, unit.rnglists_base + offset, ranges);
    return;
  }
  std::optional<uint64_t> begin = file.Address(unit, low_pc);
  if (!begin) return;
  if (!high_pc) return Append(*begin, *begin + 1, ranges);  // a single address
  std::optional<uint64_t> end = file.Address(unit, high_pc);
  Append(*begin, end ? *end : *begin + high_pc.number, ranges);  // since DWARF 4 it may be a length
}

}  // namespace allocline
