#include "symbolize/symbolizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "symbolize/debug_file_finder.h"
#include "symbolize/demangle.h"
#include "symbolize/dwarf_file.h"
#include "symbolize/dwarf_resolver.h"
#include "symbolize/elf_file.h"
#include "symbolize/split_dwarf.h"
#include "symbolize/symbol_table.h"

namespace allocline {
namespace {

// The path with the longest OLD that is a prefix of it, in whole path components, replaced by its NEW.
std::string MapPath(const std::string& path, const std::vector<std::pair<std::string, std::string>>& path_map) {
  const std::pair<std::string, std::string>* best = nullptr;
  for (const auto& entry : path_map) {
    const std::string& old_prefix = entry.first;
    if (!path.starts_with(old_prefix)) continue;
    bool whole = old_prefix.empty() || old_prefix.ends_with('/') || path.size() == old_prefix.size() ||
                 path[old_prefix.size()] == '/';
    if (whole && (best == nullptr || old_prefix.size() > best->first.size())) best = &entry;
  }
  return best == nullptr ? path : best->second + path.substr(best->first.size());
}

// What is open while one module is resolved.
struct OpenModule {
  std::unique_ptr<ElfFile> binary;
  std::unique_ptr<ElfFile> separate;  // its debug file, if that is another
  ElfFile* debug = nullptr;           // the one of the two with DWARF, null if none has
  std::unique_ptr<ElfFile> alt_elf;
  std::unique_ptr<DwarfFile> alt, dwarf;
  std::vector<std::string> problems;

  void Note(std::string problem) {
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  // What to add to an address in the binary to have it in the debug file: not 0 after prelink.
  uint64_t DebugBias() const {
    return separate == nullptr ? 0 : separate->first_load_address() - binary->first_load_address();
  }
};

// The fallback where DWARF has nothing: symbols, the fullest table first.
class Symbols {
 public:
  explicit Symbols(OpenModule& module)
      : debug_bias_(module.DebugBias()),
        symtab_(*module.binary, ElfFile::SymbolTableKind::kSymtab),
        dynsym_(*module.binary, ElfFile::SymbolTableKind::kDynsym) {
    if (module.separate != nullptr) debug_symtab_ = SymbolTable(*module.separate, ElfFile::SymbolTableKind::kSymtab);
  }

  std::string_view Find(uint64_t address, ResolutionLevel* level) const {
    *level = ResolutionLevel::kSymbol;
    std::string_view name = symtab_.Find(address);
    if (name.empty()) name = debug_symtab_.Find(address + debug_bias_);
    if (!name.empty()) return name;
    name = dynsym_.Find(address);
    *level = name.empty() ? ResolutionLevel::kModule : ResolutionLevel::kDynamic;
    return name;
  }

