#include "symbolize/function_names.h"

#include <dwarf.h>

namespace allocline {
namespace {

constexpr int kMaxChain = 16;

struct DieNames {
  std::string_view linkage_name, name;
  DieReference origin;
};

DieNames ReadNames(DieReference die) {
  DieNames names;
  const DwarfUnit* unit = die.file->UnitAt(die.offset);
  if (unit == nullptr) return names;
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

}  // namespace

FunctionName FunctionNames::Of(DieReference die) {
  std::string_view plain, undemangled;
  DieReference origin;  // the second of the chain, the first that others share
  FunctionName result;
  for (int step = 0; step < kMaxChain && die; ++step) {
    if (step == 1) {
      origin = die;
      auto known = names_.find(origin);
      if (known != names_.end()) return known->second;
    }
    DieNames names = ReadNames(die);
    if (plain.empty()) plain = names.name;
    if (!names.linkage_name.empty()) {
      if (const std::string* readable = demangler_.TryDemangle(names.linkage_name)) {
        result = {.readable = readable, .complete = true};
        break;
      }
      if (plain.empty()) undemangled = names.linkage_name;
    }
    die = names.origin;
  }
  if (result.readable == nullptr) result.readable = &demangler_.DemangleOrKeep(plain.empty() ? undemangled : plain);
  if (origin) names_.emplace(origin, result);
  return result;
}

}  // namespace allocline
