#include "tracer/ledger.h"

#include <string.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/pages.h"
#include "base/smaps.h"
#include "base/text.h"

namespace allocline {
namespace {

using format::LedgerItem;
using format::LedgerItemKind;
using format::LedgerRecord;
using format::TableKind;

constexpr uintptr_t kArenaAlignment = 64 << 20;  // HEAP_MAX_SIZE of malloc/arena.c
constexpr uint32_t kTopOfAKind = 4;
constexpr uint32_t kMostCallers = 64;
constexpr uint32_t kPathBytes = format::kMaxLedgerPathBytes;

using Path = char[kPathBytes + 1];

void CopyPath(Path& to, const char* path) {
  const size_t length = strlen(path);
  memcpy(to, length > kPathBytes ? path + length - kPathBytes : path, (length < kPathBytes ? length : kPathBytes) + 1);
}

bool StartsWith(const char* text, const char* start) { return strncmp(text, start, strlen(start)) == 0; }

bool IsSharedMemory(const char* name) {
  return StartsWith(name, "/memfd:") || StartsWith(name, "/dev/shm/") || StartsWith(name, "/dev/zero") ||
         StartsWith(name, "/SYSV") || StartsWith(name, "[anon_shmem:");
}

bool IsOurCode(const char* path) {
  const char* name = Basename(path);
  return StartsWith(name, "liballocline") || StartsWith(name, "libunwind.so") || StartsWith(name, "libunwind-x86_64");
}

// The largest of a kind, with their paths.
struct Largest {
  struct Entry {
    uint64_t bytes;
    Path path;
  };
  Entry entries[kTopOfAKind];

  void Add(const char* path, uint64_t bytes) {
    Entry* least = entries;
    for (Entry& entry : entries) {
      if (entry.bytes != 0 && strcmp(entry.path, path) == 0) {
        entry.bytes += bytes;
        return;
      }
      if (entry.bytes < least->bytes) least = &entry;
    }
    if (bytes <= least->bytes) return;
    least->bytes = bytes;
    CopyPath(least->path, path);
  }
};

// What was mapped from one place of the code.
struct Caller {
  uintptr_t address;
  uint64_t bytes;
  Path object;
};

struct Workspace {
  char text[16 << 10];
  uint64_t page_words[512];
  uint64_t top_page[512];
  MappingTable::Mapping mappings[MappingTable::kMostMappings];
  // From here on zeroed for each reading.
  Caller callers[kMostCallers];
  Largest files, shared, module_data, code;
  Path module;     // the file whose regions come now
  Path allocator;  // the object of Question::allocator
  uint64_t module_file_bytes, module_data_bytes, module_shared_bytes;
  alignas(8) char record[format::kLedgerSlotBytes];
};

// A file of /proc/self that is read in places.
class ProcFile {
 public:
  explicit ProcFile(const char* path) : fd_(sys::Open(path, O_RDONLY | O_CLOEXEC)) {}
  ~ProcFile() {
    if (!sys::IsError(fd_)) sys::Close(static_cast<int>(fd_));
  }
  ProcFile(const ProcFile&) = delete;
  ProcFile& operator=(const ProcFile&) = delete;
  // How many bytes were read.
  size_t ReadAt(uint64_t offset, void* into, size_t bytes) const {
    if (sys::IsError(fd_)) return 0;
    const long n = sys::Pread(static_cast<int>(fd_), into, bytes, offset);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }

 private:
  const long fd_;
};

class Reading {
 public:
  Reading(const Ledger::Question& question, const RecordingWriter& recording, Workspace* space)
      : question_(question),
        recording_(recording),
        space_(*space),
        record_(*reinterpret_cast<LedgerRecord*>(space->record)),
        memory_("/proc/self/mem"),
        page_map_("/proc/self/pagemap") {}

