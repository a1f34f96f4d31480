// Symbols and line tables written by hand in assembly, where no compiler gives the case that is wanted.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "symbolize/elf_file.h"
#include "symbolize/symbol_table.h"
#include "symbolize/symbolizer.h"
#include "tests/support/temp_dir.h"
#include "tests/symbolize/compiled.h"

namespace allocline {
namespace {

using ::allocline::testing::RunTool;
using ::allocline::testing::TempDir;
using ::testing::ElementsAre;

// A library of the given code, whose first byte is at begin().
class Assembled {
 public:
  explicit Assembled(const std::string& code) {
    directory_.WriteFile("code.s", ".text\n.globl begin\nbegin:\n" + code);
    if (!RunTool("gcc -shared -nostdlib code.s -o code.so", directory_.path())) return;
    file_ = *ElfFile::Open(path());
    for (const ElfSymbol& symbol : Symbols()) {
      if (symbol.name == "begin") begin_ = symbol.address;
    }
  }
  std::string path() const { return directory_ / "code.so"; }
  uint64_t begin() const { return begin_; }
  // The symbol at each byte, "" where there is none.
  std::vector<std::string> Names(ElfFile::SymbolTableKind kind, uint64_t bytes) {
    SymbolTable table(*file_, kind);
    std::vector<std::string> names;
    for (uint64_t i = 0; i < bytes; ++i) names.emplace_back(table.Find(begin_ + i));
    return names;
  }

 private:
  std::vector<ElfSymbol> Symbols() {
    std::vector<ElfSymbol> symbols;
    file_->ForEachCodeSymbol(ElfFile::SymbolTableKind::kSymtab,
                             [&](const ElfSymbol& symbol) { symbols.push_back(symbol); });
    return symbols;
  }

