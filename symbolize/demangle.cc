#include "symbolize/demangle.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace allocline {
namespace {

// A longer name would not be read by anybody, and the work of demangling can grow faster than the name.
constexpr size_t kMaxMangledBytes = 16 * 1024;

constexpr std::string_view kBasicString =
    "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

void ReplaceAll(std::string* text, std::string_view what, std::string_view by) {
  size_t at = text->find(what);
  if (at == std::string::npos) return;
  std::string result;
  size_t from = 0;
  for (; at != std::string::npos; at = text->find(what, from)) {
    result.append(*text, from, at - from).append(by);
    from = at + what.size();
  }
  *text = result.append(*text, from);
}

void RemoveAbiTags(std::string* text) {
  constexpr std::string_view kTag = "[abi:";
  for (size_t at = text->find(kTag); at != std::string::npos; at = text->find(kTag, at)) {
    size_t end = text->find(']', at);
    if (end == std::string::npos) return;
    text->erase(at, end + 1 - at);
  }
}

}  // namespace

std::string DemangleName(const std::string& name) {
  if (!name.starts_with("_Z") || name.size() > kMaxMangledBytes) return name;
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0 || text == nullptr) return name;
  std::string readable = text.get();
  RemoveAbiTags(&readable);
  ReplaceAll(&readable, kBasicString, "std::string");
  return readable;
}

const std::string& Demangler::Demangle(std::string_view name) {
  auto [entry, added] = names_.try_emplace(std::string(name));
  if (added) entry->second = DemangleName(entry->first);
  return entry->second;
}

}  // namespace allocline
