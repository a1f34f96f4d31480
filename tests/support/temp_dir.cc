#include "tests/support/temp_dir.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace allocline::testing {

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "allocline-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error(fmt::format("cannot make a directory {}", name));
  path_ = name;
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, "")) {}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::operator/(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

std::string TempDir::WriteFile(std::string_view name, std::string_view text) const {
  std::string path = *this / name;
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error(fmt::format("cannot write {}", path));
  return path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("cannot read {}", path));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace allocline::testing
