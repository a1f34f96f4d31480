#include "tools/recording_files.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/unique_fd.h"
#include "tools/live_process.h"

namespace allocline {

std::optional<format::FileHeader> PeekHeader(const std::string& path) {
  // O_NONBLOCK: a directory may hold a FIFO of any name.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  format::FileHeader header;
  if (!fd.valid() || pread(fd.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) {
    return std::nullopt;
  }
  if (memcmp(header.magic, format::kMagic, sizeof header.magic) != 0 || header.major != format::kMajorVersion ||
      header.byte_order != format::kByteOrderMark) {
    return std::nullopt;
  }
  header.program[sizeof header.program - 1] = '\0';
  return header;
}

std::vector<RecordingFile> FindRecordings(const std::string& directory,
                                          const std::function<bool(const format::FileHeader&)>& matches) {
  std::vector<RecordingFile> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string path = entry->path().string();
    if (!path.ends_with(kRecordingSuffix)) continue;
    const std::optional<format::FileHeader> header = PeekHeader(path);
    if (!header || (header->flags & format::kFlagSnapshot) != 0) continue;  // not a process's own
    if (matches(*header)) found.push_back({path, *header});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return found;
}

bool IsRunning(const format::FileHeader& header) {
  const std::optional<uint64_t> start_ticks = ProcessStartTicks(static_cast<pid_t>(header.pid));
  return start_ticks && *start_ticks == header.process_start_ticks && IsThisBoot(header.boot_id);
}

std::optional<pid_t> FindWriterOf(const std::string& path, const format::FileHeader& header) {
  if ((header.flags & format::kFlagSnapshot) != 0 || !IsRunning(header)) return std::nullopt;
  const pid_t pid = static_cast<pid_t>(header.pid);
  const absl::StatusOr<std::string> written = FindRecordingOf(pid);
  std::error_code error;
  if (!written.ok() || !std::filesystem::equivalent(path, *written, error)) return std::nullopt;
  return pid;
}

}  // namespace allocline
