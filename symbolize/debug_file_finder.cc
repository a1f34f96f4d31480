#include "symbolize/debug_file_finder.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <system_error>

namespace allocline {
namespace {

namespace fs = std::filesystem;

constexpr char kSystemRoot[] = "/usr/lib/debug";

// "" if the candidate is the wanted file, else why not.
using Check = std::function<std::string(ElfFile&)>;

// Opens the first candidate that exists and passes; remembers the first that exists and does not.
FoundFile FirstThatPasses(const std::vector<std::string>& candidates, const Check& check) {
  FoundFile found;
  for (const std::string& path : candidates) {
    absl::StatusOr<std::unique_ptr<ElfFile>> file = ElfFile::Open(path);
    std::string problem;
    if (file.ok()) {
      problem = check(**file);
      if (problem.empty()) return {.file = *std::move(file), .problem = ""};
      problem = fmt::format("{}: {}", path, problem);
    } else if (file.status().code() != absl::StatusCode::kNotFound) {
      problem = std::string(file.status().message());
    }
    if (found.problem.empty()) found.problem = problem;
  }
  return found;
}

std::string CheckBuildId(const ElfFile& file, std::string_view build_id) {
  return file.build_id() == build_id ? "" : "its build id is another";
}

std::string BuildIdPath(const std::string& root, std::string_view build_id, std::string_view suffix) {
  std::string text = BuildIdText(build_id);
  return fmt::format("{}/.build-id/{}/{}{}", root, text.substr(0, 2), text.substr(2), suffix);
}

}  // namespace

std::string BuildIdText(std::string_view build_id) {
  std::string text;
  for (char byte : build_id) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

DebugFileFinder::DebugFileFinder(const std::vector<std::string>& debug_paths)
    : roots_(debug_paths), user_roots_(debug_paths.size()) {
  roots_.push_back(kSystemRoot);
}

FoundFile DebugFileFinder::FindFor(const ElfFile& binary) const {
  FoundFile by_id;
  if (!binary.build_id().empty()) {
    std::vector<std::string> candidates;
    for (const std::string& root : roots_) candidates.push_back(BuildIdPath(root, binary.build_id(), ".debug"));
    by_id = FirstThatPasses(candidates, [&](ElfFile& file) { return CheckBuildId(file, binary.build_id()); });
    if (by_id.file != nullptr) return by_id;
  }
  std::optional<DebugLink> link = binary.debug_link();
  if (!link) return by_id;

  std::error_code ignored;
  const fs::path given = fs::path(binary.path()).parent_path();
  const fs::path real = fs::weakly_canonical(binary.path(), ignored).parent_path();
  std::vector<std::string> candidates;
  for (const fs::path& directory : {given, real}) {
    candidates.push_back((directory / link->file_name).string());
    candidates.push_back((directory / ".debug" / link->file_name).string());
  }
  for (size_t i = 0; i < roots_.size(); ++i) {
    if (i < user_roots_) candidates.push_back((fs::path(roots_[i]) / link->file_name).string());
    if (real.is_absolute()) candidates.push_back((roots_[i] / real.relative_path() / link->file_name).string());
  }
  std::erase_if(candidates, [&](const std::string& path) { return fs::equivalent(path, binary.path(), ignored); });
  FoundFile by_link = FirstThatPasses(candidates, [&](ElfFile& file) -> std::string {
    if (!binary.build_id().empty() && !file.build_id().empty()) return CheckBuildId(file, binary.build_id());
    return file.Crc32() == link->crc ? "" : fmt::format("its checksum is not the one {} asks for", binary.path());
  });
  if (by_link.problem.empty()) by_link.problem = by_id.problem;
  return by_link;
}

FoundFile DebugFileFinder::FindByBuildId(std::string_view build_id) const {
  if (build_id.empty()) return {};
  std::vector<std::string> candidates;
  for (const char* suffix : {".debug", ""}) {
    for (const std::string& root : roots_) candidates.push_back(BuildIdPath(root, build_id, suffix));
  }
  return FirstThatPasses(candidates, [&](ElfFile& file) { return CheckBuildId(file, build_id); });
}

FoundFile DebugFileFinder::FindAlt(const ElfFile& debug_file, const DebugAltLink& link) const {
  std::error_code ignored;
  const fs::path directory = fs::weakly_canonical(debug_file.path(), ignored).parent_path();
  std::vector<std::string> candidates = {(directory / link.file_name).string()};
  for (const std::string& root : roots_) {
    if (!link.build_id.empty()) candidates.push_back(BuildIdPath(root, link.build_id, ".debug"));
    candidates.push_back((fs::path(root) / ".dwz" / fs::path(link.file_name).filename()).string());
  }
  return FirstThatPasses(candidates, [&](ElfFile& file) { return CheckBuildId(file, link.build_id); });
}

}  // namespace allocline