 private:
  uint64_t debug_bias_;
  SymbolTable symtab_, debug_symtab_, dynsym_;
};

std::vector<uint64_t> SortedUnique(std::span<const uint64_t> addresses) {
  std::vector<uint64_t> sorted(addresses.begin(), addresses.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

}  // namespace

class Symbolizer::Impl {
 public:
  explicit Impl(SymbolizerOptions options) : options_(std::move(options)), finder_(options_.debug_paths) {}

  std::vector<ResolvedAddress> Resolve(const ModuleFile& module, std::span<const uint64_t> addresses) {
    OpenModule open = Open(module);
    const std::vector<uint64_t> sorted = SortedUnique(addresses);
    std::vector<ResolvedAddress> answers(sorted.size());
    if (open.binary != nullptr) {
      const Symbols symbols(open);
      if (open.dwarf != nullptr) ResolveFromDwarf(open, symbols, sorted, answers);
      for (size_t i = 0; i < sorted.size(); ++i) {
        if (answers[i].level == ResolutionLevel::kNone) ResolveFromSymbols(symbols, sorted[i], &answers[i]);
      }
    }
    if (options_.progress) options_.progress(sorted.size(), sorted.size());
    diagnoses_[{module.path, module.build_id}] = {.debug_file = open.dwarf == nullptr ? "" : open.debug->path(),
                                                  .problem = fmt::format("{}", fmt::join(open.problems, "; "))};
    std::vector<ResolvedAddress> in_order;
    in_order.reserve(addresses.size());
    for (uint64_t address : addresses) {
      in_order.push_back(answers[std::lower_bound(sorted.begin(), sorted.end(), address) - sorted.begin()]);
    }
    return in_order;
  }

  ModuleDiagnosis Diagnose(const ModuleFile& module) const {
    auto known = diagnoses_.find({module.path, module.build_id});
    return known == diagnoses_.end() ? ModuleDiagnosis{} : known->second;
  }

 private:
  // The file itself, or failing that a file of its build.
  void OpenBinary(const ModuleFile& module, OpenModule* open) {
    absl::StatusOr<std::unique_ptr<ElfFile>> file = ElfFile::Open(MapPath(module.path, options_.path_map));
    if (!file.ok()) {
      open->Note(std::string(file.status().message()));
    } else if (!module.build_id.empty() && (*file)->build_id() != module.build_id) {
      open->Note(fmt::format("{}: another build than the recorded one (its build id is {}, recorded was {})",
                             (*file)->path(), BuildIdText((*file)->build_id()), BuildIdText(module.build_id)));
    } else {
      open->binary = *std::move(file);
      return;
    }
    FoundFile found = finder_.FindByBuildId(module.build_id);
    if (found.file != nullptr) open->Note(fmt::format("used {} of the recorded build instead", found.file->path()));
    open->binary = std::move(found.file);
  }

  OpenModule Open(const ModuleFile& module) {
    OpenModule open;
    OpenBinary(module, &open);
    if (open.binary == nullptr) return open;
    if (open.binary->HasSection(".debug_info")) {
      open.debug = open.binary.get();
    } else {
      FoundFile found = finder_.FindFor(*open.binary);
      open.Note(std::move(found.problem));
      open.separate = std::move(found.file);
      if (open.separate != nullptr && open.separate->HasSection(".debug_info")) open.debug = open.separate.get();
    }
    if (open.debug == nullptr) {
      open.Note("no debug information, so no lines: build it with -g, or install its debug symbols");
      return open;
    }
    absl::StatusOr<DwarfSections> sections = ReadDwarfSections(*open.debug);
    if (!sections.ok()) {
      open.Note(std::string(sections.status().message()));
      return open;
    }
    open.dwarf = std::make_unique<DwarfFile>(*sections);
    if (!open.dwarf->problem().ok()) {
      open.Note(fmt::format("{}: {}", open.debug->path(), std::string(open.dwarf->problem().message())));
    }
    OpenAlt(&open);
    return open;
  }

  void OpenAlt(OpenModule* open) {
    absl::StatusOr<std::optional<DebugAltLink>> link = open->debug->debug_alt_link();
    if (!link.ok()) return open->Note(std::string(link.status().message()));
    if (!link->has_value()) return;
    FoundFile found = finder_.FindAlt(*open->debug, **link);
    if (found.file == nullptr) {
      open->Note(found.problem.empty() ? fmt::format("shared debug file {} not found", (*link)->file_name)
                                       : std::move(found.problem));
      return;
    }
    absl::StatusOr<DwarfSections> sections = ReadDwarfSections(*found.file);
    if (!sections.ok()) return open->Note(std::string(sections.status().message()));
    open->alt_elf = std::move(found.file);
    open->alt = std::make_unique<DwarfFile>(*sections);
    open->dwarf->set_alt(open->alt.get());
  }

  void ResolveFromDwarf(OpenModule& open, const Symbols& symbols, std::span<const uint64_t> addresses,
                        std::span<ResolvedAddress> answers) {
    const uint64_t bias = open.DebugBias();
    std::vector<uint64_t> in_debug_file(addresses.begin(), addresses.end());
    for (uint64_t& address : in_debug_file) address += bias;
    SplitUnitFinder split_units({open.binary->path(), open.debug->path()}, options_.debug_paths);
    DwarfResolver resolver(*open.dwarf, split_units, demangler_, [&](uint64_t address) {
      ResolutionLevel ignored;
      return symbols.Find(address - bias, &ignored);
    });
    std::function<void(size_t)> progress;
    if (options_.progress) {
      progress = [&](size_t done) {
        if (done < addresses.size()) options_.progress(done, addresses.size());  // Resolve() reports the end, once
      };
    }
    resolver.Resolve(in_debug_file, answers, progress);
    open.Note(split_units.problem());
  }

  void ResolveFromSymbols(const Symbols& symbols, uint64_t address, ResolvedAddress* answer) {
    std::string_view name = symbols.Find(address, &answer->level);
    if (!name.empty()) answer->locations.push_back({.function = demangler_.DemangleOrKeep(name)});
  }

  SymbolizerOptions options_;
  DebugFileFinder finder_;
  Demangler demangler_;
  std::map<std::pair<std::string, std::string>, ModuleDiagnosis> diagnoses_;
};

Symbolizer::Symbolizer(SymbolizerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Symbolizer::~Symbolizer() = default;

std::vector<ResolvedAddress> Symbolizer::Resolve(const ModuleFile& module, std::span<const uint64_t> addresses) {
  return impl_->Resolve(module, addresses);
}

ModuleDiagnosis Symbolizer::Diagnose(const ModuleFile& module) { return impl_->Diagnose(module); }

}  // namespace allocline
