#include "base/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

namespace allocline {
namespace {

// v1 writes "no limit" as the largest page-aligned count it can hold; no machine has half of that.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

// A path on the stack. One that does not fit stays unfit: opening it fails, as a missing file does.
class Path {
 public:
  explicit Path(const char* root) { Append(root); }

  Path& Append(std::string_view text) {
    if (length_ + text.size() >= sizeof text_) {
      fits_ = false;
      return *this;
    }
    memcpy(text_ + length_, text.data(), text.size());
    length_ += text.size();
    text_[length_] = '\0';
    return *this;
  }
  Path& AppendNumber(unsigned number) {
    char digits[12];
    char* first = digits + sizeof digits;
    do *--first = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    return Append({first, static_cast<size_t>(digits + sizeof digits - first)});
  }
  // Drops the last component; false when that would reach above the first `floor` bytes.
  bool GoUp(size_t floor) {
    if (length_ <= floor) return false;
    while (length_ > floor && text_[--length_] != '/') {
    }
    text_[length_] = '\0';
    return true;
  }
  void CutTo(size_t length) { text_[length_ = length] = '\0'; }

  size_t length() const { return length_; }
  // syscall() and not open(): that one is a cancellation point, and nobody expects malloc to be one.
  int Open() const {
    if (!fits_) return -1;
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, text_, O_RDONLY | O_CLOEXEC));
  }

 private:
  char text_[1024] = "";
  size_t length_ = 0;
  bool fits_ = true;
};

// The lines of a file, through a small buffer; what does not fit into one is cut off the line.
class LineReader {
 public:
  explicit LineReader(const Path& path) : fd_(path.Open()) {}
  ~LineReader() {
    if (fd_ >= 0) syscall(SYS_close, fd_);
  }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  bool is_open() const { return fd_ >= 0; }

  bool Next(std::string_view* line) {
    size_t length = 0;
    for (bool any = false;; any = true) {
      if (begin_ == end_ && !Fill()) {
        *line = {line_, length};
        return any;
      }
      const char c = buffer_[begin_++];
      if (c == '\n') break;
      if (length < sizeof line_) line_[length++] = c;
    }
    *line = {line_, length};
    return true;
  }

 private:
  bool Fill() {
    if (fd_ < 0) return false;
    long got;
    do got = syscall(SYS_read, fd_, buffer_, sizeof buffer_);
    while (got < 0 && errno == EINTR);
    begin_ = 0;
    end_ = got > 0 ? static_cast<size_t>(got) : 0;
    return got > 0;
  }

  const int fd_;
  size_t begin_ = 0, end_ = 0;
  char buffer_[256];
  char line_[768];
};

bool ParseNumber(std::string_view text, uint64_t* number) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') break;
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, c - '0', &value)) {
      value = UINT64_MAX;
      break;
    }
  }
  *number = value;
  return true;
}

// The number in DIRECTORY/`file`, or after `key` and a space when the file is a list of pairs.
bool ReadNumber(Path& directory, std::string_view file, std::string_view key, uint64_t* number) {
  const size_t length = directory.length();
  directory.Append(file);
  bool found = false;
  {
    LineReader lines(directory);
    std::string_view line;
    while (!found && lines.Next(&line)) {
      if (!line.starts_with(key)) continue;
      line.remove_prefix(key.size());
      if (!key.empty() && (line.empty() || line.front() != ' ')) continue;
      if (!key.empty()) line.remove_prefix(1);
      found = ParseNumber(line, number);
      if (key.empty()) break;
    }
  }
  directory.CutTo(length);
  return found;
}

enum class Version { kNone, kV1, kV2 };

// Which hierarchy charges the process's memory, and its path in it: appended to `directory`. In a hybrid set-up both
// hierarchies list the process; the memory controller is where a line names it.
Version FindGroup(int pid, const char* root, Path* directory, size_t* mount_length) {
  Path file(root);
  file.Append("/proc/");
  if (pid == 0) {
    file.Append("self");
  } else {
    file.AppendNumber(static_cast<unsigned>(pid));
  }
  file.Append("/cgroup");

  LineReader lines(file);
  std::string_view line;
  Version version = Version::kNone;
  while (version != Version::kV1 && lines.Next(&line)) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string_view controllers(line.data() + first + 1, second - first - 1);
    std::string_view group(line.data() + second + 1, line.size() - second - 1);
    const bool is_v1 = controllers == "memory";
    if (!is_v1 && !controllers.empty()) continue;
    // A group outside our own cgroup namespace: nothing below our mount is it.
    if (group.find("/..") != group.npos) continue;
    directory->CutTo(0);
    directory->Append(root).Append(is_v1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup");
    *mount_length = directory->length();
    if (group != "/") directory->Append(group);
    version = is_v1 ? Version::kV1 : Version::kV2;
  }
  return version;
}

ContainerMemory Read(int pid, const char* root) {
  Path directory("");
  size_t mount_length = 0;
  const Version version = FindGroup(pid, root, &directory, &mount_length);
  if (version == Version::kNone) return {};
  const bool v1 = version == Version::kV1;
  const char* usage_file = v1 ? "/memory.usage_in_bytes" : "/memory.current";

  const bool in_root = directory.length() == mount_length;
  ContainerMemory memory;
  if (!ReadNumber(directory, usage_file, "", &memory.usage_bytes)) {
    // Inside a container without a cgroup namespace the path is the host's, while the mount shows the container's own
    // group as its root.
    if (in_root) return {};
    directory.CutTo(mount_length);
    if (!ReadNumber(directory, usage_file, "", &memory.usage_bytes)) return {};
  }

  uint64_t inactive = 0;
  if (ReadNumber(directory, "/memory.stat", v1 ? "total_inactive_file" : "inactive_file", &inactive)) {
    memory.usage_bytes -= inactive < memory.usage_bytes ? inactive : memory.usage_bytes;
  }

  uint64_t limit = UINT64_MAX;
  if (v1) {
    ReadNumber(directory, "/memory.stat", "hierarchical_memory_limit", &limit);
  } else {
    do {
      uint64_t here;  // "max" is no number
      if (ReadNumber(directory, "/memory.max", "", &here) && here < limit) limit = here;
    } while (directory.GoUp(mount_length));
  }
  memory.limit_bytes = limit < kNoLimit ? limit : 0;
  memory.found = !in_root || memory.limit_bytes != 0;
  return memory.found ? memory : ContainerMemory{};
}

}  // namespace

ContainerMemory ReadContainerMemory(int pid, const char* root) {
  const int saved_errno = errno;
  const ContainerMemory memory = Read(pid, root);
  errno = saved_errno;
  return memory;
}

}  // namespace allocline
