#include "report/user_line.h"

#include <algorithm>
#include <array>
#include <utility>

#include "report/fnmatch.h"
#include "report/function_name.h"
#include "report/path_text.h"

namespace allocline {
namespace {

using std::string_view_literals::operator""sv;

// Where systems and package managers put what others wrote.
constexpr std::array kLibraryPrefixes = {
    "/usr/include/"sv,       "/usr/lib/"sv,   "/usr/lib32/"sv,     "/usr/lib64/"sv, "/usr/libx32/"sv,
    "/usr/libexec/"sv,       "/lib/"sv,       "/lib32/"sv,         "/lib64/"sv,     "/libx32/"sv,
    "/usr/local/include/"sv, "/usr/share/"sv, "/usr/local/lib/"sv, "/rustc/"sv,     "/usr/local/lib64/"sv,
    "/nix/store/"sv,         "/gnu/store/"sv, "/usr/lib/debug/"sv};
constexpr std::array kLibraryDirectories = {"/vcpkg/"sv,        "/vcpkg_installed/"sv, "/.conan/"sv,
                                            "/.conan2/"sv,      "/.cargo/registry/"sv, "/.cargo/git/"sv,
                                            "/_deps/"sv,        "/site-packages/"sv,   "/dist-packages/"sv,
                                            "/node_modules/"sv, "/third_party/"sv};

constexpr std::array kLibraryNamespaces = {"std::"sv, "__gnu_cxx::"sv, "__gnu_debug::"sv, "__cxxabiv1::"sv,
                                           "boost::"sv};
// Not the user's even in the user's executable: what the C runtime links into it.
constexpr std::array kRuntimeEntries = {"_start"sv, "_init"sv, "_fini"sv, "__libc_csu_init"sv, "__libc_csu_fini"sv};

constexpr std::array kAllocatorEntries = {"malloc"sv,
                                          "calloc"sv,
                                          "realloc"sv,
                                          "reallocarray"sv,
                                          "free"sv,
                                          "posix_memalign"sv,
                                          "aligned_alloc"sv,
                                          "memalign"sv,
                                          "valloc"sv,
                                          "pvalloc"sv,
                                          "cfree"sv,
                                          "mmap"sv,
                                          "mmap64"sv,
                                          "mremap"sv,
                                          "free_sized"sv,
                                          "free_aligned_sized"sv,
                                          "__rust_alloc"sv,
                                          "__rust_alloc_zeroed"sv,
                                          "__rust_realloc"sv,
                                          "__rdl_alloc"sv,
                                          "__rdl_alloc_zeroed"sv,
                                          "__rdl_realloc"sv};
// The same under another allocator's or the C library's own name: __libc_malloc, je_calloc, ...
constexpr std::array kAllocatorPrefixes = {"__libc_"sv, "__GI___libc_"sv, "__GI_"sv, "__"sv, "je_"sv, "tc_"sv, "mi_"sv};

template <size_t n>
bool StartsWithAny(std::string_view text, const std::array<std::string_view, n>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return text.starts_with(p); });
}
template <size_t n>
bool IsAny(std::string_view text, const std::array<std::string_view, n>& names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

bool IsAllocatorName(std::string_view name) {
  constexpr std::array kOperators = {"operator new"sv, "operator new[]"sv, "operator delete"sv, "operator delete[]"sv};
  constexpr std::array kMangledOperators = {"_Znw"sv, "_Zna"sv, "_Zdl"sv, "_Zda"sv};
  if (IsAny(name, kAllocatorEntries) || IsAny(name, kOperators) || StartsWithAny(name, kMangledOperators)) return true;
  return std::any_of(kAllocatorPrefixes.begin(), kAllocatorPrefixes.end(), [&](std::string_view prefix) {
    return name.starts_with(prefix) && IsAny(name.substr(prefix.size()), kAllocatorEntries);
  });
}

// Code that the compiler made up, such as what initialises a thread_local object on its first use: it may be in the
// user's file, but is on no line of it.
bool IsMadeUp(const Location& location) {
  if (location.line != 0) return false;
  constexpr std::array kNames = {"__tls_init"sv, "TLS init function for "sv, "TLS wrapper function for "sv};
  return StartsWithAny(location.function, kNames) ||
         (location.level != ResolutionLevel::kNone && !location.file.empty());
}

// liballocline, the inline functions of the headers a program may use it by, and the package of that name.
bool IsOurs(const Location& location) {
  if (location.python) return location.file.ends_with("/allocline/__init__.py");
  return Basename(location.module).starts_with("liballocline.so") ||
         location.file.ends_with("/allocline/allocline.h") || location.file.ends_with("/allocline/allocline.hpp");
}

bool MatchesPath(std::string_view path, std::string_view prefix_or_pattern) {
  if (prefix_or_pattern.find_first_of("*?[") != std::string_view::npos) return Fnmatch(prefix_or_pattern, path);
  if (!path.starts_with(prefix_or_pattern) || prefix_or_pattern.empty()) return false;
  // "/src/lib" means that file or folder, not "/src/library".
  return path.size() == prefix_or_pattern.size() || prefix_or_pattern.ends_with('/') ||
         path[prefix_or_pattern.size()] == '/';
}

size_t LongestMatch(std::string_view path, const std::vector<std::string>& choices) {
  size_t longest = 0;
  for (const std::string& choice : choices) {
    if (choice.size() > longest && MatchesPath(path, choice)) longest = choice.size();
  }
  return longest;
}

// /opt/VENDOR/include/... and /opt/VENDOR/lib/... are a vendor's; /opt/build/src/... is somebody's source.
bool IsVendorPath(std::string_view path) {
  constexpr std::string_view kOpt = "/opt/";
  if (!path.starts_with(kOpt)) return false;
  path.remove_prefix(kOpt.size() - 1);
  return path.find("/include/") != std::string_view::npos || path.find("/lib/") != std::string_view::npos ||
         path.find("/lib64/") != std::string_view::npos;
}

bool InSharedPath(std::string_view path) {
  return StartsWithAny(path, kLibraryPrefixes) ||
         std::any_of(kLibraryDirectories.begin(), kLibraryDirectories.end(),
                     [&](std::string_view part) { return path.find(part) != std::string_view::npos; });
}

bool InLibraryPath(std::string_view path) {
  return InSharedPath(path) || path.starts_with('[') || path.starts_with("linux-vdso.so") || IsVendorPath(path);
}

}  // namespace

