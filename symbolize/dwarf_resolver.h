// Resolves many addresses of one binary from its DWARF.
//
//   1. Which unit is each address in? All units' ranges, sorted, merged with the addresses, sorted. (.debug_aranges
//      would tell faster, but clang does not write it.)
//   2. For each unit with addresses in it: one walk over its DIEs (inline_frames), one run of its line table
//      (dwarf_lines), then the chains are put together and named.
//
// Threads: one thread at a time.
#ifndef ALLOCLINE_SYMBOLIZE_DWARF_RESOLVER_H_
#define ALLOCLINE_SYMBOLIZE_DWARF_RESOLVER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "symbolize/demangle.h"
#include "symbolize/dwarf_file.h"
#include "symbolize/function_names.h"
#include "symbolize/inline_frames.h"
#include "symbolize/split_dwarf.h"
#include "symbolize/symbolizer.h"

namespace allocline {

class DwarfResolver {
 public:
  // The mangled name of the function at an address by the symbol table, "" if unknown: it has the whole name of
  // functions that DWARF names incompletely.
  using SymbolAt = std::function<std::string_view(uint64_t address)>;

  // All must outlive the resolver.
  DwarfResolver(const DwarfFile& dwarf, SplitUnitFinder& split_units, Demangler& demangler, SymbolAt symbol_at);

  // `addresses` ascend without duplicates. Fills the answer of each address that DWARF knows. `progress`, if there is
  // one, is told from time to time how many are done.
  void Resolve(std::span<const uint64_t> addresses, std::span<ResolvedAddress> answers,
               const std::function<void(size_t done)>& progress);

 private:
  struct UnitRange {
    uint64_t begin, end;
    uint64_t reach;  // the greatest end of this range and all before it
    const DwarfUnit* unit;
  };
  void FindUnitRanges();
  const DwarfUnit* UnitOf(uint64_t address) const;
  void ResolveUnit(const DwarfUnit& unit, std::span<const uint64_t> addresses,
                   std::span<ResolvedAddress* const> answers);

  const DwarfFile& dwarf_;
  SplitUnitFinder& split_units_;
  Demangler& demangler_;
  FunctionNames names_;
  SymbolAt symbol_at_;
  std::vector<UnitRange> ranges_;  // by begin
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DWARF_RESOLVER_H_
