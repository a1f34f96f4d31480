#include "recording/writer.h"

#include <errno.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/pages.h"
#include "base/text.h"

namespace allocline {
namespace {

using format::Extent;
using format::FileHeader;
using format::TableKind;

struct TableShape {
  TableKind kind;
  uint64_t first_extent_bytes;
  uint64_t address_bytes;  // most the table can ever hold
  bool copied_by_fork;
};
constexpr uint64_t kMiB = uint64_t{1} << 20;
// First extents are small, so that the recording of a small program is. A child copies the tables in this order: what
// is named before what names it.
constexpr TableShape kShapes[] = {
    {TableKind::kModules, 8 << 10, 64 * kMiB, true},
    {TableKind::kCodes, 0, 1024 * kMiB, true},
    {TableKind::kNodes, 16 << 10, 1024 * kMiB, true},
    {TableKind::kSites, 4 << 10, 64 * kMiB, true},
    {TableKind::kThreads, 4 << 10, 16 * kMiB, false},
    {TableKind::kChunkOwners, 4 << 10, 8 * kMiB, false},
    {TableKind::kCounters, 16 << 10, 1024 * kMiB, false},
    {TableKind::kSnapshots, 0, 1024 * kMiB, false},
    {TableKind::kDifferences, 0, 1 * kMiB, false},
    {TableKind::kPeakFirst, 0, 256 * kMiB, false},
    {TableKind::kPeakSecond, 0, 256 * kMiB, false},
    {TableKind::kTimeline, 0, 64 << 10, false},
    {TableKind::kLedger, 0, 2 * format::kLedgerSlotBytes, false},
};
constexpr uint64_t kLargestExtent = 64 * kMiB;
constexpr uint64_t kLeastExtent = 1 * kMiB;  // where a limit makes them small: the directory has room for 128
constexpr uint64_t kFirstExtentOffset = format::kHeaderBytes + sizeof(Extent) * format::kMaxExtents;
// Out of the way of the small numbers a program may count on getting from its own open().
constexpr int kLowestDescriptor = 900;

uint64_t ResourceLimit(int resource) {
  rlimit64 limit{};
  const long result = sys::Call(SYS_prlimit64, 0, resource, 0, reinterpret_cast<long>(&limit));
  return sys::IsError(result) ? ~uint64_t{0} : limit.rlim_cur;
}

long ReadSmallFile(const char* path, char* out, size_t bytes) {
  const long fd = sys::Open(path, O_RDONLY | O_CLOEXEC);
  if (sys::IsError(fd)) return fd;
  const long n = sys::Read(static_cast<int>(fd), out, bytes - 1);
  sys::Close(static_cast<int>(fd));
  if (n >= 0) out[n] = '\0';
  return n;
}

// Field 22 of /proc/self/stat, counted after the last ')': the name may hold anything.
uint64_t ProcessStartTicks() {
  char stat[1024];
  if (ReadSmallFile("/proc/self/stat", stat, sizeof stat) <= 0) return 0;
  const char* p = strrchr(stat, ')');
  if (p == nullptr) return 0;
  for (int field = 2; field < 22 && p != nullptr; ++field) p = strchr(p + 1, ' ');
  if (p == nullptr) return 0;
  uint64_t ticks = 0;
  for (++p; *p >= '0' && *p <= '9'; ++p) ticks = ticks * 10 + static_cast<uint64_t>(*p - '0');
  return ticks;
}

void ReadBootId(uint8_t (&id)[16]) {
  char text[64];
  if (ReadSmallFile("/proc/sys/kernel/random/boot_id", text, sizeof text) <= 0) return;
  int nibble = 0;
  for (const char* p = text; *p != '\0' && nibble < 32; ++p) {
    const int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
    if (digit < 0) continue;
    id[nibble / 2] = static_cast<uint8_t>(id[nibble / 2] << 4 | digit);
    ++nibble;
  }
}

int MoveOutOfTheWay(int fd) {
  for (int lowest = kLowestDescriptor; lowest >= 8; lowest /= 2) {
    const long moved = sys::Fcntl(fd, F_DUPFD_CLOEXEC, lowest);
    if (!sys::IsError(moved)) {
      sys::Close(fd);
      return static_cast<int>(moved);
    }
  }
  return fd;
}

}  // namespace

bool RecordingWriter::ReserveRanges() {
  // Under an address space limit we take a sixteenth of it at most; the program needs the rest.
  uint64_t divisor = 1;
  const uint64_t limit = ResourceLimit(RLIMIT_AS);
  uint64_t wanted = 0;
  for (const TableShape& shape : kShapes) wanted += shape.address_bytes;
  while (wanted / divisor > limit / 16) divisor *= 2;
  for (;; divisor *= 2) {
    bool all = true;
    for (const TableShape& shape : kShapes) {
      Table& table = tables_[Index(shape.kind)];
      table.reserved = RoundUpToPage(shape.address_bytes / divisor);
      if (table.reserved < 16 * kPage) table.reserved = 16 * kPage;
      table.base = static_cast<std::byte*>(ReserveAddresses(table.reserved));
      all = all && table.base != nullptr;
    }
    if (all) return true;
    for (Table& table : tables_) {
      if (table.base != nullptr) UnmapPages(table.base, table.reserved);
      table.base = nullptr;
    }
    if (divisor > 4096) return false;
  }
}

bool RecordingWriter::CreateFile() {
  const char* program = Basename(identity_.name);
  for (uint64_t attempt = 1; attempt < 10'000; ++attempt) {
    Text path(path_);
    path.Add(identity_.directory).Add("/").Add(program).Add(".").AddNumber(static_cast<uint64_t>(sys::GetPid()));
    if (attempt > 1) path.Add(".").AddNumber(attempt);  // an exec'ed image, or an old recording of the same pid
    path.Add(".allocline");
    if (path.truncated()) return CreateInMemory(-ENAMETOOLONG);
    const long fd = sys::Open(path_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -EEXIST) continue;
    if (sys::IsError(fd)) return CreateInMemory(fd);
    fd_ = MoveOutOfTheWay(static_cast<int>(fd));
    const long error = AllocateOnDisk(0, kFirstExtentOffset);
    if (error == 0 && MapHeader()) return true;
    sys::Close(fd_);
    sys::Unlink(path_);
    return CreateInMemory(error != 0 ? error : -ENODEV);
  }
  return CreateInMemory(-EEXIST);
}

// The fallback: readable while the process lives (through /proc/PID/fd), gone with it.
bool RecordingWriter::CreateInMemory(long error) {
  open_error_ = static_cast<int>(-error);
  path_[0] = '\0';
  const long fd = sys::Call(SYS_memfd_create, reinterpret_cast<long>("allocline"), MFD_CLOEXEC);
  if (sys::IsError(fd)) return false;
  fd_ = MoveOutOfTheWay(static_cast<int>(fd));
  if (AllocateOnDisk(0, kFirstExtentOffset) != 0 || !MapHeader()) return false;
  header_->state |= format::kStateInMemory;
  header_->first_errno = static_cast<uint32_t>(-error);
  return true;
}

bool RecordingWriter::MapHeader() {
  void* pages = sys::Mmap(nullptr, kFirstExtentOffset, PROT_READ | PROT_WRITE, MAP_SHARED, fd_);
  if (sys::IsError(pages)) return false;
  header_ = static_cast<FileHeader*>(pages);
  extents_ = reinterpret_cast<Extent*>(static_cast<std::byte*>(pages) + format::kHeaderBytes);
  struct stat status {};
  sys::Fstat(fd_, &status);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  return true;
}

void RecordingWriter::FillHeader(const Identity& identity) {
  FileHeader& h = *header_;
  h.major = format::kMajorVersion;
  h.minor = format::kMinorVersion;
  h.byte_order = format::kByteOrderMark;
  h.header_bytes = format::kHeaderBytes;
#if defined(__x86_64__)
  h.machine = 62;  // EM_X86_64
#else
  h.machine = 183;  // EM_AARCH64
#endif
  h.flags = identity.flags;
  h.pid = static_cast<uint32_t>(sys::GetPid());
  h.parent_pid = static_cast<uint32_t>(sys::Call(SYS_getppid));
  h.process_start_ticks = ProcessStartTicks();
  h.start_realtime_ns = ClockNow(CLOCK_REALTIME);
  h.start_monotonic_ns = MonotonicNow();
  h.run_id = identity.run_id;
  ReadBootId(h.boot_id);
  Text(h.program).Add(identity.program);
  utsname names{};
  sys::Call(SYS_uname, reinterpret_cast<long>(&names));
  Text(h.host).Add(names.nodename);
  char directory[1024] = "";
  sys::Call(SYS_getcwd, reinterpret_cast<long>(directory), sizeof directory);
  Text kept(h.directory);
  if (kept.Add(directory).truncated()) h.directory[0] = '\0';  // half a path leads somewhere else
  h.peak_epoch = 1;
  h.file_bytes = kFirstExtentOffset;
  // The magic comes last, in one store: a file without it is not a recording yet. Release: who sees it sees the rest.
  uint64_t magic = 0;
  memcpy(&magic, format::kMagic, sizeof magic);
  static_assert(sizeof h.magic == sizeof magic && offsetof(FileHeader, magic) % sizeof magic == 0);
  StoreRelease(*reinterpret_cast<uint64_t*>(h.magic), magic);
}

bool RecordingWriter::Open(const Identity& identity) {
  identity_ = identity;
  if (!ReserveRanges() || !CreateFile()) return false;
  FillHeader(identity);
  if (GrowFirstExtents()) return true;
  // No room for even that: start over in memory.
  const uint32_t error = header_->first_errno;
  Discard();
  if (!CreateInMemory(-static_cast<long>(error))) return false;
  FillHeader(identity);
  return GrowFirstExtents();
}

bool RecordingWriter::GrowFirstExtents() {
  for (const TableShape& shape : kShapes) {
    if (shape.first_extent_bytes != 0 && !Grow(shape.kind, 1)) return false;
  }
  return true;
}

// Gives up the file just made, with whatever is mapped from it.
void RecordingWriter::Discard() {
  UnmapPages(header_, kFirstExtentOffset);
  header_ = nullptr;
  if (path_[0] != '\0') sys::Unlink(path_);
  sys::Close(fd_);
  for (const TableShape& shape : kShapes) Empty(tables_[Index(shape.kind)]);
}

void RecordingWriter::Abandon() {
  if (header_ != nullptr) Discard();
  for (Table& table : tables_) {
    if (table.base != nullptr) UnmapPages(table.base, table.reserved);
    table.base = nullptr;
  }
}

void RecordingWriter::Empty(Table& table) {
  sys::Mmap(table.base, table.reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED);
  table.capacity.store(0, std::memory_order_relaxed);
  table.full.store(false, std::memory_order_relaxed);
}

bool RecordingWriter::OpenForChild() {
  grow_lock_.Reset();
  // What the child starts from. Sites before nodes: then every site taken over has its node among those taken over.
  // Nodes before codes, for the same reason.
  // The parent goes on meanwhile; what lies beyond our own (private) capacity is not mapped here and is not ours. What
  // names such a record came after the fork, as the record did, and goes as well: nodes in NodesWithCodes(), sites in
  // SiteTable::InitAfterFork(). The ids are those of the child's own records from now on.
  for (TableKind kind : {TableKind::kSites, TableKind::kNodes, TableKind::kCodes, TableKind::kModules}) {
    if (tables_are_parents_) break;  // this header is of a child that never wrote a table; what it was to take is known
    const uint64_t capacity = tables_[Index(kind)].capacity.load(std::memory_order_relaxed);
    const uint64_t taken = used(kind);
    used_at_fork_[Index(kind)] = taken < capacity ? taken : capacity;
  }
  // A module or a code that another thread was writing will not be finished here, and what a reader meets without a
  // size ends the table for it.
  used_at_fork_[Index(TableKind::kModules)] = PublishedPrefix(TableKind::kModules);
  used_at_fork_[Index(TableKind::kCodes)] = PublishedPrefix(TableKind::kCodes);
  const FileHeader parent = *header_;
  const int parent_fd = fd_;
  const uint64_t parent_device = device_, parent_inode = inode_;
  UnmapPages(header_, kFirstExtentOffset);
  header_ = nullptr;
  tables_are_parents_ = true;
  if (!CreateFile()) return false;
  struct stat status {};
  if (!sys::IsError(sys::Fstat(parent_fd, &status)) && status.st_dev == parent_device &&
      status.st_ino == parent_inode) {
    sys::Close(parent_fd);
  }
  identity_.flags |= format::kFlagForked;
  FillHeaderOfChild(parent);
  return true;
}

// Of a table of records that begin with their size, as much of what the child takes over as is published.
uint64_t RecordingWriter::PublishedPrefix(TableKind kind) const {
  const uint64_t taken = used_at_fork_[Index(kind)];
  uint64_t published = 0;
  while (published + sizeof(uint64_t) <= taken) {
    const auto* record = reinterpret_cast<const uint32_t*>(base(kind) + published);
    const uint32_t record_bytes = LoadAcquire(*record);  // pairs with the release that publishes it
    if (record_bytes == 0 || record_bytes > taken - published) break;
    published += record_bytes;
  }
  return published;
}

// Of the nodes taken over, the bytes before the first that names a code which was not. That one was made after the
// fork, and so were all after it: ids are given in the order of time. Looked for in the copy, which nobody changes.
uint64_t RecordingWriter::NodesWithCodes() const {
  const uint64_t taken = used_at_fork_[Index(TableKind::kNodes)];
  const uint64_t codes = used_at_fork_[Index(TableKind::kCodes)] / format::kCodeIdBytes;
  const auto* nodes = reinterpret_cast<const format::NodeRecord*>(base(TableKind::kNodes));
  for (uint64_t i = 0; i < taken / sizeof(format::NodeRecord); ++i) {
    const format::Frame frame = nodes[i].frame;
    const bool is_python = format::IsVirtual(frame) && format::KindOf(frame) == format::VirtualKind::kPython;
    if (is_python && format::CodeOf(frame) >= codes) return i * sizeof(format::NodeRecord);
  }
  return taken;
}

void RecordingWriter::FillHeaderOfChild(const FileHeader& parent) {
  FillHeader(identity_);
  memcpy(header_->allocator, parent.allocator, sizeof parent.allocator);
  header_->state |= parent.state & (format::kStateNoUnwinder | format::kStateNotGlibc | format::kStateSampled |
                                    format::kStateTotalsOnly);
  header_->sample_interval_bytes = parent.sample_interval_bytes;
  header_->sampled_ns = parent.sampled_ns;
  header_->sampled_live_bytes = parent.sampled_live_bytes;
  header_->totals_ns = parent.totals_ns;
  header_->totals_live_bytes = parent.totals_live_bytes;
  header_->tracer_budget_bytes = parent.tracer_budget_bytes;
  header_->peak_slack_bytes = parent.peak_slack_bytes;
  header_->container_limit_bytes = parent.container_limit_bytes;
  header_->python_version = parent.python_version;
  header_->python_state = parent.python_state;
  header_->python_arena_bytes = parent.python_arena_bytes;
  header_->emulated_limit_bytes = parent.emulated_limit_bytes;
  header_->oom_kills_at_start = parent.oom_kills_at_start;
  header_->container_version = parent.container_version;
  memcpy(header_->ladder, parent.ladder, sizeof parent.ladder);
  memcpy(header_->container_path, parent.container_path, sizeof parent.container_path);
  memcpy(header_->python_runtime, parent.python_runtime, sizeof parent.python_runtime);
  memcpy(header_->directory, parent.directory, sizeof parent.directory);
}

bool RecordingWriter::PopulateChild() {
  tables_are_parents_ = false;
  if (CopyTables()) return true;
  // The file refused; what was taken over so far is still mapped and can be copied once more, into memory.
  const FileHeader header = *header_;
  UnlinkOurs();
  UnmapPages(header_, kFirstExtentOffset);
  header_ = nullptr;
  if (DescriptorIsOurs()) sys::Close(fd_);
  if (!CreateInMemory(-static_cast<long>(header.first_errno))) return false;
  FillHeaderOfChild(header);
  return CopyTables();
}

void RecordingWriter::Truncate(TableKind kind, uint64_t bytes) {
  uint64_t& used = header_->tables[Index(kind)].used;
  if (bytes >= used) return;
  memset(tables_[Index(kind)].base + bytes, 0, used - bytes);
  StoreRelease(used, bytes);
}

bool RecordingWriter::CopyTables() {
  for (const TableShape& shape : kShapes) {
    Table& table = tables_[Index(shape.kind)];
    if (!shape.copied_by_fork) {
      Empty(table);
      if (shape.first_extent_bytes != 0 && !Grow(shape.kind, 1)) return false;
    } else if (!CopyTable(shape.kind)) {
      return false;
    }
  }
  return true;
}

// One extent as large as all that the parent had, written through the descriptor while the parent's pages are still
// mapped, then mapped over them.
bool RecordingWriter::CopyTable(TableKind kind) {
  Table& table = tables_[Index(kind)];
  const uint64_t mapped = table.capacity.load(std::memory_order_relaxed);
  uint64_t& used = used_at_fork_[Index(kind)];
  if (mapped == 0) return true;  // of a table that has no first extent
  const uint64_t offset = header_->file_bytes;
  // The child may have closed all descriptors before its first event.
  const long error = DescriptorIsOurs() ? AllocateOnDisk(offset, mapped) : -EBADF;
  if (error != 0) {
    header_->first_errno = static_cast<uint32_t>(-error);
    return false;
  }
  for (uint64_t done = 0; done < used;) {
    const long n = sys::Pwrite(fd_, table.base + done, used - done, offset + done);
    if (n <= 0) return false;
    done += static_cast<uint64_t>(n);
  }
  if (sys::IsError(sys::Mmap(table.base, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, offset))) {
    return false;
  }
  if (kind == TableKind::kNodes) {
    const uint64_t copied = used;
    used = NodesWithCodes();
    memset(table.base + used, 0, copied - used);
  }
  const uint32_t n = header_->extent_count;
  extents_[n] = {Index(kind), 0, 0, offset, mapped};
  header_->tables[Index(kind)].capacity = mapped;
  header_->file_bytes = offset + mapped;
  table.full.store(false, std::memory_order_relaxed);
  StoreRelease(header_->extent_count, n + 1);
  // Last: a reader that sees the used bytes finds them in an extent.
  StoreRelease(header_->tables[Index(kind)].used, used);
  return true;
}

void* RecordingWriter::Reserve(TableKind kind, uint64_t bytes) {
  Table& table = tables_[Index(kind)];
  uint64_t& used = header_->tables[Index(kind)].used;
  uint64_t begin = LoadRelaxed(used);
  for (;;) {
    if (begin + bytes > table.capacity.load(std::memory_order_acquire)) {
      if (!Grow(kind, begin + bytes)) return nullptr;
      begin = LoadRelaxed(used);
      continue;
    }
    // Release: a reader that sees the new end sees the extent it lies in. Pairs with used() and with the readers.
    if (CompareExchange(used, begin, begin + bytes)) return table.base + begin;
  }
}

bool RecordingWriter::IsOurs(uintptr_t address) const {
  const auto is_in = [address](const void* start, uint64_t bytes) {
    return address - reinterpret_cast<uintptr_t>(start) < bytes;
  };
  if (is_in(header_, kFirstExtentOffset)) return true;
  for (const Table& table : tables_) {
    if (table.base != nullptr && is_in(table.base, table.reserved)) return true;
  }
  return false;
}

bool RecordingWriter::Grow(TableKind kind, uint64_t needed_capacity) {
  Table& table = tables_[Index(kind)];
  if (table.full.load(std::memory_order_relaxed)) return false;
  SpinLockHolder lock(grow_lock_);
  if (!lock.held()) return false;  // a signal in the middle of Grow() on this thread: the caller counts a drop
  while (table.capacity.load(std::memory_order_relaxed) < needed_capacity) {
    uint64_t bytes = table.capacity.load(std::memory_order_relaxed);
    if (bytes == 0) {
      bytes = 4 << 10;
      for (const TableShape& shape : kShapes) {
        if (shape.kind == kind && shape.first_extent_bytes != 0) bytes = shape.first_extent_bytes;
      }
    }
    if (bytes > kLargestExtent) bytes = kLargestExtent;
    if (extent_limit_ != 0) {
      const uint64_t file_bytes = LoadRelaxed(header_->file_bytes);
      const uint64_t room = extent_limit_ > file_bytes ? RoundUpToPage((extent_limit_ - file_bytes) / 8) : 0;
      const uint64_t most = room > kLeastExtent ? room : kLeastExtent;
      if (bytes > most) bytes = most;
    }
    if (!AddExtent(kind, bytes)) return false;
  }
  return true;
}

bool RecordingWriter::AddExtent(TableKind kind, uint64_t bytes) {
  Table& table = tables_[Index(kind)];
  const uint64_t capacity = table.capacity.load(std::memory_order_relaxed);
  const uint32_t n = LoadRelaxed(header_->extent_count);
  if (capacity + bytes > table.reserved || n == format::kMaxExtents) {
    MarkFull(kind, format::kStateTableFull, 0);
    return false;
  }
  const uint64_t offset = LoadRelaxed(header_->file_bytes);
  long error = DescriptorIsOurs() ? AllocateOnDisk(offset, bytes) : -EBADF;
  if (error == 0) {
    void* mapped = sys::Mmap(table.base + capacity, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, offset);
    if (sys::IsError(mapped)) error = reinterpret_cast<long>(mapped);
  }
  if (error != 0) {
    MarkFull(kind, format::kStateDiskFull, error);
    return false;
  }
  sys::Madvise(table.base + capacity, bytes, MADV_DONTDUMP);
  extents_[n] = {Index(kind), 0, capacity, offset, bytes};
  StoreRelaxed(header_->file_bytes, offset + bytes);
  StoreRelaxed(header_->tables[Index(kind)].capacity, capacity + bytes);
  // Release: a reader that sees the count sees the extent. Pairs with the acquire in the reader.
  StoreRelease(header_->extent_count, n + 1);
  table.capacity.store(capacity + bytes, std::memory_order_release);
  return true;
}

void RecordingWriter::MarkFull(TableKind kind, uint32_t state_bit, long error) {
  tables_[Index(kind)].full.store(true, std::memory_order_relaxed);
  if (error != 0 && LoadRelaxed(header_->first_errno) == 0) StoreRelaxed(header_->first_errno, -error);
  OrRelaxed(header_->state, state_bit);
}

// Programs close descriptors they did not open (daemons, closefrom) and get the number back from their next open: a
// write through a number that is no longer ours would damage their file.
bool RecordingWriter::DescriptorIsOurs() {
  struct stat status {};
  if (!sys::IsError(sys::Fstat(fd_, &status)) && status.st_dev == device_ && status.st_ino == inode_) return true;
  if (path_[0] == '\0') return false;
  const long fd = sys::Open(path_, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (sys::IsError(fd)) return false;
  if (sys::IsError(sys::Fstat(static_cast<int>(fd), &status)) || status.st_dev != device_ || status.st_ino != inode_) {
    sys::Close(static_cast<int>(fd));
    return false;
  }
  fd_ = MoveOutOfTheWay(static_cast<int>(fd));
  return true;
}

// The name may lead elsewhere by now: the program may have changed its root.
void RecordingWriter::UnlinkOurs() {
  struct stat status {};
  const long fd = sys::Open(path_, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (sys::IsError(fd)) return;
  const bool ours =
      !sys::IsError(sys::Fstat(static_cast<int>(fd), &status)) && status.st_dev == device_ && status.st_ino == inode_;
  sys::Close(static_cast<int>(fd));
  if (ours) sys::Unlink(path_);
}

// 0 or -errno. A file size limit is checked first: going over it is a signal (SIGXFSZ), which kills.
long RecordingWriter::AllocateOnDisk(uint64_t offset, uint64_t bytes) {
  if (offset + bytes > ResourceLimit(RLIMIT_FSIZE)) return -EFBIG;
  long result = 0;
  do {
    result = sys::Call(SYS_fallocate, fd_, 0, static_cast<long>(offset), static_cast<long>(bytes));
  } while (result == -EINTR);
  if (result != -EOPNOTSUPP && result != -ENOSYS) return result;
  // A file system without fallocate: writing zeros allocates as well.
  alignas(64) static constexpr char kZeros[kPage] = {};
  for (uint64_t done = 0; done < bytes; done += kPage) {
    result = sys::Pwrite(fd_, kZeros, kPage, offset + done);
    if (result != static_cast<long>(kPage)) return sys::IsError(result) ? result : -ENOSPC;
  }
  return 0;
}

}  // namespace allocline
