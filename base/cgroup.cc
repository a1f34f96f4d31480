#include "base/cgroup.h"

#include <string.h>

#include <string_view>

#include "base/raw_syscall.h"

namespace allocline {
namespace {

// v1 writes "no limit" as the largest page-aligned count it can hold; no machine has half of that.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

// [from, to) of a text, or up to its end. Unlike substr() it does not throw, for which the tracer has no library.
std::string_view Part(std::string_view text, size_t from, size_t to = std::string_view::npos) {
  if (to > text.size()) to = text.size();
  return from < to ? std::string_view(text.data() + from, to - from) : std::string_view();
}

// A path on the stack. One that does not fit stays unfit: opening it fails, as a missing file does.
class Path {
 public:
  explicit Path(std::string_view root) { Append(root); }

  Path& Append(std::string_view text) {
    if (length_ + text.size() >= sizeof text_) {
      fits_ = false;
      return *this;
    }
    if (!text.empty()) memcpy(text_ + length_, text.data(), text.size());
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
  // Undoes what mountinfo writes of blanks and backslashes: \040.
  Path& AppendUnescaped(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
      const auto digit = [&](size_t at) {
        return at < text.size() && text[at] >= '0' && text[at] <= '7' ? text[at] - '0' : -1;
      };
      if (text[i] == '\\' && digit(i + 1) >= 0 && digit(i + 2) >= 0 && digit(i + 3) >= 0) {
        const char c = static_cast<char>(digit(i + 1) << 6 | digit(i + 2) << 3 | digit(i + 3));
        Append({&c, 1});
        i += 3;
      } else {
        Append({&text[i], 1});
      }
    }
    return *this;
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

  std::string_view text() const { return {text_, length_}; }
  size_t length() const { return length_; }
  bool fits() const { return fits_; }
  long Open() const { return fits_ ? sys::Open(text_, O_RDONLY | O_CLOEXEC) : -1; }
  bool IsDirectory() const {
    const long fd = fits_ ? sys::Open(text_, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) sys::Close(static_cast<int>(fd));
    return fd >= 0;
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
    if (is_open()) sys::Close(static_cast<int>(fd_));
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
    if (!is_open()) return false;
    long got;
    do got = sys::Read(static_cast<int>(fd_), buffer_, sizeof buffer_);
    while (got == -kInterrupted);
    begin_ = 0;
    end_ = got > 0 ? static_cast<size_t>(got) : 0;
    return got > 0;
  }

  static constexpr long kInterrupted = 4;  // EINTR
  const long fd_;
  size_t begin_ = 0, end_ = 0;
  char buffer_[1024];
  char line_[768];
};

// A number and nothing behind it, but for blanks.
bool ParseNumber(std::string_view text, uint64_t* number) {
  if (text.empty()) return false;
  uint64_t value = 0;
  size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    if (__builtin_mul_overflow(value, uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<uint64_t>(text[i] - '0'), &value)) {
      value = UINT64_MAX;
    }
  }
  if (i == 0 || text.find_first_not_of(" \t", i) != text.npos) return false;
  *number = value;
  return true;
}

// Cuts the next word off the front of `text`.
std::string_view TakeWord(std::string_view* text) {
  const size_t begin = text->find_first_not_of(' ');
  if (begin == text->npos) {
    *text = {};
    return {};
  }
  const size_t end = text->find(' ', begin);
  const std::string_view word = Part(*text, begin, end);
  text->remove_prefix(begin + word.size());
  return word;
}

bool HoldsItem(std::string_view comma_list, std::string_view item) {
  while (!comma_list.empty()) {
    const size_t comma = comma_list.find(',');
    if (Part(comma_list, 0, comma) == item) return true;
    if (comma == comma_list.npos) break;
    comma_list.remove_prefix(comma + 1);
  }
  return false;
}

// The number in DIRECTORY/`file`.
bool ReadNumber(Path& directory, std::string_view file, uint64_t* number) {
  const size_t length = directory.length();
  directory.Append(file);
  bool found = false;
  {
    LineReader lines(directory);
    std::string_view line;
    found = lines.Next(&line) && ParseNumber(line, number);
  }
  directory.CutTo(length);
  return found;
}

struct Pair {
  std::string_view key;
  uint64_t value = 0;
  bool found = false;
};

// The numbers behind the keys, in a file of lines "KEY NUMBER".
template <size_t kCount>
void ReadPairs(Path& directory, std::string_view file, Pair (&pairs)[kCount]) {
  const size_t length = directory.length();
  directory.Append(file);
  size_t missing = kCount;
  {
    LineReader lines(directory);
    std::string_view line;
    while (missing > 0 && lines.Next(&line)) {
      const std::string_view key = TakeWord(&line);
      for (Pair& pair : pairs) {
        if (pair.found || pair.key != key) continue;
        pair.found = ParseNumber(TakeWord(&line), &pair.value);  // /proc/meminfo has a unit behind it
        --missing;
        break;
      }
    }
  }
  directory.CutTo(length);
}

// ---------------------------------------------------------------- finding

// Which hierarchy charges the process's memory, and its path in it. In a hybrid set-up both list the process; the
// memory controller is where a line names it.
CgroupVersion FindGroup(int pid, const char* root, Path* group) {
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
  CgroupVersion version = CgroupVersion::kNone;
  while (version != CgroupVersion::kV1 && lines.Next(&line)) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos || second + 1 == line.size() || line[second + 1] != '/') continue;
    const std::string_view controllers = Part(line, first + 1, second);
    const bool is_v1 = HoldsItem(controllers, "memory");
    if (!is_v1 && !controllers.empty()) continue;
    group->CutTo(0);
    group->Append(Part(line, second + 1));
    version = is_v1 ? CgroupVersion::kV1 : CgroupVersion::kV2;
  }
  return version;
}

