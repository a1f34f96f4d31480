#include "tests/support/pythons.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <string_view>

#include "tests/support/process.h"

namespace allocline::testing {
namespace {

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> Split(const std::string& text, char divider) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, divider);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::vector<std::string> Candidates(const std::string& name) {
  std::vector<std::string> paths = Split(Variable("ALLOCLINE_TEST_PYTHONS"), ':');
  for (const std::string& directory : Split(Variable("PATH"), ':')) {
    if (!directory.ends_with("/shims")) paths.push_back(directory + "/" + name);
  }
  std::string root = Variable("PYENV_ROOT");
  if (root.empty()) root = Variable("HOME") + "/.pyenv";
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/versions", none)) {
    paths.push_back(entry.path().string() + "/bin/" + name);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

std::vector<Python> PythonsOf(int minor) {
  std::vector<Python> found;
  std::set<std::string> seen;
  for (const std::string& candidate : Candidates(fmt::format("python3.{}", minor))) {
    std::error_code error;
    const std::string path = std::filesystem::canonical(candidate, error).string();
    if (error || access(path.c_str(), X_OK) != 0 || !seen.insert(path).second) continue;
    const Outcome asked = RunProgram(
        {.argv = {path, "-I", "-S", "-c",
                  "import sys; print(sys.implementation.name, sys.version_info[1], '%d.%d.%d' % sys.version_info[:3])"},
         .env = {}});
    std::istringstream answer(asked.out);
    std::string implementation;
    Python python{.path = path};
    answer >> implementation >> python.minor >> python.version;
    if (asked.ok() && implementation == "cpython" && python.minor == minor) found.push_back(python);
  }
  return found;
}

}  // namespace allocline::testing