  TempDir directory_;
  std::unique_ptr<ElfFile> file_;
  uint64_t begin_ = 0;
};

constexpr auto kSymtab = ElfFile::SymbolTableKind::kSymtab;
constexpr auto kDynsym = ElfFile::SymbolTableKind::kDynsym;

TEST(SymbolTableTest, ASymbolNamesItsOwnBytesOnly) {
  Assembled code(
      "f: nop\n nop\n .size f, 2\n .type f, @function\n"
      "nop\nnop\n"
      "g: nop\n .size g, 1\n .type g, @function\n .globl g\n nop\n");
  // `begin` has no size, and `f` is at the same address: the one with a size is the function.
  EXPECT_THAT(code.Names(kSymtab, 6), ElementsAre("f", "f", "", "", "g", ""));
  EXPECT_THAT(code.Names(kDynsym, 6), ElementsAre("begin", "", "", "", "g", ""));
}

TEST(SymbolTableTest, WithoutASizeItReachesToTheNextOneInTheFullTableOnly) {
  Assembled code("nop\nnop\n.globl h\nh: nop\nnop\n");
  EXPECT_THAT(code.Names(kSymtab, 5), ElementsAre("begin", "begin", "h", "h", ""));
  EXPECT_THAT(code.Names(kDynsym, 5), ElementsAre("begin", "", "h", "", ""));
}

TEST(SymbolTableTest, ALabelInsideAFunctionIsNotAFunction) {
  Assembled code("f: nop\nloop_start: nop\n nop\n .size f, 3\n .type f, @function\n");
  EXPECT_THAT(code.Names(kSymtab, 4), ElementsAre("f", "f", "f", ""));
}

TEST(SymbolTableTest, TheFunctionAroundASmallerOneIsFoundBehindIt) {
  Assembled code(
      "outer: nop\ninner: nop\n .size inner, 1\n .type inner, @function\n nop\n"
      ".size outer, 3\n .type outer, @function\n");
  EXPECT_THAT(code.Names(kSymtab, 4), ElementsAre("outer", "inner", "outer", ""));
}

TEST(SymbolTableTest, OfTwoNamesThePublicOneIsShown) {
  Assembled code(
      ".globl __internal_read\n__internal_read:\n.weak read_page\nread_page:\n nop\n"
      ".size __internal_read, 1\n.type __internal_read, @function\n.size read_page, 1\n.type read_page, @function\n");
  EXPECT_THAT(code.Names(kSymtab, 1), ElementsAre("read_page"));
}

// Lines of the first `bytes` bytes of a file that names its own lines.
std::vector<uint32_t> Lines(const Assembled& code, uint64_t bytes) {
  std::vector<uint64_t> addresses;
  for (uint64_t i = 0; i < bytes; ++i) addresses.push_back(code.begin() + i);
  std::vector<uint32_t> lines;
  for (const ResolvedAddress& address : Symbolizer({}).Resolve({.path = code.path()}, addresses)) {
    lines.push_back(address.locations.empty() ? 0 : address.locations[0].line);
  }
  return lines;
}

struct Row {
  int file, line;
};

// One byte of code for each row, and DWARF written out for it: the assembler itself leaves out rows of line 0.
std::string CodeWithRows(const std::vector<Row>& rows, uint64_t bytes_per_row = 1) {
  std::string program;
  int line = 1;
  for (const Row& row : rows) {
    program += fmt::format(".byte 3\n.sleb128 {}\n.byte 4\n.uleb128 {}\n.byte 1\n.byte 2\n.uleb128 {}\n",
                           row.line - line, row.file, bytes_per_row);
    line = row.line;
  }
  std::string code;
  for (size_t i = 0; i < rows.size(); ++i) code += "nop\n";
  return code +
         ".Lend:\n"
         ".section .debug_info,\"\",@progbits\n.long .Li1-.Li0\n.Li0: .value 4\n.long .Labbrev\n.byte 8\n"
         ".uleb128 1\n.quad begin\n.quad .Lend-begin\n.long .Lline\n.Li1:\n"
         ".section .debug_abbrev,\"\",@progbits\n.Labbrev: .uleb128 1\n.uleb128 0x11\n.byte 0\n"
         ".uleb128 0x11\n.uleb128 0x1\n.uleb128 0x12\n.uleb128 0x7\n.uleb128 0x10\n.uleb128 0x17\n"
         ".byte 0\n.byte 0\n.byte 0\n"
         ".section .debug_line,\"\",@progbits\n.Lline: .long .Ll1-.Ll0\n.Ll0: .value 4\n.long .Lp0-.Lh0\n"
         ".Lh0: .byte 1, 1, 1, -5, 14, 13\n.byte 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1\n.byte 0\n"
         ".asciz \"/src/a.c\"\n.byte 0, 0, 0\n.asciz \"/src/b.h\"\n.byte 0, 0, 0\n"
         ".asciz \"/src/a.c\"\n.byte 0, 0, 0\n.byte 0\n"
         ".Lp0: .byte 0, 9, 2\n.quad begin\n" +
         program + ".byte 0, 1, 1\n.Ll1:\n";
}

TEST(LineTableTest, CodeOfNoLineBelongsToTheLineBeforeItInItsFile) {
  Assembled code(CodeWithRows({{1, 10}, {1, 0}, {2, 77}, {1, 0}, {1, 12}, {2, 0}}));
  EXPECT_THAT(Lines(code, 6), ElementsAre(10, 10, 77, 10, 12, 77));
}

TEST(LineTableTest, AFileListedTwiceIsOneFile) {  // as clang lists the one that is being compiled
  Assembled code(CodeWithRows({{1, 10}, {3, 0}, {3, 11}, {1, 0}}));
  EXPECT_THAT(Lines(code, 4), ElementsAre(10, 10, 11, 11));
}

TEST(LineTableTest, CodeBeforeTheFirstLineOfItsFileHasNone) {
  Assembled code(CodeWithRows({{1, 0}, {2, 77}, {1, 0}, {1, 5}}));
  EXPECT_THAT(Lines(code, 4), ElementsAre(0, 77, 0, 5));
}

TEST(LineTableTest, ASequenceWithoutBytesOwnsNoAddress) {
  Assembled code(CodeWithRows({{1, 10}, {1, 11}, {2, 12}}, /*bytes_per_row=*/0));
  EXPECT_THAT(Lines(code, 1), ElementsAre(0));
}

}  // namespace
}  // namespace allocline