  const LedgerRecord& Run() {
    memset(static_cast<void*>(space_.callers), 0, sizeof space_ - offsetof(Workspace, callers));
    record_.monotonic_ns = MonotonicNow();
    record_.traced_bytes = question_.traced_bytes;
    record_.outside_heap_bytes = question_.outside_heap_bytes;
    record_.python_arena_bytes = question_.python_arena_bytes;
    record_.python_live_bytes = question_.python_live_bytes;
    if (question_.blocks == nullptr) record_.flags |= format::kLedgerWholeHeap;
    mapping_count_ = question_.mappings->CopyTo(space_.mappings);
    SortMappings();
    FindCallers();
    if (ReadRegions()) {
      EndModule();
      GiveToCallers();
      CountUntouched();
    } else {
      ReadSums();
    }
    if (question_.blocks == nullptr || (record_.flags & format::kLedgerNoRegions) != 0) {
      record_.free_page_bytes = format::kNotCounted;
    }
    ReadContainer();
    AppendItems();
    return record_;
  }

 private:
  // ---------------------------------------------------------------- regions

  bool ReadRegions() {
    SmapsReader reader(question_.smaps, space_.text, sizeof space_.text);
    SmapsRegion region{};
    bool any = false;
    while (reader.Next(&region)) {
      any = true;
      record_.rss_bytes += region.rss_bytes;
      record_.anonymous_bytes += region.anonymous_bytes;
      record_.swapped_bytes += region.swapped_bytes;
      Place(region);
      was_guard_ = !region.readable && !region.writable && !region.executable && region.inode == 0;
      end_before_ = region.end;
      bytes_before_ = region.bytes();
    }
    return any;
  }

  void Place(const SmapsRegion& region) {
    if (recording_.IsOurs(region.start)) {
      record_.own_recording_bytes += region.rss_bytes;
    } else if (region.inode != 0 || region.name[0] == '/') {
      PlaceFile(region);
    } else if (region.name[0] == '[' && !StartsWith(region.name, "[anon")) {
      PlaceNamed(region);
    } else if (region.rss_bytes != 0) {
      PlaceAnonymous(region);
    }
  }

  void PlaceFile(const SmapsRegion& region) {
    if (strncmp(space_.module, region.name, kPathBytes) != 0) {
      EndModule();
      CopyPath(space_.module, region.name);
    }
    module_end_ = region.end;
    if (region.executable) NameCallers(region);
    const uint64_t of_file =
        region.rss_bytes - (region.anonymous_bytes < region.rss_bytes ? region.anonymous_bytes : region.rss_bytes);
    if (IsOurCode(region.name)) {
      record_.own_code_bytes += region.rss_bytes;
    } else if (IsSharedMemory(region.name)) {
      record_.shared_bytes += region.rss_bytes;
      space_.module_shared_bytes += region.rss_bytes;
    } else {
      record_.file_bytes += of_file;
      record_.module_data_bytes += region.rss_bytes - of_file;
      space_.module_file_bytes += of_file;
      space_.module_data_bytes += region.rss_bytes - of_file;
    }
  }

  void EndModule() {
    if (space_.module_file_bytes != 0) space_.files.Add(space_.module, space_.module_file_bytes);
    if (space_.module_data_bytes != 0) space_.module_data.Add(space_.module, space_.module_data_bytes);
    if (space_.module_shared_bytes != 0) space_.shared.Add(space_.module, space_.module_shared_bytes);
    space_.module_file_bytes = space_.module_data_bytes = space_.module_shared_bytes = 0;
    space_.module[0] = '\0';
  }

  void PlaceNamed(const SmapsRegion& region) {
    if (StartsWith(region.name, "[heap]")) {
      record_.heap_bytes += region.rss_bytes;
      record_.brk_bytes += region.rss_bytes;
      CountFreePages(region.start, region.end);
    } else if (StartsWith(region.name, "[stack")) {
      record_.stack_bytes += region.rss_bytes;
      ++record_.stacks;
    } else {
      record_.file_bytes += region.rss_bytes;  // of the kernel: [vdso] and its like
    }
  }

