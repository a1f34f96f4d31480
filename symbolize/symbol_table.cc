#include "symbolize/symbol_table.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace allocline {
namespace {

// How many symbols that end too early we pass on the way back to one that holds the address: real tables have one or
// two, and a damaged one must not make the search linear.
constexpr int kMaxNesting = 256;

size_t LeadingUnderscores(std::string_view name) {
  if (name.starts_with("_Z")) return 0;  // a mangled name, which prints without them
  return std::min(name.find_first_not_of('_'), name.size());
}

int Visibility(uint8_t binding) { return binding == STB_GLOBAL ? 2 : binding == STB_WEAK ? 1 : 0; }

// Greater is better, among symbols of one address.
auto Preference(const ElfSymbol& symbol) {
  return std::tuple(symbol.size > 0, symbol.type != STT_NOTYPE, -static_cast<int64_t>(LeadingUnderscores(symbol.name)),
                    Visibility(symbol.binding), symbol.name);
}

}  // namespace

SymbolTable::SymbolTable(ElfFile& file, ElfFile::SymbolTableKind kind) {
  std::vector<ElfSymbol> symbols;
  file.ForEachCodeSymbol(kind, [&](const ElfSymbol& symbol) {
    if (symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC || symbol.type == STT_NOTYPE) symbols.push_back(symbol);
  });
  std::sort(symbols.begin(), symbols.end(), [](const ElfSymbol& a, const ElfSymbol& b) {
    if (a.address != b.address) return a.address < b.address;
    return Preference(a) < Preference(b);
  });
  // A symbol without size inside one that has a size, or at its address, is a label or an alias: not a function that
  // goes on where the other ends.
  uint64_t sized_reach = 0;
  std::vector<ElfSymbol> kept;
  for (size_t begin = 0, end = 0; begin < symbols.size(); begin = end) {
    while (end < symbols.size() && symbols[end].address == symbols[begin].address) {
      if (symbols[end].size > 0) sized_reach = std::max(sized_reach, symbols[end].address + symbols[end].size);
      ++end;
    }
    for (size_t i = begin; i < end; ++i) {
      if (symbols[i].size > 0 || symbols[i].address >= sized_reach) kept.push_back(symbols[i]);
    }
  }
  symbols = std::move(kept);
  functions_.reserve(symbols.size());
  uint64_t reach = 0;
  for (size_t i = 0; i < symbols.size(); ++i) {
    const ElfSymbol& symbol = symbols[i];
    uint64_t end = symbol.address + std::max<uint64_t>(symbol.size, 1);
    if (symbol.size == 0 && kind == ElfFile::SymbolTableKind::kSymtab) {
      size_t next = i + 1;
      while (next < symbols.size() && symbols[next].address == symbol.address) ++next;
      end = next < symbols.size() ? std::min(symbols[next].address, symbol.section_end) : symbol.section_end;
    }
    if (end <= symbol.address) continue;
    reach = std::max(reach, end);
    functions_.push_back({symbol.address, end, reach, symbol.name});
  }
}

std::string_view SymbolTable::Find(uint64_t address) const {
  auto after = std::upper_bound(functions_.begin(), functions_.end(), address,
                                [](uint64_t wanted, const Function& function) { return wanted < function.begin; });
  // The nearest one that still holds the address; `reach` ends the search as soon as none before can.
  for (int step = 0; step < kMaxNesting && after != functions_.begin(); ++step) {
    --after;
    if (after->reach <= address) break;
    if (address < after->end) return after->name;
  }
  return {};
}

}  // namespace allocline
