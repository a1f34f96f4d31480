#include "symbolize/symbolizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "symbolize/demangle.h"
#include "symbolize/elf_file.h"
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

}  // namespace

class Symbolizer::Impl {
 public:
  explicit Impl(SymbolizerOptions options) : options_(std::move(options)) {}

  std::vector<ResolvedAddress> Resolve(const ModuleFile& module, std::span<const uint64_t> addresses) {
    std::vector<ResolvedAddress> resolved(addresses.size());
    ModuleDiagnosis& diagnosis = diagnoses_[{module.path, module.build_id}];
    diagnosis = {};
    auto file = ElfFile::Open(MapPath(module.path, options_.path_map));
    if (!file.ok()) {
      diagnosis.problem = std::string(file.status().message());
      return resolved;
    }
    if (!module.build_id.empty() && (*file)->build_id() != module.build_id) {
      diagnosis.problem = fmt::format("{}: another build than the one recorded", (*file)->path());
      return resolved;
    }
    SymbolTable symtab(**file, ElfFile::SymbolTableKind::kSymtab);
    SymbolTable dynsym(**file, ElfFile::SymbolTableKind::kDynsym);
    for (size_t i = 0; i < addresses.size(); ++i) {
      ResolvedAddress& answer = resolved[i];
      answer.level = ResolutionLevel::kModule;
      std::string_view name = symtab.Find(addresses[i]);
      if (!name.empty()) {
        answer.level = ResolutionLevel::kSymbol;
      } else if (name = dynsym.Find(addresses[i]); !name.empty()) {
        answer.level = ResolutionLevel::kDynamic;
      }
      if (!name.empty()) answer.locations.push_back({.function = demangler_.Demangle(name)});
    }
    return resolved;
  }

  ModuleDiagnosis Diagnose(const ModuleFile& module) const {
    auto known = diagnoses_.find({module.path, module.build_id});
    return known == diagnoses_.end() ? ModuleDiagnosis{} : known->second;
  }

 private:
  SymbolizerOptions options_;
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
