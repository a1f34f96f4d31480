// What Symbolizer promises, on programs with known answers, in every state a binary is found in.
#include "symbolize/symbolizer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "symbolize/elf_file.h"
#include "tests/support/temp_dir.h"
#include "tests/symbolize/compiled.h"

namespace allocline {
namespace {

namespace fs = std::filesystem;
using ::allocline::testing::Compilers;
using ::allocline::testing::Extent;
using ::allocline::testing::FunctionExtents;
using ::allocline::testing::HasTool;
using ::allocline::testing::LineWith;
using ::allocline::testing::RunTool;
using ::allocline::testing::SourcePath;
using ::allocline::testing::TempDir;
using ::allocline::testing::ToText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kOuter[] = "_ZN6shapes5OuterEi";

std::string BuildIdOf(const std::string& path) { return (*ElfFile::Open(path))->build_id(); }

// small.cc compiled to `binary` in a directory of its own.
class SymbolizerTest : public ::testing::Test {
 protected:
  void Compile(const std::string& flags, const std::string& compiler = "g++") {
    ASSERT_TRUE(RunTool(fmt::format("{} -std=c++17 {} {} -o program", compiler, flags, SourcePath("small.cc")),
                        directory_.path()));
    functions_ = FunctionExtents(binary());
  }
  void Run(const std::string& command_line) { ASSERT_TRUE(RunTool(command_line, directory_.path())); }

  std::string binary() const { return directory_ / "program"; }
  std::string in_directory(const std::string& name) const { return directory_ / name; }
  uint64_t AddressIn(const std::string& function) const {
    auto found = functions_.find(function);
    if (found == functions_.end()) throw std::runtime_error("no function " + function);
    return found->second.address + found->second.bytes / 2;
  }
  ResolvedAddress Resolve(const ModuleFile& module, uint64_t address, SymbolizerOptions options = {}) {
    Symbolizer symbolizer(std::move(options));
    std::vector<ResolvedAddress> resolved = symbolizer.Resolve(module, std::vector<uint64_t>{address});
    diagnosis_ = symbolizer.Diagnose(module);
    return resolved.at(0);
  }
  ResolvedAddress Resolve(uint64_t address) { return Resolve({.path = binary()}, address); }

