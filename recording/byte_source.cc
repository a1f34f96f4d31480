#include "recording/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace allocline {
namespace {

absl::Status SystemError(const std::string& path, std::string_view doing, int error) {
  const std::string message = fmt::format("{}: cannot {}: {}", path, doing, strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// What `mode` is, or nullptr for a regular file.
const char* NotARegularFile(mode_t mode) {
  if (S_ISREG(mode)) return nullptr;
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

absl::Status NotARecording(const std::string& path, const char* what) {
  return absl::InvalidArgumentError(fmt::format("{}: is {}, not a recording", path, what));
}

class FileSource final : public ByteSource {
 public:
  FileSource(const std::string& path, UniqueFd fd) : ByteSource(path), fd_(std::move(fd)) {}

  absl::StatusOr<uint64_t> Size() override {
    struct stat status;
    if (fstat(fd_.get(), &status) != 0) return SystemError(name(), "stat", errno);
    return static_cast<uint64_t>(status.st_size);
  }

  absl::StatusOr<uint64_t> StorageBytes() override {
    struct stat status;
    if (fstat(fd_.get(), &status) != 0) return SystemError(name(), "stat", errno);
    // Some file systems count no blocks at all: then there is nothing to tell holes by.
    if (status.st_blocks == 0) return static_cast<uint64_t>(status.st_size);
    return static_cast<uint64_t>(status.st_blocks) * 512;
  }

  absl::Status ReadAt(uint64_t offset, void* into, size_t bytes) override {
    char* out = static_cast<char*>(into);
    while (bytes > 0) {
      const ssize_t got = pread(fd_.get(), out, bytes, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return SystemError(name(), fmt::format("read {} bytes at offset {}", bytes, offset), errno);
      if (got == 0) {
        return absl::DataLossError(
            fmt::format("{}: became shorter while it was read: nothing at offset {}", name(), offset));
      }
      out += got;
      offset += static_cast<uint64_t>(got);
      bytes -= static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

 private:
  const UniqueFd fd_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string_view bytes, const std::string& name) : ByteSource(name), bytes_(bytes) {}

  absl::StatusOr<uint64_t> Size() override { return bytes_.size(); }
  absl::StatusOr<uint64_t> StorageBytes() override { return bytes_.size(); }

  absl::Status ReadAt(uint64_t offset, void* into, size_t bytes) override {
    if (offset > bytes_.size() || bytes > bytes_.size() - offset) {
      return absl::DataLossError(fmt::format("{}: ends before offset {}", name(), offset + bytes));
    }
    if (bytes > 0) memcpy(into, bytes_.data() + offset, bytes);
    return absl::OkStatus();
  }

 private:
  const std::string_view bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> OpenByteSource(const std::string& path) {
  struct stat status;
  // Asked before opening too: opening alone already acts on some devices (a tape rewinds).
  if (stat(path.c_str(), &status) != 0) return SystemError(path, "open", errno);
  if (const char* what = NotARegularFile(status.st_mode)) return NotARecording(path, what);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return SystemError(path, "open", errno);
  if (fstat(fd.get(), &status) != 0) return SystemError(path, "stat", errno);
  if (const char* what = NotARegularFile(status.st_mode)) return NotARecording(path, what);
  return std::make_unique<FileSource>(path, std::move(fd));
}

std::unique_ptr<ByteSource> MakeByteSource(std::string_view bytes, const std::string& name) {
  return std::make_unique<MemorySource>(bytes, name);
}

}  // namespace allocline
