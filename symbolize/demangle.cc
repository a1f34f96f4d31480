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

// What GCC and LLVM append to a plain name.
constexpr std::string_view kCloneSuffixes[] = {".cold", ".constprop.", ".isra.", ".llvm.", ".lto_priv.", ".part."};

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

void CutAt(std::string* text, std::string_view what) {
  if (size_t at = text->find(what); at != std::string::npos && at != 0) text->resize(at);
}

}  // namespace

std::optional<std::string> Demangle(const std::string& name) {
  std::string readable = name;
  if (!name.starts_with("_Z")) {
    for (std::string_view suffix : kCloneSuffixes) CutAt(&readable, suffix);
    return readable;
  }
  if (name.size() > kMaxMangledBytes) return std::nullopt;
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0 || text == nullptr) return std::nullopt;
  readable = text.get();
  CutAt(&readable, " [clone ");
  RemoveAbiTags(&readable);
  ReplaceAll(&readable, kBasicString, "std::string");
  return readable;
}

const Demangler::Answer& Demangler::Find(std::string_view name) {
  auto [entry, added] = names_.try_emplace(std::string(name));
  if (added) {
    std::optional<std::string> readable = Demangle(entry->first);
    const bool demangled = readable.has_value();
    entry->second = {.text = demangled ? *std::move(readable) : entry->first, .demangled = demangled};
  }
  return entry->second;
}

const std::string* Demangler::TryDemangle(std::string_view name) {
  const Answer& answer = Find(name);
  return answer.demangled ? &answer.text : nullptr;
}

const std::string& Demangler::DemangleOrKeep(std::string_view name) { return Find(name).text; }

}  // namespace allocline
