#include "recording/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace allocline {
namespace {

absl::Status CannotWrite(const std::string& path, int error) {
  if (error == EEXIST) return absl::AlreadyExistsError(fmt::format("{}: exists already and is left as it is", path));
  const std::string message = fmt::format("{}: cannot be written: {}", path, strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// 0, or errno.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

// Gives `from` the name `to`, if that is free. 0, or errno.
int RenameToFreeName(const char* from, const char* to) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system that cannot: a hard link does not replace either.
  if (link(from, to) != 0) return errno;
  unlink(from);
  return 0;
}

// Creates a file of a name nobody has, beside `path`.
UniqueFd CreateBeside(const std::string& path, std::string* name) {
  for (int attempt = 0;; ++attempt) {
    *name = fmt::format("{}.{}.{}.tmp", path, getpid(), attempt);
    UniqueFd fd(open(name->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd.valid() || errno != EEXIST || attempt == 100) return fd;
  }
}

}  // namespace

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, bool replace) {
  // Asked first only to spare the work; RenameToFreeName decides.
  if (!replace && access(path.c_str(), F_OK) == 0) return CannotWrite(path, EEXIST);
  std::string temporary;
  UniqueFd fd = CreateBeside(path, &temporary);
  if (!fd.valid()) return CannotWrite(path, errno);
  int error = WriteAll(fd.get(), bytes);
  if (error == 0 && close(fd.release()) != 0) error = errno;
  if (error == 0 && replace && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0 && !replace) error = RenameToFreeName(temporary.c_str(), path.c_str());
  if (error == 0) return absl::OkStatus();
  unlink(temporary.c_str());
  return CannotWrite(path, error);
}

}  // namespace allocline
