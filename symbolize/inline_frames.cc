#include "symbolize/inline_frames.h"

#include <dwarf.h>

#include <algorithm>

#include "symbolize/dwarf_ranges.h"

namespace allocline {
namespace {

class Walk {
 public:
  Walk(const DwarfFile& file, const DwarfUnit& unit, std::span<const uint64_t> addresses)
      : file_(file), unit_(unit), abbrevs_(*unit.abbrevs), addresses_(addresses) {
    result_.innermost.resize(addresses.size());
  }

  InlineFrames Run() {
    ByteCursor cursor(file_.sections().info.substr(0, unit_.end), unit_.die_offset);
    int32_t enclosing = kNoFrame;  // frame of the innermost function around the DIE, if it holds a wanted address
    while (!cursor.AtEnd()) {
      const uint64_t offset = cursor.offset();
      const uint64_t code = cursor.Uleb();
      if (code == 0) {                // the children of a DIE end
        if (open_.empty()) continue;  // padding
        enclosing = open_.back().enclosing;
        open_.pop_back();
        continue;
      }
      const Abbrev* abbrev = abbrevs_.Find(code);
      if (abbrev == nullptr) break;
      const bool inlined = abbrev->tag == DW_TAG_inlined_subroutine;
      int32_t frame = enclosing;
      if (abbrev->owns_code && (!inlined || enclosing != kNoFrame)) {
        frame = Visit(*abbrev, offset, inlined ? enclosing : kNoFrame, cursor);
      } else {
        abbrevs_.SkipAttributes(*abbrev, cursor);
        if (inlined || abbrev->tag == DW_TAG_subprogram) frame = kNoFrame;
      }
      if (abbrev->named_by_scope) NoteScope(offset);
      if (abbrev->has_children) {
        open_.push_back({.die_offset = offset, .enclosing = enclosing});
        enclosing = frame;
      }
    }
    return std::move(result_);
  }

 private:
  // Reads a DIE with code in it. Gives its frame, or kNoFrame if none of the addresses is in it.
  int32_t Visit(const Abbrev& abbrev, uint64_t offset, int32_t caller, ByteCursor& cursor) {
    FormValue low_pc, high_pc, range_list;
    CallFrame frame{.die_offset = offset, .caller = caller};
    for (const AttributeSpec& attribute : abbrevs_.Attributes(abbrev)) {
      FormValue value = ReadForm(cursor, attribute.form, attribute.implicit_const, unit_.encoding);
      switch (attribute.name) {
        case DW_AT_low_pc:
          low_pc = value;
          break;
        case DW_AT_high_pc:
          high_pc = value;
          break;
        case DW_AT_ranges:
          range_list = value;
          break;
        case DW_AT_call_file:
          frame.call_file = value.number;
          break;
        case DW_AT_call_line:
          frame.call_line = static_cast<uint32_t>(value.number);
          break;
        default:
          break;
      }
    }
    if (!cursor.ok()) return kNoFrame;
    ranges_.clear();
    AppendRanges(file_, unit_, low_pc, high_pc, range_list, &ranges_);
    const int32_t index = static_cast<int32_t>(result_.frames.size());
    if (caller == kNoFrame) {
      frame.function = index;
    } else {
      frame.function = result_.frames[caller].function;
      frame.depth = result_.frames[caller].depth + 1;
    }
    bool used = false;
    for (const AddressRange& range : ranges_) used |= Claim(range, frame, index);
    if (!used) return kNoFrame;
    result_.frames.push_back(frame);
    return index;
  }

  // Gives the addresses in `range` to the frame, unless they are in a deeper one, or in another function: two functions
  // of one unit never share code, except in damaged files, and then the first keeps it.
  bool Claim(const AddressRange& range, const CallFrame& frame, int32_t index) {
    bool claimed = false;
    auto at = std::lower_bound(addresses_.begin(), addresses_.end(), range.begin);
    for (; at != addresses_.end() && *at < range.end; ++at) {
      AddressFrame& innermost = result_.innermost[static_cast<size_t>(at - addresses_.begin())];
      if (innermost.frame != kNoFrame) {
        if (innermost.frame == index) continue;
        const CallFrame& other = result_.frames[innermost.frame];
        if (other.function != frame.function || other.depth >= frame.depth) continue;
      } else if (frame.caller != kNoFrame) {
        continue;  // inlined code outside of the function it is inlined into
      }
      innermost = {.frame = index, .range_begin = range.begin};
      claimed = true;
    }
    return claimed;
  }

  // open_[0] is the unit.
  void NoteScope(uint64_t function_offset) {
    int32_t scope = kNoScope;
    for (size_t i = 1; i < open_.size(); ++i) {
      if (open_[i].scope == kNoScope) open_[i].scope = result_.scopes.Add(open_[i].die_offset, scope);
      scope = open_[i].scope;
    }
    if (scope != kNoScope) result_.scopes.SetScopeOf(function_offset, scope);
  }

  struct OpenDie {  // one whose children we are among
    uint64_t die_offset;
    int32_t enclosing;         // what `enclosing` was outside of it
    int32_t scope = kNoScope;  // if it was noted down
  };

  const DwarfFile& file_;
  const DwarfUnit& unit_;
  const AbbrevTable& abbrevs_;
  std::span<const uint64_t> addresses_;
  InlineFrames result_;
  std::vector<OpenDie> open_;
  std::vector<AddressRange> ranges_;
};

}  // namespace

InlineFrames FindInlineFrames(const DwarfFile& file, const DwarfUnit& unit, std::span<const uint64_t> addresses) {
  return Walk(file, unit, addresses).Run();
}

}  // namespace allocline