// How well a mount that begins at the group `root` shows `group`: the more of it the mount's root covers, the better; 1
// for the mount of something else, which is all that can be seen.
size_t Fitness(std::string_view group, std::string_view root) {
  if (root == "/") return 2;
  const bool covers = group.starts_with(root) && (group.size() == root.size() || group[root.size()] == '/');
  return covers ? root.size() + 2 : 1;
}

// Where the hierarchy is mounted, into `directory`; behind it the group, where it lies below the mount's root.
void FindDirectory(CgroupVersion version, std::string_view group, const char* root, Path* directory,
                   size_t* mount_bytes) {
  size_t best = 0;
  {
    LineReader lines(Path(root).Append("/proc/self/mountinfo"));
    std::string_view line;
    while (lines.Next(&line)) {
      // ID PARENT MAJOR:MINOR ROOT MOUNT OPTIONS [FIELD...] - TYPE SOURCE SUPER-OPTIONS
      const size_t dash = line.find(" - ");
      if (dash == line.npos) continue;
      std::string_view after = Part(line, dash + 3), before = Part(line, 0, dash);
      const std::string_view type = TakeWord(&after);
      TakeWord(&after);
      const bool fits =
          version == CgroupVersion::kV2 ? type == "cgroup2" : type == "cgroup" && HoldsItem(TakeWord(&after), "memory");
      if (!fits) continue;
      for (int i = 0; i < 3; ++i) TakeWord(&before);
      const std::string_view mounted_group = TakeWord(&before);
      const std::string_view mount = TakeWord(&before);
      if (!mounted_group.starts_with('/') || !mount.starts_with('/')) continue;
      // Escaped it is longer than what it stands for: a group with a blank in its name is looked for from a mount of
      // all.
      const size_t fitness = Fitness(group, mounted_group);
      if (fitness < best) continue;  // of equals the later: it may lie over the earlier one
      best = fitness;
      directory->CutTo(0);
      directory->Append(root).AppendUnescaped(mount);
      *mount_bytes = directory->length();
      if (fitness == 2 && group != "/") directory->Append(group);
      if (fitness > 2) directory->Append(Part(group, mounted_group.size()));
    }
  }
  if (best > 0) return;
  directory->Append(root).Append(version == CgroupVersion::kV1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup");
  *mount_bytes = directory->length();
  if (group != "/") directory->Append(group);
}

// ---------------------------------------------------------------- reading

struct Files {
  std::string_view usage, limit, peak, inactive;
};
constexpr Files kFilesOfV1 = {"/memory.usage_in_bytes", "/memory.limit_in_bytes", "/memory.max_usage_in_bytes",
                              "total_inactive_file"};
constexpr Files kFilesOfV2 = {"/memory.current", "/memory.max", "/memory.peak", "inactive_file"};
const Files& FilesOf(CgroupVersion version) { return version == CgroupVersion::kV1 ? kFilesOfV1 : kFilesOfV2; }

struct Usage {
  uint64_t bytes = 0;
  Pair limit_above = {"hierarchical_memory_limit"};  // v1: of all groups above, also of those that cannot be seen
};

bool ReadUsage(const Files& files, Path& directory, Usage* usage) {
  if (!ReadNumber(directory, files.usage, &usage->bytes)) return false;
  Pair pairs[] = {{files.inactive}, usage->limit_above};
  ReadPairs(directory, "/memory.stat", pairs);
  usage->bytes -= pairs[0].value < usage->bytes ? pairs[0].value : usage->bytes;
  usage->limit_above = pairs[1];
  return true;
}

// `directory` is the group's. Of the group that decides it gives how long the path of its directory is.
ContainerMemory ReadMemory(const Cgroup& group, Path& directory, size_t* deciding_bytes) {
  ContainerMemory memory;
  const Files& files = FilesOf(group.version);
  *deciding_bytes = directory.length();
  Usage own;
  if (!ReadUsage(files, directory, &own)) return memory;
  memory.usage_bytes = own.bytes;

  int64_t least_room = INT64_MAX;
  const auto take = [&](uint64_t limit, uint64_t usage) {
    const bool is_limit = limit > 0 && limit < kNoLimit && (group.machine_bytes == 0 || limit <= group.machine_bytes);
    const auto room = static_cast<int64_t>(limit - usage);
    if (!is_limit || room >= least_room) return;
    least_room = room;
    memory.limit_bytes = limit;
    memory.usage_bytes = usage;
    *deciding_bytes = directory.length();
  };
  if (own.limit_above.found) take(own.limit_above.value, own.bytes);
  bool is_own = true;
  do {
    uint64_t limit = 0;  // what is no number is none
    if (ReadNumber(directory, files.limit, &limit) && limit < kNoLimit) {
      Usage usage = own;
      if (!is_own) ReadUsage(files, directory, &usage);
      take(limit, usage.bytes);
    }
    is_own = false;
  } while (directory.GoUp(group.mount_bytes));

  const bool in_root = strlen(group.directory) == group.mount_bytes;
  memory.found = !in_root || memory.limit_bytes != 0;
  return memory.found ? memory : ContainerMemory{};
}

}  // namespace

