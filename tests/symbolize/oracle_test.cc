// What we say about the addresses of a program must be what addr2line says (and llvm-symbolizer, where installed):
// the same number of inlined calls, the same files and lines, the same functions. The program is compiled in every way
// that changes its DWARF.
//
// Where we differ from them, on purpose:
//   1. Paths are compared without "." and "..": we resolve them, addr2line prints what the compiler wrote.
//   2. We ask them for mangled names, and demangle those with our Demangle(). A function without a linkage name (C, a
//      lambda) has a plain name there; ours has that, with the names of what the function stands in. For the innermost
//      of several locations addr2line prints the name of the ELF symbol if DWARF has only a plain one, which is the
//      function that the location is inlined into.
//   3. Code of no line (line 0; they print "?" or 0): we give the line before it in the same function.
//   4. A function that the linker folded from several units has several true answers; the program has no such one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "symbolize/demangle.h"
#include "symbolize/dwarf_lines.h"
#include "symbolize/symbolizer.h"
#include "tests/support/temp_dir.h"
#include "tests/symbolize/compiled.h"

namespace allocline {
namespace {

using ::allocline::testing::AskOracle;
using ::allocline::testing::Compilers;
using ::allocline::testing::HasTool;
using ::allocline::testing::RunTool;
using ::allocline::testing::SampleAddresses;
using ::allocline::testing::SourcePath;
using ::allocline::testing::TempDir;
using ::allocline::testing::ToText;

constexpr size_t kAddresses = 400;
constexpr uint32_t kSeed = 4711;

// Which compilers' output addr2line 2.40 reads right. It does not follow DWARF 5 indices (clang's ranges and
// addresses), split or 64-bit DWARF; llvm-symbolizer follows all of them.
enum class Addr2line { kBoth, kGcc, kNone };

struct Build {
  std::string name;
  std::string flags;
  Addr2line addr2line = Addr2line::kGcc;
  std::string after_link;     // command lines, separated by ';', run where the binary "program" is
  std::string only_compiler;  // if the flags are one compiler's
};

const Build kBuilds[] = {
    {"O0", "-O0 -g"},
    {"O2", "-O2 -g"},
    {"O2_dwarf4", "-O2 -gdwarf-4", Addr2line::kBoth},
    {"O2_dwarf3", "-O2 -gdwarf-3 -gstrict-dwarf", Addr2line::kGcc, "", "g++"},
    {"O2_lines_only", "-O2 -g1"},
    {"O2_not_pie", "-O2 -g -fno-pie -no-pie"},
    {"O2_sections_collected", "-O2 -g -ffunction-sections -Wl,--gc-sections"},
    {"O2_sections_collected_dwarf4", "-O2 -gdwarf-4 -ffunction-sections -Wl,--gc-sections", Addr2line::kBoth},
    {"O2_lto", "-O2 -g -flto=1", Addr2line::kNone, "", "g++"},
    {"O2_lto_lld", "-O2 -g -flto -fuse-ld=lld", Addr2line::kNone, "", "clang++"},
    {"O3_compressed", "-O3 -g -gz=zlib"},
    {"O2_compressed_old_style", "-O2 -gdwarf-4", Addr2line::kNone,
     "objcopy --compress-debug-sections=zlib-gnu program"},
    {"O2_64bit_dwarf", "-O2 -g -gdwarf64", Addr2line::kNone, "", "g++"},
    {"O2_type_units", "-O2 -g -fdebug-types-section", Addr2line::kNone},
    {"O2_type_units_dwarf4", "-O2 -gdwarf-4 -fdebug-types-section", Addr2line::kBoth},
    {"O2_split_dwarf", "-O2 -g -gsplit-dwarf", Addr2line::kNone},
    {"O2_split_dwarf4", "-O2 -gdwarf-4 -gsplit-dwarf", Addr2line::kNone},
    {"O2_stripped", "-O2 -g", Addr2line::kGcc,
     "objcopy --only-keep-debug program program.debug;strip program;"
     "objcopy --add-gnu-debuglink=program.debug program"},
};

struct CompiledBuild {
  std::string compiler;
  Build build;
};

void PrintTo(const CompiledBuild& build, std::ostream* os) { *os << build.compiler << " " << build.build.flags; }

std::vector<CompiledBuild> Builds() {
  std::vector<CompiledBuild> builds;
  for (const std::string& compiler : Compilers()) {
    for (const Build& build : kBuilds) {
      if (build.only_compiler.empty() || build.only_compiler == compiler) builds.push_back({compiler, build});
    }
  }
  return builds;
}

class OracleTest : public ::testing::TestWithParam<CompiledBuild> {
 protected:
  const std::string& compiler() const { return GetParam().compiler; }
  const Build& build() const { return GetParam().build; }
};

// Theirs is mangled, or the plain name where DWARF has no other.
bool SameFunction(const std::vector<SourceLocation>& ours, const std::vector<SourceLocation>& theirs, size_t i) {
  const std::string& name = theirs[i].function;
  const std::optional<std::string> readable = Demangle(name);
  if (!readable) return true;
  if (!name.starts_with("_Z")) {  // template arguments are not spelled alike in DWARF and in symbols
    return ours[i].function.find(readable->substr(0, readable->find('<', 1))) != std::string::npos;
  }
  // Difference 2: addr2line's name of the innermost may be that of the function it is inlined into.
  return ours[i].function == *readable || (i == 0 && ours.back().function == *readable);
}

bool SamePlace(const SourceLocation& ours, const SourceLocation& theirs) {
  if (ours.line == 0 && theirs.line == 0) return true;  // made by the compiler: no place in any file
  if (JoinPath("", ours.file) != JoinPath("", theirs.file)) return false;
  return ours.line == theirs.line || theirs.line == 0;  // difference 3
}

void ExpectAgreement(const std::string& oracle, const std::string& binary, const std::vector<uint64_t>& addresses,
                     const std::vector<ResolvedAddress>& resolved) {
  auto theirs = AskOracle(oracle, binary, addresses);
  size_t compared = 0, different = 0;
  for (size_t i = 0; i < addresses.size(); ++i) {
    const std::vector<SourceLocation>& expected = theirs[addresses[i]];
    const std::vector<SourceLocation>& got = resolved[i].locations;
    if (expected.empty() || expected[0].file.empty()) {  // code of the C library, without debug information
      EXPECT_NE(resolved[i].level, ResolutionLevel::kLine) << oracle << " has nothing for\n" << ToText(got);
      continue;
    }
    ++compared;
    bool same = got.size() == expected.size();
    for (size_t k = 0; same && k < got.size(); ++k) {
      same = SamePlace(got[k], expected[k]) && SameFunction(got, expected, k);
    }
    if (same) continue;
    if (++different <= 3) {
      ADD_FAILURE() << fmt::format("{:#x}\n  ours:\n{}  {}:\n{}", addresses[i], ToText(got), oracle, ToText(expected));
    }
  }
  EXPECT_EQ(different, 0u) << "from " << oracle << ", of " << compared;
  EXPECT_GT(compared, addresses.size() / 2) << oracle << " knows too little for a test";
}

TEST_P(OracleTest, EveryAddressHasTheirInlinedCallsLinesAndFunctions) {
  if (!build().only_compiler.empty() && build().only_compiler != compiler())
    GTEST_SKIP() << "flags of another compiler";
  if (build().flags.find("lld") != std::string::npos && !HasTool("ld.lld")) GTEST_SKIP() << "lld is not installed";
  const bool addr2line =
      build().addr2line == Addr2line::kBoth || (build().addr2line == Addr2line::kGcc && compiler() == "g++");
  const bool llvm = HasTool("llvm-symbolizer");
  if (!addr2line && !llvm) GTEST_SKIP() << "llvm-symbolizer is not installed";
  TempDir directory;
  // Built with a relative name, so that its files have to be made absolute.
  for (const char* source : {"shapes.cc", "small.cc"}) {
    std::filesystem::copy_file(SourcePath(source), directory / source);
  }
  ASSERT_TRUE(RunTool(fmt::format("{} -std=c++17 {} shapes.cc small.cc -o program", compiler(), build().flags),
                      directory.path()));
  const std::string binary = directory / "program";
  const std::vector<uint64_t> addresses = SampleAddresses(binary, kAddresses, kSeed);
  for (size_t from = 0; from < build().after_link.size();) {
    size_t end = std::min(build().after_link.find(';', from), build().after_link.size());
    ASSERT_TRUE(RunTool(build().after_link.substr(from, end - from), directory.path()));
    from = end + 1;
  }

  Symbolizer symbolizer({});
  std::vector<ResolvedAddress> resolved = symbolizer.Resolve({.path = binary}, addresses);
  EXPECT_EQ(symbolizer.Diagnose({.path = binary}).problem, "");
  if (addr2line) ExpectAgreement("addr2line", binary, addresses, resolved);
  if (llvm) ExpectAgreement("llvm-symbolizer", binary, addresses, resolved);
}

INSTANTIATE_TEST_SUITE_P(Builds, OracleTest, ::testing::ValuesIn(Builds()), [](const auto& info) {
  return fmt::format("{}_{}", info.param.compiler == "g++" ? "gcc" : "clang", info.param.build.name);
});

}  // namespace
}  // namespace allocline
