// Which function each address is in, and through which inlined calls: one walk over the DIEs of a unit.
//
// A call that the compiler has inlined leaves no frame on the stack, only a DIE that says where its instructions went:
//
//   subprogram Load         0x1000-0x1080
//     lexical_block
//       inlined_subroutine  0x1010-0x1040   abstract_origin: vector::push_back, call_file: load.cc, call_line: 12
//         inlined_subroutine 0x1020-0x1030  abstract_origin: operator new,      call_file: stl_vector.h, call_line:
//         1280
//
// An address in 0x1020-0x1030 is in operator new, at the line its row of the line table says; that was inlined into
// push_back at stl_vector.h:1280, and that into Load at load.cc:12. So the answer for an address is the deepest DIE
// around it, with a link to the one it is inlined into.
//
// Asking per address (dwarf_getscopes) walks the unit once per address. We walk it once for all, in the order the DIEs
// lie in memory, and look at each with code in it: which of the sorted addresses does it own? Subprograms are looked
// for at any depth: a lambda's is inside the DIE of a class that is inside the function that holds the lambda.
//
// Threads:    pure function.
// At the edge: the walk ends where the DIEs are damaged; addresses not met until then have no frame.
#ifndef ALLOCLINE_SYMBOLIZE_INLINE_FRAMES_H_
#define ALLOCLINE_SYMBOLIZE_INLINE_FRAMES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "symbolize/die_scopes.h"
#include "symbolize/dwarf_file.h"

namespace allocline {

inline constexpr int32_t kNoFrame = -1;

// A function with code, or a call of one that was inlined.
struct CallFrame {
  uint64_t die_offset = 0;
  int32_t caller = kNoFrame;  // index of the frame this is inlined into; kNoFrame: it is a function of its own
  int32_t function = 0;       // index of the function at the end of the `caller` chain, itself if it is one
  uint32_t depth = 0;         // inlined calls between it and that function
  uint64_t call_file = 0;     // inlined: where the caller calls it
  uint32_t call_line = 0;
};

struct AddressFrame {
  int32_t frame = kNoFrame;  // the innermost
  uint64_t range_begin = 0;  // of the range of its code that holds the address
};

struct InlineFrames {
  std::vector<CallFrame> frames;        // those that hold one of the addresses, callers before callees
  std::vector<AddressFrame> innermost;  // one per address
  DieScopes scopes;                     // for FunctionNames
};

// `addresses` ascend, without duplicates.
InlineFrames FindInlineFrames(const DwarfFile& file, const DwarfUnit& unit, std::span<const uint64_t> addresses);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_INLINE_FRAMES_H_
