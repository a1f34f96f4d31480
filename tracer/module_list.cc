#include "tracer/module_list.h"

#include <link.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/pages.h"
#include "tracer/loaded_object.h"

namespace allocline {

using format::ModuleRecord;
using format::Segment;

void ModuleList::Init(RecordingWriter* recording, const char* executable, void (*on_new_object)(const link_map*)) {
  recording_ = recording;
  executable_ = executable;
  on_new_object_ = on_new_object;
  entries_ = static_cast<Entry*>(MapPages((kMaxModules + 1) * sizeof(Entry)));  // and one to fill in
}

// The records were copied with the table, at the same addresses. What follows the last of them the parent's other
// threads registered since, or were about to: a record without a size would hide all that come after it.
void ModuleList::InitAfterFork() {
  lock_.Reset();
  unloads_.fetch_and(kAny, std::memory_order_relaxed);  // other threads' are not under way here
  uint64_t end = 0;
  for (uint32_t i = 0; i < count_.load(std::memory_order_relaxed); ++i) {
    const Entry& entry = entries_[i];
    const bool unloaded = entry.unloaded.load(std::memory_order_relaxed);
    if (unloaded != (entry.record->unloaded_ns != 0))
      StoreRelaxed(entry.record->unloaded_ns, unloaded ? MonotonicNow() : 0);
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
    // Acquire: of one that has come back the link_map is seen. Pairs with the release in RegisterLocked().
    if (pc - entry.start < entry.end - entry.start && !entry.unloaded.load(std::memory_order_acquire)) return &entry;
  }
  return nullptr;
}

format::Frame ModuleList::FrameAfterUnload(uintptr_t pc, bool* reused) {
  const Entry* entry = FindMapped(pc);
  LoadedObject object;
  const bool is_sure = unloads_.load(std::memory_order_relaxed) < kUnderWay;
  if (entry == nullptr || (!is_sure && FindObject(pc, &object) && !IsOf(object, *entry))) {
    Register(pc, reused);
    entry = FindMapped(pc);
  }
  const uint64_t of_no_module = IsWhereCodeWasUnloaded(pc) ? format::kNoGeneration : 0;
  const uint64_t generation = entry == nullptr ? of_no_module : entry->generation;
  return (pc & format::kAddressMask) | generation << format::kGenerationShift;
}

void ModuleList::Note(uintptr_t pc, bool* reused) {
  const Entry* entry = FindMapped(pc);
  LoadedObject object;
  if (entry != nullptr && FindObject(pc, &object) && IsOf(object, *entry)) return;
  Register(pc, reused);
}

bool ModuleList::IsOfWhatIsLoaded(format::Frame frame, uintptr_t pc) const {
  if (format::GenerationOf(frame) == format::kNoGeneration) return true;
  LoadedObject object;
  const bool is_loaded = FindObject(pc, &object);
  for (uint32_t i = count_.load(std::memory_order_acquire); i-- > 0;) {
    const Entry& entry = entries_[i];
    if (pc - entry.start >= entry.end - entry.start || entry.generation != format::GenerationOf(frame)) continue;
    return is_loaded && IsOf(object, entry);
  }
  return !is_loaded;
}

void ModuleList::Register(uintptr_t pc, bool* reused) {
  const link_map* added = RegisterLocked(pc, reused);
  if (added != nullptr && on_new_object_ != nullptr) on_new_object_(added);
}

// Gives the object if it was not known.
const link_map* ModuleList::RegisterLocked(uintptr_t pc, bool* reused) {
  LoadedObject object;
  if (entries_ == nullptr || !FindObject(pc, &object)) return nullptr;  // code of no object: a JIT's
  SpinLockHolder lock(lock_);
  if (!lock.held()) return nullptr;
  const uint32_t n = count_.load(std::memory_order_relaxed);
  Entry& entry = entries_[n];  // nobody looks at it yet
  entry.start = object.start;
  entry.end = object.end;
  entry.load_bias = object.map->l_addr;
  entry.link_map = object.map;
  entry.generation = 0;
  entry.unloaded.store(false, std::memory_order_relaxed);
  bool was_used = false;
  for (uint32_t i = 0; i < n; ++i) {
    Entry& other = entries_[i];
    if (!other.Overlaps(entry)) continue;
    if (!other.unloaded.load(std::memory_order_relaxed)) {
      if (IsOf(object, other)) return nullptr;  // another thread was faster
      MarkUnloaded(other);
    }
    if (other.generation >= entry.generation) entry.generation = other.generation + 1;
    was_used = true;
  }
  Entry* returned = was_used ? FindReturned(object) : nullptr;
  if (returned == nullptr || entry.generation > 1) *reused = *reused || was_used;
  if (returned != nullptr) {
    returned->link_map = entry.link_map;
    StoreRelaxed(returned->record->unloaded_ns, uint64_t{0});
    returned->unloaded.store(false, std::memory_order_release);
    return nullptr;
  }
  if (n == kMaxModules || entry.generation >= format::kNoGeneration) {
    recording_->CountDrop(format::DropReason::kRecordingFull, 0);
    return nullptr;
  }
  const char* path = object.map->l_name;
  if (path == nullptr || path[0] == '\0') path = executable_;
  entry.headers_hash = HashOfHeaders(object);
  if (!WriteRecord(entry, path)) return nullptr;
  if (entry.generation != 0) AskForGenerationIn(entry);  // it may reach beyond what was unloaded
  // Release: whoever sees the new count sees the entry. Pairs with the acquire in FindMapped().
  count_.store(n + 1, std::memory_order_release);
  return object.map;
}

// Whether the object the loader has there is the one that was recorded. Its link_map alone does not tell: the next
// object's may come to lie where that of the last one lay.
bool ModuleList::IsOf(const LoadedObject& object, const Entry& entry) {
  return object.map == entry.link_map && IsSameFile(object, entry);
}

// By the build id, else by its path and headers; and by the place where it is mapped.
bool ModuleList::IsSameFile(const LoadedObject& object, const Entry& entry) {
  if (object.start != entry.start || object.end != entry.end || object.map->l_addr != entry.load_bias) return false;
  ElfImage image{};
  const uint8_t* build_id = nullptr;
  const size_t build_id_bytes = ReadImage(object, &image) ? FindBuildId(object, image, &build_id) : 0;
  const ModuleRecord& record = *entry.record;
  if (build_id_bytes != record.build_id_bytes) return false;
  const auto* tail =
      reinterpret_cast<const char*>(reinterpret_cast<const Segment*>(&record + 1) + record.segment_count);
  if (build_id_bytes != 0) return memcmp(tail, build_id, build_id_bytes) == 0;
  const char* path =
      object.map->l_name;  // recorded with a directory in front if it is relative, or as the executable's
  if (path == nullptr || path[0] == '\0') return true;
  const size_t bytes = strlen(path);
  return bytes <= record.path_bytes && memcmp(tail + record.path_bytes - bytes, path, bytes) == 0 &&
         HashOfHeaders(object) == entry.headers_hash;
}

// The unloaded entry of the very object that is there now: it has come back.
ModuleList::Entry* ModuleList::FindReturned(const LoadedObject& object) {
  for (uint32_t i = 0; i < count_.load(std::memory_order_relaxed); ++i) {
    Entry& entry = entries_[i];
    if (entry.unloaded.load(std::memory_order_relaxed) && IsSameFile(object, entry)) return &entry;
  }
  return nullptr;
}

// Under the lock.
void ModuleList::MarkUnloaded(Entry& entry) {
  StoreRelaxed(entry.record->unloaded_ns, MonotonicNow());
  entry.unloaded.store(true, std::memory_order_relaxed);
  AskForGenerationIn(entry);
  // Release: who sees the flag sees the range. Pairs with the acquire in FrameOf().
  unloads_.fetch_or(kAny, std::memory_order_release);
}

// Under the lock.
void ModuleList::AskForGenerationIn(const Entry& entry) {
  if (entry.start < unloaded_start_.load(std::memory_order_relaxed)) {
    unloaded_start_.store(entry.start, std::memory_order_relaxed);
  }
  if (entry.end > unloaded_end_.load(std::memory_order_relaxed)) {
    unloaded_end_.store(entry.end, std::memory_order_relaxed);
  }
}

bool ModuleList::WriteRecord(Entry& entry, const char* path) {
  const LoadedObject object = {entry.start, entry.end, static_cast<const link_map*>(entry.link_map)};
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
    LoadedObject object;
    // Only what the loader says: the object may be going while we look.
    if (FindObject(entry.start, &object) && object.map == entry.link_map && object.start == entry.start) continue;
    MarkUnloaded(entry);
    any = true;
  }
  return any;
}

}  // namespace allocline
