#include "symbolize/dwarf_resolver.h"

#include <dwarf.h>

#include <algorithm>
#include <map>
#include <optional>

#include "symbolize/dwarf_lines.h"
#include "symbolize/dwarf_ranges.h"

namespace allocline {
namespace {

// How many ranges that end too early we pass on the way back to one that holds the address. Units overlap only where
// something is odd, and a damaged file must not make the search linear.
constexpr int kMaxOverlap = 64;

// Everything about one unit that the answers of its addresses share.
class UnitAnswers {
 public:
  UnitAnswers(const DwarfFile& frames_file, InlineFrames frames, LineTable* lines, LineTable* call_files,
              FunctionNames& names)
      : frames_file_(frames_file),
        frames_(std::move(frames)),
        lines_(lines),
        call_files_(call_files),
        names_(names),
        function_names_(frames_.frames.size()) {}

  // The chain at an address from the innermost call outward. `outermost_name` gets the name DWARF has for the last.
  void Fill(size_t i, const LineRow& row, ResolvedAddress* answer, FunctionName* outermost_name) {
    const AddressFrame& innermost = frames_.innermost[i];
    SourceLocation location;
    // Line 0 was replaced by the line before it: only if that belongs to the same call.
    const bool stray = row.approximate && row.address < innermost.range_begin;
    if (row.found && lines_ != nullptr) {
      location.file = lines_->FilePath(row.file);
      location.line = stray ? 0 : row.line;
    }
    const bool has_line = !location.file.empty() && location.line != 0;
    if (innermost.frame == kNoFrame) {
      if (!has_line) return;
      answer->level = ResolutionLevel::kLine;
      answer->locations.push_back(std::move(location));
      return;
    }
    answer->level = has_line ? ResolutionLevel::kLine : ResolutionLevel::kSymbol;
    answer->locations.reserve(frames_.frames[innermost.frame].depth + 1);
    for (int32_t index = innermost.frame; index != kNoFrame;) {
      const CallFrame& frame = frames_.frames[index];
      *outermost_name = NameOf(index);
      location.function = *outermost_name->readable;
      location.inlined = frame.caller != kNoFrame;
      answer->locations.push_back(std::move(location));
      location = {};
      if (call_files_ != nullptr) location.file = call_files_->FilePath(frame.call_file);
      location.line = frame.call_line;
      index = frame.caller;
    }
  }

 private:
  const FunctionName& NameOf(int32_t index) {
    FunctionName& name = function_names_[index];
    if (name.readable == nullptr) {
      name = names_.Of({.file = &frames_file_, .offset = frames_.frames[index].die_offset}, frames_.scopes);
    }
    return name;
  }

  const DwarfFile& frames_file_;
  InlineFrames frames_;
  LineTable* lines_;       // of the rows; null: none
  LineTable* call_files_;  // of the numbers in call_file; null: none
  FunctionNames& names_;
  std::vector<FunctionName> function_names_;  // by frame, as far as asked for
};

std::optional<LineTable> ReadLineTable(const DwarfFile& file, const DwarfUnit& unit, uint64_t offset) {
  absl::StatusOr<LineTable> table = LineTable::Parse(file, unit, offset);
  if (!table.ok()) return std::nullopt;
  return *std::move(table);
}

}  // namespace

DwarfResolver::DwarfResolver(const DwarfFile& dwarf, SplitUnitFinder& split_units, Demangler& demangler,
                             SymbolAt symbol_at)
    : dwarf_(dwarf),
      split_units_(split_units),
      demangler_(demangler),
      names_(demangler),
      symbol_at_(std::move(symbol_at)) {
  FindUnitRanges();
}

void DwarfResolver::FindUnitRanges() {
  std::vector<AddressRange> ranges;
  for (const DwarfUnit& unit : dwarf_.units()) {
    if (unit.type != DW_UT_compile && unit.type != DW_UT_skeleton) continue;
    ranges.clear();
    AppendRanges(dwarf_, unit, unit.low_pc, unit.high_pc, unit.ranges, &ranges);
    for (const AddressRange& range : ranges) ranges_.push_back({range.begin, range.end, 0, &unit});
  }
  // An inline function compiled in several units is kept from the first, but the debug information of the others points
  // to it too, each with its own idea of the path. The first, which UnitOf() takes, goes last.
  std::sort(ranges_.begin(), ranges_.end(), [](const UnitRange& a, const UnitRange& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.unit->offset > b.unit->offset;
  });
  uint64_t reach = 0;
  for (UnitRange& range : ranges_) range.reach = reach = std::max(reach, range.end);
}

const DwarfUnit* DwarfResolver::UnitOf(uint64_t address) const {
  auto range = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](uint64_t wanted, const UnitRange& range) { return wanted < range.begin; });
  for (int step = 0; step < kMaxOverlap && range != ranges_.begin(); ++step) {
    --range;
    if (range->reach <= address) break;
    if (address < range->end) return range->unit;
  }
  return nullptr;
}