Cgroup FindCgroup(int pid, const char* root) {
  Cgroup found;
  Path group(""), directory("");
  size_t mount_bytes = 0;
  const CgroupVersion version = FindGroup(pid, root, &group);
  // A group outside our own cgroup namespace: nothing below our mounts is it.
  if (version == CgroupVersion::kNone || group.text().find("/..") != std::string_view::npos) return found;
  FindDirectory(version, group.text(), root, &directory, &mount_bytes);

  const auto counts = [&] {
    uint64_t usage = 0;
    return ReadNumber(directory, FilesOf(version).usage, &usage);
  };
  // Inside a container without a cgroup namespace the path is the host's, while the mount shows the container's own
  // group as its root.
  if (!directory.IsDirectory()) directory.CutTo(mount_bytes < directory.length() ? mount_bytes : directory.length());
  // A group of version 2 for which nobody enabled the memory controller is charged to the nearest above that has it.
  while (!counts()) {
    if (!directory.GoUp(mount_bytes)) return found;
  }
  if (!directory.fits() || directory.length() >= sizeof found.directory) return found;
  memcpy(found.directory, directory.text().data(), directory.length());
  found.directory[directory.length()] = '\0';
  found.mount_bytes = static_cast<uint32_t>(mount_bytes);
  Path machine(root);
  Pair total[] = {{"MemTotal:"}};
  ReadPairs(machine, "/proc/meminfo", total);
  found.machine_bytes = total[0].value << 10;
  found.version = version;
  return found;
}

uint64_t CgroupMembership(const char* root) {
  LineReader lines(Path(root).Append("/proc/self/cgroup"));
  uint64_t hash = 0;
  for (std::string_view line; lines.Next(&line);) {
    for (const char c : line) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
    hash = hash * 31 + 1;
  }
  return hash;
}

