#include "tools/live_process.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "tools/command.h"
#include "tools/recording_files.h"

namespace allocline {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Takes the first word off `text`.
std::string_view TakeWord(std::string_view* text) {
  text->remove_prefix(std::min(text->find_first_not_of(" \t"), text->size()));
  const std::string_view word = text->substr(0, text->find_first_of(" \t\n"));
  text->remove_prefix(word.size());
  return word;
}

// One mapped file that may be a recording.
struct Mapping {
  std::string range;  // "7f..-7f..", its name in /proc/PID/map_files
  uint64_t inode = 0;
  std::string path;  // as the kernel prints it: with " (deleted)" if it is
};

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::string_view kMemfdPrefix = "/memfd:";

bool MayBeRecording(std::string_view path) {
  if (path.starts_with(kMemfdPrefix)) return path.find("allocline") != path.npos;
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return path.ends_with(kRecordingSuffix);
}

// The mapped files of `pid` that look like recordings, one mapping of each.
std::vector<Mapping> FindMappings(pid_t pid) {
  std::vector<Mapping> found;
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(maps, line);) {
    std::string_view rest = line;
    const std::string_view range = TakeWord(&rest);
    TakeWord(&rest);  // permissions
    TakeWord(&rest);  // offset
    TakeWord(&rest);  // device
    const std::optional<uint64_t> inode = ParseNumber<uint64_t>(TakeWord(&rest));
    rest.remove_prefix(std::min(rest.find('/'), rest.size()));
    if (!inode || !MayBeRecording(rest)) continue;
    const bool known = std::any_of(found.begin(), found.end(), [&](const Mapping& m) { return m.inode == *inode; });
    if (!known) found.push_back({std::string(range), *inode, std::string(rest)});
  }
  return found;
}

bool IsInode(const std::string& path, uint64_t inode) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && status.st_ino == inode && access(path.c_str(), R_OK) == 0;
}

// A path that leads to the mapped file. The printed one does in our mount namespace, /proc/PID/root in the process's;
// a file without a name (deleted, or a memfd) is reached by a descriptor, or as root by the mapping itself.
std::string PathTo(pid_t pid, const Mapping& mapping) {
  const std::string in_its_root = fmt::format("/proc/{}/root{}", pid, mapping.path);
  const std::string as_mapping = fmt::format("/proc/{}/map_files/{}", pid, mapping.range);
  for (const std::string& path : {mapping.path, in_its_root, as_mapping}) {
    if (IsInode(path, mapping.inode)) return path;
  }
  std::error_code error;
  for (fs::directory_iterator entry(fmt::format("/proc/{}/fd", pid), error), end; !error && entry != end;
       entry.increment(error)) {
    if (IsInode(entry->path().string(), mapping.inode)) return entry->path().string();
  }
  return "";
}

// The process's number as every pid namespace it is in has it: the recording holds the innermost one.
std::vector<uint32_t> NamespacePids(pid_t pid) {
  std::vector<uint32_t> pids = {static_cast<uint32_t>(pid)};
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    std::string_view rest = std::string_view(line).substr(6);
    for (std::string_view word; !(word = TakeWord(&rest)).empty();) {
      if (const auto number = ParseNumber<uint32_t>(word)) pids.push_back(*number);
    }
  }
  return pids;
}

absl::Status NotTraced(const std::string& message) {
  return WithExitCode(ExitCode::kNoTracedProcess, absl::NotFoundError(message));
}

}  // namespace

std::optional<pid_t> ParsePid(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != text.npos) return std::nullopt;
  const std::optional<pid_t> pid = ParseNumber<pid_t>(text);
  return pid && *pid > 0 ? pid : std::nullopt;
}

absl::StatusOr<std::string> FindRecordingOf(pid_t pid) {
  const std::string maps = fmt::format("/proc/{}/maps", pid);
  const std::optional<uint64_t> start_ticks = ProcessStartTicks(pid);
  if (!start_ticks) return NotTraced(fmt::format("there is no process {}, and no file of that name", pid));

  const std::vector<uint32_t> pids = NamespacePids(pid);
  const auto is_of_process = [&](const format::FileHeader& header) {
    return std::find(pids.begin(), pids.end(), header.pid) != pids.end() &&
           (header.process_start_ticks == 0 || header.process_start_ticks == *start_ticks);
  };
  // An image before exec, or the parent's of a fork, may be mapped too: the header tells.
  std::string unreachable;
  for (const Mapping& mapping : FindMappings(pid)) {
    const std::string path = PathTo(pid, mapping);
    if (path.empty()) {
      unreachable = mapping.path;
      continue;
    }
    const std::optional<format::FileHeader> header = PeekHeader(path);
    if (header && is_of_process(*header)) return path;
  }
  // A process that changed its user hides its maps; its recording may lie where recordings usually do.
  const char* output = getenv("ALLOCLINE_OUTPUT");
  for (const std::string& directory : {std::string(output != nullptr ? output : "."), std::string(".")}) {
    const std::vector<RecordingFile> files = FindRecordings(
        directory, [&](const auto& header) { return header.process_start_ticks != 0 && is_of_process(header); });
    if (!files.empty()) {
      const auto newest = std::max_element(files.begin(), files.end(), [](const auto& a, const auto& b) {
        return a.header.start_monotonic_ns < b.header.start_monotonic_ns;
      });
      return newest->path;
    }
  }

  if (!unreachable.empty()) {
    return NotTraced(
        fmt::format("process {} records to {}, which cannot be opened: try as its user or root", pid, unreachable));
  }
  if (access(maps.c_str(), R_OK) != 0 || std::ifstream(maps).peek() == std::ifstream::traits_type::eof()) {
    return NotTraced(
        fmt::format("process {} cannot be looked into: try as its user or root, or name its recording", pid));
  }
  return NotTraced(fmt::format("process {} is not traced: start it with `allocline run`", pid));
}

ProcessMemory ReadProcessMemory(pid_t pid) {
  const std::string text = ReadText(fmt::format("/proc/{}/statm", pid));
  std::string_view rest = text;
  TakeWord(&rest);
  const uint64_t pages = ParseNumber<uint64_t>(TakeWord(&rest)).value_or(0);
  return {.rss_bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), .container = ReadContainerMemory(pid)};
}

uint64_t ReadProportionalBytes(pid_t pid) {
  std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", pid));
  for (std::string line; std::getline(rollup, line);) {
    if (!line.starts_with("Pss:")) continue;
    std::string_view rest = std::string_view(line).substr(4);
    return ParseNumber<uint64_t>(TakeWord(&rest)).value_or(0) << 10;
  }
  return 0;
}

std::optional<uint64_t> ProcessStartTicks(pid_t pid) {
  const std::string text = ReadText(fmt::format("/proc/{}/stat", pid));
  const size_t name_end = text.rfind(')');  // the name may hold spaces and parentheses
  if (name_end == text.npos) return std::nullopt;
  std::string_view rest = std::string_view(text).substr(name_end + 1);
  for (int field = 3; field < 22; ++field) TakeWord(&rest);
  return ParseNumber<uint64_t>(TakeWord(&rest));
}

bool IsThisBoot(const uint8_t* boot_id) {
  std::string ours = ReadText("/proc/sys/kernel/random/boot_id");
  std::erase_if(ours, [](char c) { return c == '-' || c == '\n'; });
  std::string theirs;
  for (int i = 0; i < 16; ++i) theirs += fmt::format("{:02x}", boot_id[i]);
  return ours == theirs;
}

}  // namespace allocline
