// Programs compiled for a test, and what other symbolizers say about them.
#ifndef ALLOCLINE_TESTS_SYMBOLIZE_COMPILED_H_
#define ALLOCLINE_TESTS_SYMBOLIZE_COMPILED_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "symbolize/symbolizer.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {

// Those of g++ and clang++ that are installed.
std::vector<std::string> Compilers();
bool HasTool(const std::string& tool);

// Runs a command line (words separated by spaces) in `directory`; false, with its output printed, if it fails.
bool RunTool(const std::string& command_line, const std::string& directory);
// The same for a tool that may lack the ability: true if it fails, and then no failure of the test.
bool ToolFails(const std::string& command_line, const std::string& directory);

// Path of tests/symbolize/programs/NAME.
std::string SourcePath(std::string_view name);
// Number of the line that contains `text` (it must be the only one).
uint32_t LineWith(const std::string& source_path, std::string_view text);

// Symbols of an ELF file that still has its .symtab: mangled name -> address and size.
struct Extent {
  uint64_t address = 0, bytes = 0;
};
std::map<std::string, Extent> FunctionExtents(const std::string& path);

// `count` addresses drawn from the functions of the file, distinct, in no order.
std::vector<uint64_t> SampleAddresses(const std::string& path, size_t count, uint32_t seed);

// What `addr2line -aif` or `llvm-symbolizer` (which has the same format when asked) says, innermost first, with mangled
// names. "??" as they print it is an empty string here, an unknown line is 0.
std::map<uint64_t, std::vector<SourceLocation>> AskOracle(const std::string& tool, const std::string& path,
                                                          const std::vector<uint64_t>& addresses);

// "file:line function" per location, for messages.
std::string ToText(const std::vector<SourceLocation>& locations);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SYMBOLIZE_COMPILED_H_