  void PlaceAnonymous(const SmapsRegion& region) {
    if (region.dont_dump && (region.no_huge_page || region.no_reserve)) {
      (region.random ? record_.own_map_bytes : record_.own_private_bytes) += region.rss_bytes;
      return;
    }
    const uint32_t first = FirstMappingBehind(region.start);
    const bool was_mapped_by_code = first < mapping_count_ && space_.mappings[first].start < region.end;
    if (!was_mapped_by_code && region.no_reserve && region.start % kArenaAlignment == 0) {
      record_.heap_bytes += region.rss_bytes;
      record_.arena_bytes += region.rss_bytes;
      ++record_.arenas;
      CountFreePages(region.start, region.end);
      return;
    }
    uintptr_t at = region.start;
    for (uint32_t i = first; i < mapping_count_ && space_.mappings[i].start < region.end; ++i) {
      const MappingTable::Mapping& mapping = space_.mappings[i];
      if (mapping.start > at) PlaceRest(region, at, mapping.start);
      const uintptr_t from = mapping.start > at ? mapping.start : at;
      const uintptr_t to = mapping.end < region.end ? mapping.end : region.end;
      PlaceMapping(mapping.caller, Resident(region, from, to));
      at = to;
    }
    if (at < region.end) PlaceRest(region, at, region.end);
  }

  // Of an anonymous region, a part that no code was seen to map.
  void PlaceRest(const SmapsRegion& region, uintptr_t from, uintptr_t to) {
    const uint64_t resident = Resident(region, from, to);
    if (from == module_end_ && region.writable) {
      if (IsOurCode(space_.module)) {
        record_.own_code_bytes += resident;
      } else {
        record_.module_data_bytes += resident;
        space_.module_data_bytes += resident;
      }
      return;
    }
    if (from == region.start && was_guard_ && end_before_ == from) {
      const uintptr_t end = EndOfStack(from, to);
      if (end != 0) {
        record_.stack_bytes += Resident(region, from, end);
        ++record_.stacks;
        if (end < to) PlaceUnknown(region, end, to, Resident(region, end, to));
        return;
      }
    }
    PlaceUnknown(region, from, to, resident);
  }

  void PlaceUnknown(const SmapsRegion& region, uintptr_t from, uintptr_t to, uint64_t resident) {
    if (question_.blocks == nullptr) {
      record_.heap_bytes += resident;
      return;
    }
    uint64_t of_blocks = 0;
    question_.blocks->ForEachElsewhereIn(from, to, [&](uintptr_t address, Block block) {
      // With the words that malloc keeps before it.
      const uintptr_t first = (address - 16) & ~(uintptr_t{kPage} - 1);
      const uintptr_t start = first > from ? first : from;
      const uintptr_t behind = address + RoundUpToPage(block.bytes + address % kPage) - address % kPage;
      const uintptr_t end = behind < to ? behind : to;
      if (end <= start) return;
      const uint64_t of_this = Resident(region, start, end);
      of_blocks += of_this;
      live_in_blocks_ += block.bytes;
      if (block.bytes > of_this) record_.untouched_bytes += block.bytes - of_this;
    });
    if (of_blocks > resident) of_blocks = resident;
    record_.heap_bytes += of_blocks;
    record_.block_bytes += of_blocks;
    record_.unknown_bytes += resident - of_blocks;
  }