ContainerMemory ReadContainerMemory(const Cgroup& group) {
  if (!group.found()) return {};
  Path directory(group.directory);
  size_t deciding_bytes = 0;
  return ReadMemory(group, directory, &deciding_bytes);
}

ContainerParts ReadContainerParts(const Cgroup& group) {
  ContainerParts parts;
  if (!group.found()) return parts;
  Path directory(group.directory);
  size_t deciding_bytes = 0;
  parts.memory = ReadMemory(group, directory, &deciding_bytes);
  if (!parts.memory.found) return parts;
  directory.CutTo(0);
  directory.Append(Part(group.directory, 0, deciding_bytes));
  const bool is_v1 = group.version == CgroupVersion::kV1;
  enum { kAnonymous, kFile, kShared, kInactive, kKernel, kSlab, kStacks, kTables, kPerCpu, kSockets };
  Pair v1[] = {{"total_rss"}, {"total_cache"}, {"total_shmem"}, {"total_inactive_file"}};
  Pair v2[] = {{"anon"}, {"file"},         {"shmem"},      {"inactive_file"}, {"kernel"},
               {"slab"}, {"kernel_stack"}, {"pagetables"}, {"percpu"},        {"sock"}};
  is_v1 ? ReadPairs(directory, "/memory.stat", v1) : ReadPairs(directory, "/memory.stat", v2);
  const Pair* pairs = is_v1 ? v1 : v2;
  parts.found = pairs[kAnonymous].found && pairs[kFile].found;
  parts.anonymous_bytes = pairs[kAnonymous].value;
  parts.shared_bytes = pairs[kShared].value;
  // Of tmpfs nothing is inactive *file*: it is anonymous to the kernel's lists.
  const uint64_t not_counted = pairs[kShared].value + pairs[kInactive].value;
  parts.file_bytes = pairs[kFile].value > not_counted ? pairs[kFile].value - not_counted : 0;
  if (is_v1) {
    ReadNumber(directory, "/memory.kmem.usage_in_bytes", &parts.kernel_bytes);
  } else if (v2[kKernel].found) {  // since Linux 5.18; sockets apart
    parts.kernel_bytes = v2[kKernel].value + v2[kSockets].value;
  } else {
    for (int part = kSlab; part <= kSockets; ++part) parts.kernel_bytes += v2[part].value;
  }
  return parts;
}

ContainerMemory ReadContainerPeak(const Cgroup& group, uint64_t seen_limit) {
  ContainerMemory nearest;
  if (!group.found()) return nearest;
  const Files& files = FilesOf(group.version);
  Path directory(group.directory);
  Pair above[] = {{"hierarchical_memory_limit"}};  // holds for the group itself, too
  ReadPairs(directory, "/memory.stat", above);
  uint64_t most = above[0].found ? above[0].value : kNoLimit;
  do {
    ContainerMemory peak{.found = true};
    if (!ReadNumber(directory, files.limit, &peak.limit_bytes) || peak.limit_bytes == 0) peak.limit_bytes = kNoLimit;
    if (peak.limit_bytes > most) peak.limit_bytes = most;
    most = kNoLimit;
    if (peak.limit_bytes >= kNoLimit || !ReadNumber(directory, files.peak, &peak.usage_bytes)) continue;
    if (peak.usage_bytes > peak.limit_bytes) peak.usage_bytes = peak.limit_bytes;
    if (peak.limit_bytes == seen_limit) return peak;
    const bool is_nearer = peak.limit_bytes - peak.usage_bytes < nearest.limit_bytes - nearest.usage_bytes;
    if (!nearest.found || is_nearer) nearest = peak;
  } while (directory.GoUp(group.mount_bytes));
  return nearest;
}

bool ReadOomKills(const Cgroup& group, uint64_t* kills) {
  *kills = 0;
  if (!group.found()) return false;
  Path directory(group.directory);
  Pair pairs[] = {{"oom_kill"}};
  ReadPairs(directory, group.version == CgroupVersion::kV1 ? "/memory.oom_control" : "/memory.events", pairs);
  *kills = pairs[0].value;
  return pairs[0].found;
}

ContainerMemory ReadContainerMemory(int pid, const char* root) { return ReadContainerMemory(FindCgroup(pid, root)); }

}  // namespace allocline
