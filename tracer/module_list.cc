#include "tracer/module_list.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/pages.h"

namespace allocline {
namespace {

using format::ModuleRecord;
using format::Segment;

struct FoundObject {
  uintptr_t start, end;
  const link_map* map;
};

bool FindObject(uintptr_t pc, FoundObject* out) {
  dl_find_object found;
  if (_dl_find_object(reinterpret_cast<void*>(pc), &found) != 0) return false;
  out->start = reinterpret_cast<uintptr_t>(found.dlfo_map_start);
  out->end = reinterpret_cast<uintptr_t>(found.dlfo_map_end);
  out->map = found.dlfo_link_map;
  return out->map != nullptr;
}

struct ElfImage {
  const ElfW(Ehdr) * header;
  const ElfW(Phdr) * segments;
};

// The ELF header lies at the start of the first mapped segment, in every object that linkers make. Checked, as far as
// that can be done without the risk of reading what is not mapped.
bool ReadImage(const FoundObject& object, ElfImage* image) {
  if (object.end - object.start < sizeof(ElfW(Ehdr))) return false;
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(object.start);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phentsize != sizeof(ElfW(Phdr))) return false;
  const uint64_t table_end = header->e_phoff + uint64_t{header->e_phnum} * sizeof(ElfW(Phdr));
  if (table_end > kPage && table_end > object.end - object.start) return false;
  *image = {header, reinterpret_cast<const ElfW(Phdr)*>(object.start + header->e_phoff)};
  return true;
}

// The NT_GNU_BUILD_ID note. Gives its length, 0 if there is none.
size_t FindBuildId(const FoundObject& object, const ElfImage& image, const uint8_t** id) {
  for (int i = 0; i < image.header->e_phnum; ++i) {
    const ElfW(Phdr)& segment = image.segments[i];
    if (segment.p_type != PT_NOTE) continue;
    const uintptr_t begin = object.map->l_addr + segment.p_vaddr;
    const uintptr_t end = begin + segment.p_memsz;
    if (begin < object.start || end > object.end) continue;
    const uintptr_t align = segment.p_align == 8 ? 8 : 4;
    for (uintptr_t p = begin; p + sizeof(ElfW(Nhdr)) <= end;) {
      const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(p);
      const uintptr_t name = p + sizeof(*note);
      const uintptr_t description = name + ((note->n_namesz + align - 1) & ~(align - 1));
      if (description > end || note->n_descsz > end - description) break;
      if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
          memcmp(reinterpret_cast<const void*>(name), "GNU", 4) == 0 && note->n_descsz <= 64) {
        *id = reinterpret_cast<const uint8_t*>(description);
        return note->n_descsz;
      }
      p = description + ((note->n_descsz + align - 1) & ~(align - 1));
    }
  }
  return 0;
}

}  // namespace

void ModuleList::Init(RecordingWriter* recording, const char* executable) {
  recording_ = recording;
  executable_ = executable;
  entries_ = static_cast<Entry*>(MapPages(kMaxModules * sizeof(Entry)));
}

// The records were copied with the table, at the same addresses. What follows the last of them the parent's other
// threads registered since, or were about to: a record without a size would hide all that come after it.
void ModuleList::InitAfterFork() {
  lock_.Reset();
  uint64_t end = 0;
  for (uint32_t i = 0; i < count_.load(std::memory_order_relaxed); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.unloaded.load(std::memory_order_relaxed)) StoreRelaxed(entry.record->unloaded_ns, uint64_t{0});
    end = static_cast<uint64_t>(reinterpret_cast<std::byte*>(entry.record) -
                                recording_->base(format::TableKind::kModules)) +
          entry.record->record_bytes;
  }
  recording_->Truncate(format::TableKind::kModules, end);
}

uint64_t ModuleList::private_bytes() const { return count_.load(std::memory_order_relaxed) * sizeof(Entry); }

ModuleList::Entry* ModuleList::FindMapped(uintptr_t pc) const {
  // Newest first: what was loaded last is asked for most.
  for (uint32_t i = count_.load(std::memory_order_acquire); i-- > 0;) {
    Entry& entry = entries_[i];
    if (pc - entry.start < entry.end - entry.start && !entry.unloaded.load(std::memory_order_relaxed)) return &entry;
  }
  return nullptr;
}

const ModuleList::Entry* ModuleList::FindNewest(uintptr_t pc) const {
  for (uint32_t i = count_.load(std::memory_order_acquire); i-- > 0;) {
    if (pc - entries_[i].start < entries_[i].end - entries_[i].start) return &entries_[i];
  }
  return nullptr;
}