  // glibc has a thread's descriptor at the top of the stack it made for it; the first and the third word of it are its
  // own address (tcbhead_t.tcb and .self). What lies above may be joined to the region: then the usual size tells where
  // the stack ends. 0: this is none.
  uintptr_t EndOfStack(uintptr_t start, uintptr_t end) {
#if defined(__x86_64__)
    if (usual_stack_bytes_ == 0) {
      rlimit64 limit{};
      sys::Call(SYS_prlimit64, 0, RLIMIT_STACK, 0, reinterpret_cast<long>(&limit));
      usual_stack_bytes_ = limit.rlim_cur < (uint64_t{1} << 40) ? RoundUpToPage(limit.rlim_cur) : 2 << 20;
    }
    for (const uintptr_t top : {end, start + usual_stack_bytes_, start + usual_stack_bytes_ - bytes_before_}) {
      if (top <= start || top > end || top % kPage != 0) continue;
      if (memory_.ReadAt(top - kPage, space_.top_page, kPage) != kPage) continue;
      constexpr size_t kWordsOfAlignment = 64 / sizeof(uint64_t);
      for (size_t i = 0; i + 2 < kPage / sizeof(uint64_t); i += kWordsOfAlignment) {
        const uint64_t address = top - kPage + i * sizeof(uint64_t);
        if (space_.top_page[i] == address && space_.top_page[i + 2] == address) return top;
      }
    }
#else
    (void)start, (void)end;
#endif
    return 0;
  }

  // ---------------------------------------------------------------- pages

  uint64_t Resident(const SmapsRegion& region, uintptr_t from, uintptr_t to) {
    if (from == region.start && to == region.end) return region.rss_bytes;
    if (region.rss_bytes >= region.bytes()) return to - from;
    if (region.rss_bytes == 0) return 0;
    const uint64_t counted = CountResident(from, to);
    return counted < region.rss_bytes ? counted : region.rss_bytes;
  }

  uint64_t CountResident(uintptr_t from, uintptr_t to) {
    uint64_t pages = 0;
    for (uintptr_t at = from; at < to;) {
      size_t count = (to - at) / kPage;
      if (count > sizeof space_.page_words / sizeof(uint64_t)) count = sizeof space_.page_words / sizeof(uint64_t);
      const size_t got = page_map_.ReadAt(at / kPage * sizeof(uint64_t), space_.page_words, count * sizeof(uint64_t));
      if (got < sizeof(uint64_t)) break;
      for (size_t i = 0; i < got / sizeof(uint64_t); ++i) pages += space_.page_words[i] >> 63;
      at += got / sizeof(uint64_t) * kPage;
    }
    return pages * kPage;
  }

  void CountFreePages(uintptr_t start, uintptr_t end) {
    if (question_.blocks == nullptr) return;
    question_.blocks->ForEachFreeRun(
        start, end,
        [this](uintptr_t address, uint64_t* word) {
          return memory_.ReadAt(address, word, sizeof *word) == sizeof *word;
        },
        [this](uintptr_t from, uintptr_t to) { record_.free_page_bytes += CountResident(from, to); });
  }

  // ---------------------------------------------------------------- who mapped

  void SortMappings() {
    for (uint32_t i = 1; i < mapping_count_; ++i) {
      const MappingTable::Mapping mapping = space_.mappings[i];
      uint32_t at = i;
      for (; at > 0 && space_.mappings[at - 1].start > mapping.start; --at)
        space_.mappings[at] = space_.mappings[at - 1];
      space_.mappings[at] = mapping;
    }
  }

