#include "report/file_names.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "report/path_text.h"

namespace allocline {
namespace {

// The last `count` components of `path`, or all of it.
std::string_view LastComponents(std::string_view path, size_t count) {
  size_t begin = path.size();
  for (size_t i = 0; i < count; ++i) {
    size_t slash = begin == 0 ? std::string_view::npos : path.rfind('/', begin - 1);
    if (slash == std::string_view::npos) return path;
    begin = slash;
  }
  return path.substr(begin + 1);
}

}  // namespace

void FileNames::Add(const StackTable& stacks) {
  for (const Location& location : stacks.locations()) {
    for (std::string_view path : {location.file, location.module}) {
      if (!path.empty()) short_names_.try_emplace(path, path);
    }
  }
}

void FileNames::Finish() {
  absl::flat_hash_map<std::string_view, std::vector<std::string_view>, std::hash<std::string_view>> by_basename;
  for (const auto& [path, short_name] : short_names_) by_basename[Basename(path)].push_back(path);
  absl::flat_hash_map<std::string_view, size_t, std::hash<std::string_view>> uses;
  for (auto& [basename, unsettled] : by_basename) {
    for (size_t count = 1; !unsettled.empty(); ++count) {
      uses.clear();
      for (std::string_view path : unsettled) ++uses[LastComponents(path, count)];
      std::erase_if(unsettled, [&](std::string_view path) {
        std::string_view suffix = LastComponents(path, count);
        if (uses[suffix] > 1 && suffix != path) return false;
        short_names_[path] = suffix;
        return true;
      });
    }
  }
}

std::string_view FileNames::Short(std::string_view path) const {
  auto found = short_names_.find(path);
  return found == short_names_.end() ? path : found->second;
}

}  // namespace allocline