format::Frame ModuleList::FrameAfterUnload(uintptr_t pc, bool* reused) {
  const Entry* entry = FindNewest(pc);
  if (entry == nullptr) return pc & format::kAddressMask;
  if (entry->unloaded.load(std::memory_order_acquire)) {
    // Nothing known is mapped here, yet code runs here: another object has come.
    if (Register(pc)) entry = FindNewest(pc);
    *reused = true;
  }
  const uint64_t generation = entry->generation & format::kGenerationMask;
  return (pc & format::kAddressMask) | generation << format::kGenerationShift;
}

void ModuleList::Note(uintptr_t pc) {
  if (FindMapped(pc) == nullptr) Register(pc);
}

bool ModuleList::Register(uintptr_t pc) {
  FoundObject object;
  if (entries_ == nullptr || !FindObject(pc, &object)) return false;  // code of no object: a JIT's
  SpinLockHolder lock(lock_);
  if (!lock.held()) return false;
  if (FindMapped(pc) != nullptr) return true;
  const uint32_t n = count_.load(std::memory_order_relaxed);
  if (n == kMaxModules) return false;
  Entry& entry = entries_[n];
  entry.start = object.start;
  entry.end = object.end;
  entry.load_bias = object.map->l_addr;
  entry.link_map = object.map;
  entry.generation = 0;
  for (uint32_t i = 0; i < n; ++i) {
    const bool overlaps = entries_[i].start < entry.end && entry.start < entries_[i].end;
    if (overlaps && entries_[i].generation >= entry.generation) entry.generation = entries_[i].generation + 1;
  }
  const char* path = object.map->l_name;
  if (path == nullptr || path[0] == '\0') path = executable_;
  if (!WriteRecord(entry, path)) return false;
  // Release: whoever sees the new count sees the entry. Pairs with the acquires in Find*().
  count_.store(n + 1, std::memory_order_release);
  return true;
}

bool ModuleList::WriteRecord(Entry& entry, const char* path) {
  const FoundObject object = {entry.start, entry.end, static_cast<const link_map*>(entry.link_map)};
  ElfImage image{};
  const uint8_t* build_id = nullptr;
  size_t build_id_bytes = 0;
  uint16_t segments = 0;
  if (ReadImage(object, &image)) {
    build_id_bytes = FindBuildId(object, image, &build_id);
    for (int i = 0; i < image.header->e_phnum; ++i) {
      segments += image.segments[i].p_type == PT_LOAD && (image.segments[i].p_flags & PF_X) != 0;
    }
  }
  char directory[1024] = "";  // the loader may name an object by a relative path
  size_t directory_bytes = 0;
  if (path[0] != '/' && strncmp(path, "linux-vdso", 10) != 0) {
    const long n = sys::Call(SYS_getcwd, reinterpret_cast<long>(directory), sizeof directory - 1);
    if (n > 1) {
      directory_bytes = static_cast<size_t>(n);
      directory[directory_bytes - 1] = '/';
    }
  }
  const size_t path_bytes = strlen(path);
  const uint64_t bytes =
      (sizeof(ModuleRecord) + segments * sizeof(Segment) + build_id_bytes + directory_bytes + path_bytes + 7) &
      ~uint64_t{7};
  auto* record = static_cast<ModuleRecord*>(recording_->Reserve(format::TableKind::kModules, bytes));
  if (record == nullptr) return false;
  record->generation = entry.generation;
  record->start = entry.start;
  record->end = entry.end;
  record->load_bias = entry.load_bias;
  record->loaded_ns = MonotonicNow();
  record->segment_count = segments;
  record->build_id_bytes = static_cast<uint16_t>(build_id_bytes);
  record->path_bytes = static_cast<uint32_t>(directory_bytes + path_bytes);
  auto* out = reinterpret_cast<Segment*>(record + 1);
  for (int i = 0; segments != 0 && i < image.header->e_phnum; ++i) {
    const ElfW(Phdr)& segment = image.segments[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    *out++ = {segment.p_vaddr, segment.p_memsz, segment.p_offset};
  }
  auto* tail = reinterpret_cast<char*>(out);
  if (build_id_bytes != 0) memcpy(tail, build_id, build_id_bytes);
  memcpy(tail + build_id_bytes, directory, directory_bytes);
  memcpy(tail + build_id_bytes + directory_bytes, path, path_bytes);
  StoreRelease(record->record_bytes, bytes);
  entry.record = record;
  return true;
}

bool ModuleList::NoteUnload() {
  SpinLockHolder lock(lock_);
  if (!lock.held()) return false;
  bool any = false;
  const uint32_t n = count_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < n; ++i) {
    Entry& entry = entries_[i];
    if (entry.unloaded.load(std::memory_order_relaxed)) continue;
    FoundObject object;
    if (FindObject(entry.start, &object) && object.map == entry.link_map && object.start == entry.start) continue;
    StoreRelaxed(entry.record->unloaded_ns, MonotonicNow());
    entry.unloaded.store(true, std::memory_order_release);
    any = true;
  }
  if (any) any_unloaded_.store(true, std::memory_order_release);
  return any;
}

}  // namespace allocline
