// Turns addresses of a module into source locations: function, file and line, with every inlined call in between.
//
// Offline only: it may take hundreds of MB on a big binary. Sources are asked in this order, the first that knows
// decides: DWARF (in the file, by build id, debuglink, dwz or split DWARF, through libdw) -> .symtab -> .dynsym ->
// module+offset. Resolve() answers many addresses at once, because that is what makes it fast: addresses are sorted and
// grouped by compilation unit, and each unit's DIEs and line table are walked once.
//
// Threads: one Symbolizer per thread.
#ifndef ALLOCLINE_SYMBOLIZE_SYMBOLIZER_H_
#define ALLOCLINE_SYMBOLIZE_SYMBOLIZER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace allocline {

// How far an address was resolved. The order is one of quality; values are part of the recording format.
enum class ResolutionLevel : uint32_t {
  kNone = 0,     // no module, or the file could not be read
  kModule = 1,   // module + offset only
  kDynamic = 2,  // function name from .dynsym
  kSymbol = 3,   // function name from .symtab
  kLine = 4,     // file and line from DWARF
};

struct SourceLocation {
  std::string function;  // demangled; empty if unknown
  std::string file;      // as DWARF names it, made absolute with the compilation directory; empty if unknown
  uint32_t line = 0;
  bool inlined = false;  // this function is inlined into the next location
  bool operator==(const SourceLocation&) const = default;
};

struct ResolvedAddress {
  ResolutionLevel level = ResolutionLevel::kNone;
  std::vector<SourceLocation> locations;  // innermost inlined function first; empty below kDynamic
};

// What to resolve in: a file as the traced process had it mapped.
struct ModuleFile {
  std::string path;
  std::string build_id;  // raw bytes; if not empty, only a file with this id will do
};

// What became of a module, for `allocline info` and for the report's header.
struct ModuleDiagnosis {
  std::string debug_file;  // where the DWARF was found, empty if nowhere
  std::string problem;     // "" or one line: file is gone, another build id, zstd-compressed DWARF, ...
};

struct SymbolizerOptions {
  std::vector<std::string> debug_paths;                       // searched before /usr/lib/debug
  std::vector<std::pair<std::string, std::string>> path_map;  // --map OLD=NEW: prefix of module paths
  std::function<void(size_t done, size_t total)> progress;    // called now and then, may be empty
};

class Symbolizer {
 public:
  explicit Symbolizer(SymbolizerOptions options);
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  // `addresses`: virtual addresses in the file (address in memory - load bias) of the instruction meant: for a return
  // address, the caller passes address - 1. Any order, duplicates allowed. The answer has one element per address.
  std::vector<ResolvedAddress> Resolve(const ModuleFile& module, std::span<const uint64_t> addresses);
  // Diagnosis of a module that Resolve() has seen.
  ModuleDiagnosis Diagnose(const ModuleFile& module);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_SYMBOLIZER_H_
