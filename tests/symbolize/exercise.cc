#include "tests/symbolize/exercise.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "symbolize/debug_file_finder.h"
#include "symbolize/demangle.h"
#include "symbolize/dwarf_file.h"
#include "symbolize/dwarf_lines.h"
#include "symbolize/elf_file.h"
#include "symbolize/function_names.h"
#include "symbolize/inline_frames.h"
#include "symbolize/split_dwarf.h"
#include "symbolize/symbolizer.h"

namespace allocline::testing {
namespace {

constexpr uint64_t kEnd = 0x6000;  // the small programs that are damaged here have their code below
constexpr uint64_t kStep = 3;

std::vector<uint64_t> Addresses() {
  std::vector<uint64_t> addresses;
  for (uint64_t address = 0; address < kEnd; address += kStep) addresses.push_back(address);
  addresses.push_back(~uint64_t{0});
  return addresses;
}

size_t ExerciseSplit(const DwarfSections& sections, const std::vector<uint64_t>& addresses) {
  size_t named = 0;
  DwarfFile dwarf(sections, /*split=*/true);
  Demangler demangler;
  FunctionNames names(demangler);
  for (const DwarfUnit& unit : dwarf.units()) {
    InlineFrames frames = FindInlineFrames(dwarf, unit, addresses);
    for (const CallFrame& frame : frames.frames) {
      named += !names.Of({.file = &dwarf, .offset = frame.die_offset}, frames.scopes).readable->empty();
    }
    absl::StatusOr<LineTable> files = LineTable::Parse(dwarf, unit, 0);
    for (uint64_t i = 0; files.ok() && i < 8; ++i) named += !files->FilePath(i).empty();
  }
  return named;
}

}  // namespace

MemoryFile::MemoryFile(std::string_view bytes) : fd_(memfd_create("file", MFD_CLOEXEC)) {
  if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  path_ = fmt::format("/proc/self/fd/{}", fd_);
}

MemoryFile::~MemoryFile() { close(fd_); }

size_t ExerciseSymbolizer(const std::string& path) {
  const std::vector<uint64_t> addresses = Addresses();
  size_t found = 0;
  Symbolizer symbolizer({});
  for (const ResolvedAddress& address : symbolizer.Resolve({.path = path}, addresses))
    found += address.locations.size();
  found += symbolizer.Diagnose({.path = path}).problem.size();

  absl::StatusOr<std::unique_ptr<ElfFile>> elf = ElfFile::Open(path);
  if (!elf.ok()) return found;
  for (const char* suffix : {"", ".dwo"}) {
    absl::StatusOr<DwarfSections> sections = ReadDwarfSections(**elf, suffix);
    if (sections.ok()) found += ExerciseSplit(*sections, addresses);
  }
  DebugFileFinder({}).FindFor(**elf);
  absl::StatusOr<std::unique_ptr<DwpFile>> dwp = DwpFile::Open(path);
  if (!dwp.ok()) return found;
  for (uint64_t id : (*dwp)->ids()) {
    if (std::optional<DwarfSections> sections = (*dwp)->Find(id)) found += ExerciseSplit(*sections, addresses);
  }
  return found;
}

}  // namespace allocline::testing
