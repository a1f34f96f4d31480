#include "symbolize/function_names.h"

#include <dwarf.h>
#include <fmt/format.h>

namespace allocline {
namespace {

constexpr int kMaxChain = 16;
constexpr int kMaxScopes = 16;

struct DieNames {
  uint16_t tag = 0;
  std::string_view linkage_name, name;
  DieReference origin;
};

DieNames ReadNames(DieReference die) {
  DieNames names;
  const DwarfUnit* unit = die.file->UnitAt(die.offset);
  if (unit == nullptr) return names;
  names.tag = die.file->Tag(*unit, die.offset);
  die.file->ForEachAttribute(*unit, die.offset, [&](uint16_t attribute, const FormValue& value) {
    switch (attribute) {
      case DW_AT_linkage_name:
      case DW_AT_MIPS_linkage_name:
        names.linkage_name = die.file->Text(*unit, value);
        break;
      case DW_AT_name:
        names.name = die.file->Text(*unit, value);
        break;
      case DW_AT_abstract_origin:
      case DW_AT_specification:
        names.origin = die.file->Reference(*unit, value);
        break;
      default:
        break;
    }
  });
  return names;
}

// What stands for a class without a name around a function of the given name.
std::string_view UnnamedClass(std::string_view function) { return function == "operator()" ? "<lambda>" : "<unnamed>"; }

}  // namespace

FunctionNames::Chain FunctionNames::Follow(DieReference die) {
  Chain chain;
  std::string_view plain, undemangled;
  for (int step = 0; step < kMaxChain && die; ++step) {
    DieNames names = ReadNames(die);
    if (!names.linkage_name.empty()) {
      if (const std::string* readable = demangler_.TryDemangle(names.linkage_name)) {
        chain.name = {.readable = readable, .complete = true};
        return chain;
      }
      undemangled = names.linkage_name;
    }
    if (plain.empty() && !names.name.empty()) {
      plain = names.name;
      chain.named = die;
    }
    die = names.origin;
  }
  chain.name.readable = &demangler_.DemangleOrKeep(plain.empty() ? undemangled : plain);
  return chain;
}

std::string FunctionNames::Qualified(const Chain& chain, const DieScopes& scopes) {
  std::string name = *chain.name.readable;
  int32_t scope = scopes.ScopeOf(chain.named.offset);
  for (int step = 0; step < kMaxScopes && scope != kNoScope; ++step) {
    const DieReference die{.file = chain.named.file, .offset = scopes[scope].die_offset};
    scope = scopes[scope].parent;
    DieNames names = ReadNames(die);
    switch (names.tag) {
      case DW_TAG_subprogram: {
        FunctionName around = Follow(die).name;
        name = fmt::format("{}::{}", *around.readable, name);
        if (around.complete) return name;
        break;
      }
      case DW_TAG_namespace:
        name = fmt::format("{}::{}", names.name.empty() ? "(anonymous namespace)" : names.name, name);
        break;
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
      case DW_TAG_union_type:
      case DW_TAG_interface_type:
        name = fmt::format("{}::{}", names.name.empty() ? UnnamedClass(name) : names.name, name);
        break;
      default:  // blocks and the like have no part in a name
        break;
    }
  }
  return name;
}

FunctionName FunctionNames::Of(DieReference die, const DieScopes& scopes) {
  // Most DIEs with code are one of many that share an origin: that one's name is remembered.
  const DieReference origin = ReadNames(die).origin;
  const DieReference key = origin ? origin : die;
  auto known = names_.find(key);
  if (known != names_.end()) return known->second;
  Chain chain = Follow(die);
  if (!chain.name.complete && chain.named.file == die.file) {
    chain.name.readable = &*qualified_.insert(Qualified(chain, scopes)).first;
  }
  names_.emplace(key, chain.name);
  return chain.name;
}

}  // namespace allocline
