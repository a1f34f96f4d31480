// Function symbols of one ELF table, by address: the fallback where there is no DWARF.
//
// It names a function only if that function's own bytes hold the address. The symbol that merely comes before it is
// often another function altogether (a stripped library has hundreds of hidden functions after each exported one), and
// a wrong name is worse than none.
//
// Threads:    immutable once built.
// Invariants: names point into the ElfFile it was built from, which must outlive it.
// At the edge: hand-written assembly may have symbols of size 0. In .symtab, which lists every function, such a symbol
//             reaches to the next one or to the end of its section; in .dynsym, which does not, it names only its
//             first byte.
#ifndef ALLOCLINE_SYMBOLIZE_SYMBOL_TABLE_H_
#define ALLOCLINE_SYMBOLIZE_SYMBOL_TABLE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "symbolize/elf_file.h"

namespace allocline {

class SymbolTable {
 public:
  SymbolTable() = default;
  SymbolTable(ElfFile& file, ElfFile::SymbolTableKind kind);

  // Mangled name of the function whose bytes hold `address`, "" if none. Of several names for one function (malloc and
  // __libc_malloc) it is the one with the fewest leading underscores, then the most visible.
  std::string_view Find(uint64_t address) const;
  bool empty() const { return functions_.empty(); }

 private:
  struct Function {
    uint64_t begin;
    uint64_t end;
    uint64_t reach;  // the greatest `end` of this and all functions before it
    std::string_view name;
  };
  std::vector<Function> functions_;  // by begin; of equal begins the preferred last
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_SYMBOL_TABLE_H_