UserLineRule::UserLineRule(UserLineOptions options) : options_(std::move(options)) {}

bool UserLineRule::MatchesUserChoice(std::string_view path, FrameRole* role) const {
  if (path.empty()) return false;
  size_t user = LongestMatch(path, options_.user_paths);
  size_t library = LongestMatch(path, options_.lib_paths);
  if (user == 0 && library == 0) return false;
  *role = user >= library ? FrameRole::kUser : FrameRole::kLibrary;
  return true;
}

// The file that holds the interpreter, and the program that is nothing but its start.
bool UserLineRule::IsInterpreter(std::string_view module) const {
  if (options_.python_runtime.empty() || module.empty()) return false;
  return module == options_.python_runtime || (module == options_.main_executable && IsPythonLauncher(module));
}

FrameRole UserLineRule::Classify(const Location& location) const {
  std::string_view name = location.python ? std::string_view() : QualifiedName(location.function);
  if (IsOurs(location) || IsAllocatorName(name)) return FrameRole::kAllocator;
  if (!location.python && IsMadeUp(location)) return FrameRole::kLibrary;
  FrameRole chosen;
  if (MatchesUserChoice(location.file, &chosen) || MatchesUserChoice(location.module, &chosen)) return chosen;
  if (location.python) {
    const bool library = options_.python_paths.IsLibrary(location.file) || InSharedPath(location.file);
    return library ? FrameRole::kLibrary : FrameRole::kUser;
  }
  if (StartsWithAny(name, kLibraryNamespaces) || IsAny(name, kRuntimeEntries)) return FrameRole::kLibrary;
  if (InLibraryPath(location.file)) return FrameRole::kLibrary;
  if (IsInterpreter(location.module) || options_.python_paths.IsLibrary(location.module)) return FrameRole::kLibrary;
  if (!location.module.empty()) {
    bool is_program = location.module == options_.main_executable;
    return is_program || !InLibraryPath(location.module) ? FrameRole::kUser : FrameRole::kLibrary;
  }
  return location.file.empty() ? FrameRole::kLibrary : FrameRole::kUser;
}

UserLineRule::Claim UserLineRule::ClaimOf(const Location& location) const {
  switch (location.role) {
    case FrameRole::kAllocator:
    case FrameRole::kSynthetic:
      return Claim::kNone;
    case FrameRole::kLibrary:
      return location.python && location.file.starts_with("<frozen importlib.") ? Claim::kImport : Claim::kStandIn;
    case FrameRole::kUser:
      break;
  }
  FrameRole chosen = FrameRole::kLibrary;
  const bool by_choice = (MatchesUserChoice(location.file, &chosen) || MatchesUserChoice(location.module, &chosen)) &&
                         chosen == FrameRole::kUser;
  if (!location.python) return by_choice ? Claim::kChosen : Claim::kUser;
  if (by_choice || !IsMadeUpPythonFile(location.file)) return Claim::kPython;
  return location.file == "<string>" ? Claim::kPythonString : Claim::kPythonText;
}

}  // namespace allocline