void DwarfResolver::Resolve(std::span<const uint64_t> addresses, std::span<ResolvedAddress> answers,
                            const std::function<void(size_t done)>& progress) {
  struct Share {
    std::vector<uint64_t> addresses;
    std::vector<ResolvedAddress*> answers;
  };
  std::map<uint64_t, Share> shares;  // by the offset of the unit's first DIE
  size_t done = 0;
  for (size_t i = 0; i < addresses.size(); ++i) {
    const DwarfUnit* unit = UnitOf(addresses[i]);
    if (unit == nullptr) {
      ++done;
      continue;
    }
    Share& share = shares[unit->die_offset];
    share.addresses.push_back(addresses[i]);
    share.answers.push_back(&answers[i]);
  }
  for (const auto& [offset, share] : shares) {
    ResolveUnit(*dwarf_.UnitAt(offset), share.addresses, share.answers);
    done += share.addresses.size();
    if (progress) progress(done);
  }
}

void DwarfResolver::ResolveUnit(const DwarfUnit& unit, std::span<const uint64_t> addresses,
                                std::span<ResolvedAddress* const> answers) {
  std::optional<SplitUnit> split;
  if (unit.type == DW_UT_skeleton || !unit.dwo_name.empty()) split = split_units_.Find(dwarf_, unit);
  const DwarfFile& frames_file = split ? *split->dwarf : dwarf_;
  const DwarfUnit& frames_unit = split ? *split->unit : unit;

  std::optional<LineTable> lines, split_files;
  if (unit.line_offset) lines = ReadLineTable(dwarf_, unit, *unit.line_offset);
  // A split unit counts its files in a table of its own, which has no rows, or else in its skeleton's.
  if (split && !frames_file.sections().line.empty()) split_files = ReadLineTable(frames_file, frames_unit, 0);
  LineTable* call_files = split_files ? &*split_files : lines ? &*lines : nullptr;

  std::vector<LineRow> rows(addresses.size());
  if (lines) rows = lines->FindRows(addresses);
  FunctionNames split_names(demangler_);  // not kept: they refer to a file that is closed at the end of this unit
  UnitAnswers unit_answers(frames_file, FindInlineFrames(frames_file, frames_unit, addresses),
                           lines ? &*lines : nullptr, call_files, split ? split_names : names_);
  for (size_t i = 0; i < addresses.size(); ++i) {
    FunctionName outermost;
    unit_answers.Fill(i, rows[i], answers[i], &outermost);
    if (answers[i]->locations.empty() || outermost.complete) continue;
    // Assembly has lines but no functions, and what is local to a function may have a plain name only.
    std::string_view symbol = symbol_at_(addresses[i]);
    std::string& name = answers[i]->locations.back().function;
    if (name.empty()) {
      name = demangler_.DemangleOrKeep(symbol);
    } else if (symbol.starts_with("_Z")) {
      if (const std::string* readable = demangler_.TryDemangle(symbol)) name = *readable;
    }
  }
}

}  // namespace allocline