  // The first that ends behind `address`.
  uint32_t FirstMappingBehind(uintptr_t address) const {
    uint32_t low = 0, high = mapping_count_;
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      if (space_.mappings[middle].end <= address) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void FindCallers() {
    for (uint32_t i = 0; i < mapping_count_; ++i) {
      const uintptr_t address = space_.mappings[i].caller;
      if (address == MappingTable::kTracedAllocator || CallerAt(address) != nullptr) continue;
      if (caller_count_ < kMostCallers) space_.callers[caller_count_++].address = address;
    }
  }

  Caller* CallerAt(uintptr_t address) {
    for (uint32_t i = 0; i < caller_count_; ++i) {
      if (space_.callers[i].address == address) return &space_.callers[i];
    }
    return nullptr;
  }

  void NameCallers(const SmapsRegion& code) {
    for (uint32_t i = 0; i < caller_count_; ++i) {
      Caller& caller = space_.callers[i];
      if (caller.address > code.start && caller.address <= code.end) CopyPath(caller.object, code.name);
    }
    if (question_.allocator >= code.start && question_.allocator < code.end) CopyPath(space_.allocator, code.name);
  }

  void PlaceMapping(uintptr_t caller_address, uint64_t resident) {
    Caller* const caller = CallerAt(caller_address);
    if (caller_address == MappingTable::kTracedAllocator) {
      record_.heap_bytes += resident;
    } else if (caller == nullptr) {
      record_.mapped_by_code_bytes += resident;
    } else {
      caller->bytes += resident;
    }
  }

  // Now that all code has been seen.
  void GiveToCallers() {
    for (uint32_t i = 0; i < caller_count_; ++i) {
      const Caller& caller = space_.callers[i];
      if (space_.allocator[0] != '\0' && strcmp(caller.object, space_.allocator) == 0) {
        record_.heap_bytes += caller.bytes;
      } else if (IsOurCode(caller.object)) {
        record_.own_private_bytes += caller.bytes;
      } else {
        record_.mapped_by_code_bytes += caller.bytes;
        if (caller.bytes != 0) space_.code.Add(caller.object, caller.bytes);
      }
    }
  }

  void CountUntouched() {
    // The block that is on its way stands in no map yet, and nobody has touched it.
    record_.untouched_bytes += question_.arriving_bytes;
    const uint64_t elsewhere = live_in_blocks_ + question_.arriving_bytes;
    const uint64_t live_in_heap = record_.traced_bytes > elsewhere ? record_.traced_bytes - elsewhere : 0;
    const uint64_t heap = record_.heap_bytes - record_.block_bytes;
    if (live_in_heap > heap) record_.untouched_bytes += live_in_heap - heap;
    if (record_.untouched_bytes > record_.traced_bytes) record_.untouched_bytes = record_.traced_bytes;
  }

  // ---------------------------------------------------------------- without regions

  // Of /proc/self/status: sums, of which ours are the part that we know ourselves.
  void ReadSums() {
    record_.flags |= format::kLedgerNoRegions;
    const ProcFile status("/proc/self/status");
    const size_t length = status.ReadAt(0, space_.text, sizeof space_.text - 1);
    space_.text[length] = '\0';
    record_.anonymous_bytes = Figure("\nRssAnon:");
    record_.file_bytes = Figure("\nRssFile:");
    record_.shared_bytes = Figure("\nRssShmem:");
    record_.swapped_bytes = Figure("\nVmSwap:");
    record_.rss_bytes = record_.anonymous_bytes + record_.file_bytes + record_.shared_bytes;
    uint64_t rest = record_.anonymous_bytes;
    const auto take = [&rest](uint64_t wanted) {
      const uint64_t taken = wanted < rest ? wanted : rest;
      rest -= taken;
      return taken;
    };
    record_.own_private_bytes = take(question_.own_private_bytes);
    record_.heap_bytes = take(record_.traced_bytes);
    record_.untouched_bytes = record_.traced_bytes - record_.heap_bytes;
    record_.unknown_bytes = rest;
  }

  uint64_t Figure(const char* key) const {
    const char* at = strstr(space_.text, key);
    if (at == nullptr) return 0;
    at += strlen(key);
    while (*at == ' ' || *at == '\t') ++at;
    uint64_t kilobytes = 0;
    for (; *at >= '0' && *at <= '9'; ++at) kilobytes = kilobytes * 10 + static_cast<uint64_t>(*at - '0');
    return kilobytes << 10;
  }

  // ---------------------------------------------------------------- the container, and the end

  void ReadContainer() {
    uint64_t mask[64] = {};  // 4096 processors
    const long mask_bytes = sys::Call(SYS_sched_getaffinity, 0, sizeof mask, reinterpret_cast<long>(mask));
    for (const uint64_t word : mask) record_.processors += static_cast<uint32_t>(__builtin_popcountl(word));
    if (sys::IsError(mask_bytes)) record_.processors = 1;
    const ContainerParts parts = ReadContainerParts(*question_.cgroup);
    record_.container_usage_bytes = parts.memory.usage_bytes;
    record_.container_limit_bytes = parts.memory.limit_bytes;
    if (!parts.found) record_.flags |= format::kLedgerNoContainer;
    record_.container_anonymous_bytes = parts.anonymous_bytes;
    record_.container_file_bytes = parts.file_bytes;
    record_.container_shared_bytes = parts.shared_bytes;
    record_.container_kernel_bytes = parts.kernel_bytes;
  }

  void AppendItems() {
    char* out = space_.record + sizeof(LedgerRecord);
    const struct {
      LedgerItemKind kind;
      const Largest& largest;
    } kinds[] = {{LedgerItemKind::kMappedByCode, space_.code},
                 {LedgerItemKind::kModuleData, space_.module_data},
                 {LedgerItemKind::kFile, space_.files},
                 {LedgerItemKind::kShared, space_.shared}};
    for (const auto& kind : kinds) {
      // The largest first.
      bool taken[kTopOfAKind] = {};
      for (;;) {
        uint32_t next = kTopOfAKind;
        for (uint32_t i = 0; i < kTopOfAKind; ++i) {
          const uint64_t bytes = kind.largest.entries[i].bytes;
          if (!taken[i] && bytes != 0 && (next == kTopOfAKind || bytes > kind.largest.entries[next].bytes)) next = i;
        }
        if (next == kTopOfAKind) break;
        taken[next] = true;
        const Largest::Entry& entry = kind.largest.entries[next];
        const size_t path_bytes = strlen(entry.path);
        const LedgerItem item = {.kind = static_cast<uint32_t>(kind.kind),
                                 .path_bytes = static_cast<uint32_t>(path_bytes),
                                 .bytes = entry.bytes};
        memcpy(out, &item, sizeof item);
        memcpy(out + sizeof item, entry.path, path_bytes);
        out += (sizeof item + path_bytes + 7) & ~size_t{7};
        ++record_.item_count;
      }
    }
    record_.record_bytes = static_cast<uint32_t>(out - space_.record);
  }

  const Ledger::Question& question_;
  const RecordingWriter& recording_;
  Workspace& space_;
  LedgerRecord& record_;
  const ProcFile memory_, page_map_;
  uint32_t mapping_count_ = 0, caller_count_ = 0;
  uintptr_t module_end_ = 0;  // of the file's region that came last
  bool was_guard_ = false;    // the region before: it cannot be touched
  uintptr_t end_before_ = 0;
  uint64_t bytes_before_ = 0;
  uint64_t usual_stack_bytes_ = 0;
  uint64_t live_in_blocks_ = 0;  // as requested, of blocks that malloc mapped by themselves
};

}  // namespace

void Ledger::InitAfterFork() {
  last_ = nullptr;
  sequence_ = 0;
}

bool Ledger::Read(const Question& question) {
  if (workspace_ == nullptr) workspace_ = MapPages(RoundUpToPage(sizeof(Workspace)));
  if (workspace_ == nullptr) return false;
  if (sequence_ == 0 && recording_->Reserve(TableKind::kLedger, 2 * format::kLedgerSlotBytes) == nullptr) return false;
  Reading reading(question, *recording_, static_cast<Workspace*>(workspace_));
  const LedgerRecord& record = reading.Run();
  ++sequence_;
  auto* const slot =
      reinterpret_cast<LedgerRecord*>(recording_->base(TableKind::kLedger) + sequence_ % 2 * format::kLedgerSlotBytes);
  StoreRelaxed(slot->sequence, uint64_t{0});
  // Before anything of the record changes. Pairs with the reader, which looks at the sequence before and after.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  memcpy(reinterpret_cast<char*>(slot) + sizeof slot->sequence,
         reinterpret_cast<const char*>(&record) + sizeof slot->sequence, record.record_bytes - sizeof slot->sequence);
  StoreRelease(slot->sequence, sequence_);
  last_ = slot;
  return true;
}

uint64_t Ledger::private_bytes() const { return workspace_ == nullptr ? 0 : RoundUpToPage(sizeof(Workspace)); }

}  // namespace allocline
