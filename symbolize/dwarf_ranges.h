// The code a DIE owns: from DW_AT_low_pc and DW_AT_high_pc, or from a range list (functions split into hot and cold
// parts, inlined calls whose instructions the optimizer has scattered, whole units).
//
// Threads:    pure functions.
// At the edge: empty ranges, and those at address 0, are left out: the linker leaves them for functions it has thrown
//             away. A damaged list ends where it is damaged.
#ifndef ALLOCLINE_SYMBOLIZE_DWARF_RANGES_H_
#define ALLOCLINE_SYMBOLIZE_DWARF_RANGES_H_

#include <cstdint>
#include <vector>

#include "symbolize/dwarf_file.h"

namespace allocline {

struct AddressRange {
  uint64_t begin = 0;
  uint64_t end = 0;  // exclusive
};

// Appends to `ranges`. The three values are those of the DIE's attributes; the ones it lacks are left empty.
void AppendRanges(const DwarfFile& file, const DwarfUnit& unit, const FormValue& low_pc, const FormValue& high_pc,
                  const FormValue& range_list, std::vector<AddressRange>* ranges);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DWARF_RANGES_H_
