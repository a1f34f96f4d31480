#include "report/python_paths.h"

#include <algorithm>
#include <array>

#include "report/path_text.h"

namespace allocline {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kFrozen = "<frozen ";
constexpr std::string_view kDigits = "0123456789";

// The length of "3.11/" or "3.13t/" at the beginning of `text`, 0 if there is nothing like it.
size_t VersionLength(std::string_view text) {
  if (!text.starts_with("3.")) return 0;
  size_t end = text.find_first_not_of(kDigits, 2);
  if (end == 2 || end == std::string_view::npos) return 0;
  if (text[end] == 't') ++end;  // built without the GIL
  return end < text.size() && text[end] == '/' ? end + 1 : 0;
}

// The length of "311.zip/" at the beginning of `text`, or 0.
size_t ArchiveLength(std::string_view text) {
  constexpr std::string_view kZip = ".zip/";
  const size_t end = text.find_first_not_of(kDigits);
  if (end == 0 || end == std::string_view::npos || !text.substr(end).starts_with(kZip)) return 0;
  return end + kZip.size();
}

// Behind the folder that holds a standard library, or npos.
size_t EndOfStandardLibrary(std::string_view path) {
  constexpr std::string_view kPython = "/python";
  for (size_t at = path.find(kPython); at != std::string_view::npos; at = path.find(kPython, at + 1)) {
    const std::string_view before = path.substr(0, at), behind = path.substr(at + kPython.size());
    if (before.ends_with("/lib") || before.ends_with("/lib64") || before == "lib") {
      if (const size_t length = VersionLength(behind); length > 0) return at + kPython.size() + length;
    }
    if (const size_t length = ArchiveLength(behind); length > 0) return at + kPython.size() + length;
  }
  return std::string_view::npos;
}

// Behind the last folder that packages are installed in, or npos.
size_t EndOfPackages(std::string_view path) {
  // The last one is where `import allocline` is found under `allocline run`.
  constexpr std::array kFolders = {"/site-packages/"sv, "/dist-packages/"sv, "/share/allocline/python/"sv};
  size_t end = std::string_view::npos;
  for (std::string_view folder : kFolders) {
    const size_t at = path.rfind(folder);
    if (at == std::string_view::npos) continue;
    end = end == std::string_view::npos ? at + folder.size() : std::max(end, at + folder.size());
  }
  return end;
}

}  // namespace

PythonPaths::PythonPaths(const std::vector<std::string_view>& files) {
  // Every interpreter runs these before any other code, but where they are frozen.
  constexpr std::array kFirst = {"encodings/__init__.py"sv, "encodings/__init__.pyc"sv};
  for (std::string_view file : files) {
    for (std::string_view first : kFirst) {
      if (!file.ends_with(first) || EndOfRoot(file) != std::string_view::npos) continue;
      std::string_view root = file.substr(0, file.size() - first.size());
      if (root.size() > 1 && root.ends_with('/')) roots_.emplace_back(root);
    }
  }
}

size_t PythonPaths::EndOfRoot(std::string_view path) const {
  // What is installed is below the standard library, as often as not.
  if (const size_t end = EndOfPackages(path); end != std::string_view::npos) return end;
  if (const size_t end = EndOfStandardLibrary(path); end != std::string_view::npos) return end;
  for (const std::string& root : roots_) {
    if (path.starts_with(root)) return root.size();
  }
  return std::string_view::npos;
}

bool PythonPaths::IsLibrary(std::string_view path) const {
  return path.starts_with(kFrozen) || EndOfRoot(path) != std::string_view::npos;
}

std::string_view PythonPaths::ModuleOf(std::string_view file) const {
  const size_t end = EndOfRoot(file);
  return end == std::string_view::npos ? file : file.substr(0, file.find('/', end));
}

bool IsMadeUpPythonFile(std::string_view file) {
  return file.empty() || (file.starts_with('<') && file.ends_with('>'));
}

bool IsPythonLauncher(std::string_view path) {
  std::string_view name = Basename(path);
  if (!name.starts_with("python")) return false;
  name.remove_prefix(std::string_view("python").size());
  if (name.ends_with('t') || name.ends_with('d')) name.remove_suffix(1);
  return name.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace allocline