  TempDir directory_;
  std::map<std::string, Extent> functions_;
  ModuleDiagnosis diagnosis_;
};

TEST_F(SymbolizerTest, AnInlinedCallIsFollowedOutToTheFunctionOnTheStack) {
  for (const std::string& compiler : Compilers()) {
    Compile("-O2 -g", compiler);
    const std::string source = SourcePath("small.cc");
    const std::vector<SourceLocation> expected = {
        {.function = "shapes::Inner(int)", .file = source, .line = LineWith(source, "  sink = x;"), .inlined = true},
        {.function = "shapes::Middle(int)",
         .file = source,
         .line = LineWith(source, "return Inner(x + 1)"),
         .inlined = true},
        {.function = "shapes::Outer(int)", .file = source, .line = LineWith(source, "int sum = Middle(x)")},
    };
    const Extent outer = functions_.at(kOuter);
    std::vector<uint64_t> addresses(outer.bytes);
    for (size_t i = 0; i < addresses.size(); ++i) addresses[i] = outer.address + i;
    Symbolizer symbolizer({});
    std::vector<ResolvedAddress> resolved = symbolizer.Resolve({.path = binary()}, addresses);
    EXPECT_TRUE(std::any_of(resolved.begin(), resolved.end(), [&](const ResolvedAddress& address) {
      return address.locations == expected;
    })) << compiler;
    for (const ResolvedAddress& address : resolved) {
      EXPECT_EQ(address.level, ResolutionLevel::kLine);
      EXPECT_EQ(address.locations.back().function, "shapes::Outer(int)");
      EXPECT_FALSE(address.locations.back().inlined);
    }
  }
}

TEST_F(SymbolizerTest, CodeInsideOtherFunctionsIsNamedAfterThem) {
  Compile("-O2 -g");
  std::set<std::string> names;
  for (const auto& [mangled, extent] : functions_) {
    if (mangled.find("Lambdas") != std::string::npos) names.insert(Resolve(extent.address).locations.back().function);
  }
  EXPECT_THAT(names, ElementsAre("shapes::Lambdas(int)", "shapes::Lambdas(int)::Local::Member(int)",
                                 "shapes::Lambdas(int)::{lambda(int)#1}::operator()(int) const"));
  // The lambda that was inlined has no symbol and no linkage name.
  bool found = false;
  const Extent lambdas = functions_.at("_ZN6shapes7LambdasEi");
  for (uint64_t i = 0; i < lambdas.bytes; ++i) {
    for (const SourceLocation& location : Resolve(lambdas.address + i).locations) {
      found |= location.function == "shapes::Lambdas(int)::<lambda>::operator()" && location.inlined;
    }
  }
  EXPECT_TRUE(found);
}

TEST_F(SymbolizerTest, TheColdPartOfAFunctionIsThatFunction) {
  Compile("-O2 -g");
  const Extent cold = functions_.at("_ZN6shapes11PartitionedEi.cold");
  ResolvedAddress resolved = Resolve(cold.address + cold.bytes / 2);
  EXPECT_EQ(resolved.level, ResolutionLevel::kLine);
  EXPECT_EQ(resolved.locations.back().function, "shapes::Partitioned(int)");
}

TEST_F(SymbolizerTest, AnswersComeInTheOrderOfTheQuestionsDuplicatesIncluded) {
  Compile("-O2 -g");
  const std::vector<uint64_t> addresses = {AddressIn("main"),         AddressIn(kOuter), AddressIn("main"), 0,
                                           AddressIn("WithCLinkage"), AddressIn(kOuter)};
  Symbolizer symbolizer({});
  std::vector<ResolvedAddress> resolved = symbolizer.Resolve({.path = binary()}, addresses);
  std::vector<std::string> functions;
  for (const ResolvedAddress& address : resolved) {
    functions.push_back(address.locations.empty() ? "" : address.locations.back().function);
  }
  EXPECT_THAT(functions, ElementsAre("main", "shapes::Outer(int)", "main", "", "WithCLinkage", "shapes::Outer(int)"));
}

TEST_F(SymbolizerTest, ProgressOnlyAdvancesAndEndsAtTheTotal) {
  Compile("-O2 -g");
  size_t last = 0, last_total = 0;
  SymbolizerOptions options;
  options.progress = [&](size_t done, size_t total) {
    EXPECT_GE(done, last);
    EXPECT_LE(done, total);
    last = done;
    last_total = total;
  };
  Symbolizer symbolizer(options);
  symbolizer.Resolve({.path = binary()}, std::vector<uint64_t>{AddressIn("main"), AddressIn(kOuter)});
  EXPECT_EQ(last, 2u);
  EXPECT_EQ(last_total, 2u);
}

// ---------------------------------------------------------------- without DWARF

TEST_F(SymbolizerTest, WithoutDwarfTheSymbolTableNamesFunctions) {
  Compile("-O2");
  ResolvedAddress resolved = Resolve(AddressIn(kOuter));
  EXPECT_EQ(resolved.level, ResolutionLevel::kSymbol);
  EXPECT_THAT(resolved.locations, ElementsAre(SourceLocation{.function = "shapes::Outer(int)"}));
  EXPECT_EQ(diagnosis_.debug_file, "");
  EXPECT_THAT(diagnosis_.problem, HasSubstr("no debug information"));
}

TEST_F(SymbolizerTest, AStrippedLibraryNamesItsExportsAndNothingInBetween) {
  Compile("-O2 -shared -fPIC -Wl,-Bsymbolic");
  Run("strip program");
  ResolvedAddress exported = Resolve(AddressIn(kOuter));
  EXPECT_EQ(exported.level, ResolutionLevel::kDynamic);
  EXPECT_EQ(exported.locations.at(0).function, "shapes::Outer(int)");
  // A function that is not exported lies between exported ones: none of their names is its name.
  ResolvedAddress hidden = Resolve(AddressIn("_ZL9FileLocali"));
  EXPECT_EQ(hidden.level, ResolutionLevel::kModule);
  EXPECT_THAT(hidden.locations, ::testing::IsEmpty());
}

TEST_F(SymbolizerTest, AssemblyHasItsLinesFromDwarfAndItsNamesFromSymbols) {
  const std::string source = directory_.WriteFile("code.s",
                                                  ".text\n.globl asm_function\n.type asm_function, @function\n"
                                                  "asm_function:\n  nop\n  nop\n  ret\n"
                                                  ".size asm_function, .-asm_function\n");
  Run("gcc -g -shared code.s -o program");
  functions_ = FunctionExtents(binary());
  ResolvedAddress resolved = Resolve(functions_.at("asm_function").address + 1);
  EXPECT_EQ(resolved.level, ResolutionLevel::kLine);
  EXPECT_THAT(resolved.locations, ElementsAre(SourceLocation{.function = "asm_function", .file = source, .line = 6}));
}

// ---------------------------------------------------------------- separate debug files

class SeparateDebugFileTest : public SymbolizerTest {
 protected:
  // program without DWARF and symbols, and program.debug with both.
  void CompileAndStrip(const std::string& flags) {
    Compile(flags);
    Run("objcopy --only-keep-debug program program.debug");
    Run("strip program");
  }
  // DIRECTORY/.build-id/xx/yyy.debug
  std::string BuildIdPath(const std::string& directory) const {
    std::string id;
    for (char byte : BuildIdOf(binary())) id += fmt::format("{:02x}", static_cast<uint8_t>(byte));
    return fmt::format("{}/.build-id/{}/{}.debug", directory, id.substr(0, 2), id.substr(2));
  }
  std::string InstallByBuildId(const std::string& directory) const {
    const std::string path = BuildIdPath(directory);
    fs::create_directories(fs::path(path).parent_path());
    fs::rename(in_directory("program.debug"), path);
    return path;
  }
  void ExpectLine(const ResolvedAddress& resolved) {
    EXPECT_EQ(resolved.level, ResolutionLevel::kLine) << diagnosis_.problem;
    ASSERT_FALSE(resolved.locations.empty());
    EXPECT_EQ(resolved.locations.back().function, "shapes::Outer(int)");
  }
};

TEST_F(SeparateDebugFileTest, IsFoundByBuildIdUnderADebugPath) {
  CompileAndStrip("-O2 -g");
  const std::string path = InstallByBuildId(in_directory("debug"));
  EXPECT_EQ(Resolve(AddressIn(kOuter)).level, ResolutionLevel::kModule);
  ExpectLine(Resolve({.path = binary()}, AddressIn(kOuter), {.debug_paths = {"/nonexistent", in_directory("debug")}}));
  EXPECT_EQ(diagnosis_.debug_file, path);
  EXPECT_EQ(diagnosis_.problem, "");
}

TEST_F(SeparateDebugFileTest, IsFoundByDebuglinkBesideTheBinaryAndBelowIt) {
  CompileAndStrip("-O2 -g -Wl,--build-id=none");
  Run("objcopy --add-gnu-debuglink=program.debug program");
  ExpectLine(Resolve(AddressIn(kOuter)));
  fs::create_directory(in_directory(".debug"));
  fs::rename(in_directory("program.debug"), in_directory(".debug/program.debug"));
  ExpectLine(Resolve(AddressIn(kOuter)));
  EXPECT_EQ(diagnosis_.debug_file, in_directory(".debug/program.debug"));
}

TEST_F(SeparateDebugFileTest, OfAnotherBuildIsRefusedAndSaid) {
  CompileAndStrip("-O2 -g -Wl,--build-id=none");
  Run("objcopy --add-gnu-debuglink=program.debug program");
  fs::resize_file(in_directory("program.debug"), fs::file_size(in_directory("program.debug")) + 1);
  EXPECT_EQ(Resolve(AddressIn(kOuter)).level, ResolutionLevel::kModule);
  EXPECT_THAT(diagnosis_.problem, HasSubstr("program.debug: its checksum is not the one"));

  CompileAndStrip("-O2 -g");
  const std::string path = InstallByBuildId(in_directory("debug"));
  Run("g++ -O1 -g -std=c++17 " + SourcePath("small.cc") + " -o other");
  fs::copy_file(in_directory("other"), path, fs::copy_options::overwrite_existing);
  EXPECT_EQ(Resolve({.path = binary()}, AddressIn(kOuter), {.debug_paths = {in_directory("debug")}}).level,
            ResolutionLevel::kModule);
  EXPECT_THAT(diagnosis_.problem, HasSubstr("its build id is another"));
}

TEST_F(SeparateDebugFileTest, StandsInForABinaryThatIsGoneOrWasRebuilt) {
  CompileAndStrip("-O2 -g");
  const std::string build_id = BuildIdOf(binary());
  InstallByBuildId(in_directory("debug"));
  const SymbolizerOptions options = {.debug_paths = {in_directory("debug")}};
  const uint64_t address = AddressIn(kOuter);
  fs::remove(binary());
  ExpectLine(Resolve({.path = binary(), .build_id = build_id}, address, options));
  EXPECT_THAT(diagnosis_.problem, HasSubstr("No such file"));
  Compile("-O0 -g");
  ExpectLine(Resolve({.path = binary(), .build_id = build_id}, address, options));
  EXPECT_THAT(diagnosis_.problem, HasSubstr("another build than the recorded one"));
}

TEST_F(SeparateDebugFileTest, OfAPrelinkedBinaryIsReadAtItsOwnAddresses) {
  // What prelink does: the binary is moved, the debug file is not. Here both are linked, for different addresses.
  const std::string flags = "-O2 -g -fno-pie -no-pie -Wl,--build-id=0x0123456789abcdef -Wl,-Ttext-segment=";
  Compile(flags + "0x10000000");
  Run("objcopy --only-keep-debug program program.debug");
  InstallByBuildId(in_directory("debug"));
  Compile(flags + "0x50000000");
  Run("strip program");
  ExpectLine(Resolve({.path = binary()}, AddressIn(kOuter), {.debug_paths = {in_directory("debug")}}));
}

TEST_F(SeparateDebugFileTest, MayShareAFileWithOthers) {
  if (!HasTool("dwz")) GTEST_SKIP() << "dwz is not installed";
  Compile("-O2 -gdwarf-4");
  fs::copy_file(binary(), in_directory("second"));
  Run("dwz -m shared.dwz program second");
  const Extent outer = functions_.at(kOuter);
  ExpectLine(Resolve(outer.address + outer.bytes / 2));
  EXPECT_EQ(diagnosis_.problem, "");
  fs::remove(in_directory("shared.dwz"));
  EXPECT_EQ(Resolve(outer.address).level, ResolutionLevel::kLine);
  EXPECT_THAT(diagnosis_.problem, HasSubstr("shared.dwz not found"));
}

// ---------------------------------------------------------------- split DWARF

class SplitDwarfTest : public SymbolizerTest {};

TEST_F(SplitDwarfTest, APackageIsReadLikeTheFilesItWasMadeOf) {
  for (const auto& [flags, packer] :
       {std::pair<std::string, std::string>{"-gdwarf-5", "llvm-dwp"}, {"-gdwarf-4", "dwp"}}) {
    if (!HasTool(packer)) continue;
    fs::create_directories(in_directory("build"));
    for (const char* unit : {"small", "allocations"}) {
      Run(fmt::format("g++ -std=c++17 -O2 {} -gsplit-dwarf -c {} -o build/{}.o", flags,
                      SourcePath(fmt::format("{}.cc", unit)), unit));
    }
    Run("g++ build/allocations.o build/small.o -o program");
    functions_ = FunctionExtents(binary());
    std::vector<uint64_t> addresses = testing::SampleAddresses(binary(), 300, 1);
    std::vector<ResolvedAddress> unpacked = Symbolizer({}).Resolve({.path = binary()}, addresses);
    Run(packer + " -e program -o program.dwp");
    for (const auto& entry : fs::directory_iterator(in_directory("build"))) fs::remove(entry);

    Symbolizer symbolizer({});
    std::vector<ResolvedAddress> packed = symbolizer.Resolve({.path = binary()}, addresses);
    EXPECT_EQ(symbolizer.Diagnose({.path = binary()}).problem, "");
    size_t with_inlines = 0;
    for (size_t i = 0; i < addresses.size(); ++i) {
      EXPECT_EQ(packed[i].locations, unpacked[i].locations)
          << packer << "\n"
          << ToText(packed[i].locations) << ToText(unpacked[i].locations);
      with_inlines += packed[i].locations.size() > 1;
    }
    EXPECT_GT(with_inlines, addresses.size() / 10);
    fs::remove(in_directory("program.dwp"));
  }
}

TEST_F(SplitDwarfTest, AMissingFileCostsTheInlinedCallsButNotTheLines) {
  Run(fmt::format("g++ -std=c++17 -O2 -g -gsplit-dwarf -c {} -o small.o", SourcePath("small.cc")));
  Run("g++ small.o -o program");
  functions_ = FunctionExtents(binary());
  fs::rename(in_directory("small.dwo"), in_directory("moved.dwo"));
  ResolvedAddress resolved = Resolve(AddressIn(kOuter));
  EXPECT_EQ(resolved.level, ResolutionLevel::kLine);
  ASSERT_EQ(resolved.locations.size(), 1u);
  EXPECT_EQ(resolved.locations[0].file, SourcePath("small.cc"));
  EXPECT_EQ(resolved.locations[0].function, "shapes::Outer(int)");
  EXPECT_THAT(diagnosis_.problem, HasSubstr("split DWARF of 1 unit not found (small.dwo)"));

  // The .dwo of a later compilation is worse than none.
  Run(fmt::format("g++ -std=c++17 -O1 -g -gsplit-dwarf -c {} -o small.o", SourcePath("small.cc")));
  EXPECT_EQ(Resolve(AddressIn(kOuter)).locations.size(), 1u);
  EXPECT_THAT(diagnosis_.problem, HasSubstr("small.dwo: from another compilation"));

  // Found again where the user says.
  fs::create_directory(in_directory("objects"));
  fs::rename(in_directory("moved.dwo"), in_directory("objects/small.dwo"));
  Resolve({.path = binary()}, AddressIn(kOuter), {.debug_paths = {in_directory("objects")}});
  EXPECT_EQ(diagnosis_.problem, "");
}

// ---------------------------------------------------------------- files that cannot be used

TEST_F(SymbolizerTest, AFileThatIsGoneIsSaidToBeGone) {
  ResolvedAddress resolved = Resolve({.path = "/nonexistent/library.so"}, 0x1000);
  EXPECT_EQ(resolved.level, ResolutionLevel::kNone);
  EXPECT_EQ(diagnosis_.problem, "/nonexistent/library.so: No such file or directory");
}

TEST_F(SymbolizerTest, AnotherBuildIsNotUsed) {
  Compile("-O2 -g");
  ResolvedAddress resolved = Resolve({.path = binary(), .build_id = "another"}, AddressIn(kOuter));
  EXPECT_EQ(resolved.level, ResolutionLevel::kNone);
  EXPECT_THAT(resolved.locations, ::testing::IsEmpty());
  EXPECT_THAT(diagnosis_.problem, HasSubstr("another build than the recorded one"));
  EXPECT_EQ(Resolve({.path = binary(), .build_id = BuildIdOf(binary())}, AddressIn(kOuter)).level,
            ResolutionLevel::kLine);
}

TEST_F(SymbolizerTest, WhatIsNotAnElfFileIsSaidNotToBeOne) {
  const std::string text = directory_.WriteFile("text", "#!/bin/sh\n");
  const std::string empty = directory_.WriteFile("empty", "");
  const std::string fifo = in_directory("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {text, empty, fifo, directory_.path(), std::string("/dev/zero")}) {
    EXPECT_EQ(Resolve({.path = path}, 0x1000).level, ResolutionLevel::kNone);
    EXPECT_THAT(diagnosis_.problem, HasSubstr(path + ": not an ELF file"));
  }
}

TEST_F(SymbolizerTest, ZstdSectionsAreSaidNotToBeReadAndSymbolsAreUsed) {
  Compile("-O2 -g");
  if (testing::ToolFails("objcopy --compress-debug-sections=zstd program", directory_.path())) {
    GTEST_SKIP() << "this objcopy cannot compress with zstd";
  }
  ResolvedAddress resolved = Resolve(AddressIn(kOuter));
  EXPECT_EQ(resolved.level, ResolutionLevel::kSymbol);
  EXPECT_THAT(diagnosis_.problem, HasSubstr("zstd"));
}

// ---------------------------------------------------------------- --map

TEST_F(SymbolizerTest, TheLongestMappedPrefixInWholeComponentsWins) {
  Compile("-O2 -g");
  fs::create_directories(in_directory("root/lib"));
  fs::rename(binary(), in_directory("root/lib/program"));
  const uint64_t address = functions_.at(kOuter).address;
  const SymbolizerOptions options = {.path_map = {{"/opt", "/nonexistent"},
                                                  {"/opt/image", in_directory("root")},
                                                  {"/opt/image/lib/prog", "/nonexistent"}}};
  EXPECT_EQ(Resolve({.path = "/opt/image/lib/program"}, address, options).level, ResolutionLevel::kLine);
  Resolve({.path = "/opt/imagery/program"}, address, options);
  EXPECT_THAT(diagnosis_.problem, HasSubstr("/nonexistent/imagery/program"));
  EXPECT_EQ(Resolve({.path = "/lib/program"}, address, {.path_map = {{"", in_directory("root")}}}).level,
            ResolutionLevel::kLine);
}

}  // namespace
}  // namespace allocline
