#include "tracer/python_codes.h"

#include <string.h>

#include "base/atomic.h"
#include "base/pages.h"

namespace allocline {
namespace {

constexpr uint64_t kFirstCapacity = 1024;
constexpr uint64_t kLongestName = 4096;  // characters of a file name or a qualified name that are kept
constexpr uint64_t kLongestLineTable = 16 << 20;

template <typename T>
T Read(uintptr_t object, uint16_t offset) {
  T value;
  memcpy(&value, reinterpret_cast<const void*>(object + offset), sizeof value);
  return value;
}

// A str, as it lies in memory. Of one that is not compact, as PyUnicode_FromUnicode() made them up to 3.11, nothing.
class Characters {
 public:
  Characters(const PythonLayout& layout, uintptr_t str) {
    if (str == 0) return;
    const auto state = Read<uint32_t>(str, layout.str_state);
    const bool is_compact = (state >> 5 & 1) != 0;
    const bool is_ascii = (state >> 6 & 1) != 0;
    width_ = state >> 2 & 7;
    if (!is_compact || (width_ != 1 && width_ != 2 && width_ != 4)) return;
    count_ = Read<uint64_t>(str, layout.str_length);
    if (count_ > kLongestName) count_ = kLongestName;
    data_ = reinterpret_cast<const uint8_t*>(str) + (is_ascii ? layout.str_ascii : layout.str_compact);
  }
  uint64_t Utf8Bytes() const {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < count_; ++i) bytes += LengthOf(At(i));
    return bytes;
  }
  // Surrogates, which stand for bytes of a file name that are not UTF-8, are written as they are: a report escapes
  // them.
  char* WriteUtf8(char* out) const {
    for (uint64_t i = 0; i < count_; ++i) {
      const uint32_t c = At(i);
      const int length = LengthOf(c);
      if (length == 1) {
        *out++ = static_cast<char>(c);
        continue;
      }
      constexpr uint8_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
      *out++ = static_cast<char>(kLead[length] | c >> (6 * (length - 1)));
      for (int shift = 6 * (length - 2); shift >= 0; shift -= 6) *out++ = static_cast<char>(0x80 | (c >> shift & 0x3f));
    }
    return out;
  }

 private:
  static int LengthOf(uint32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }
  uint32_t At(uint64_t i) const {
    if (width_ == 1) return data_[i];
    if (width_ == 2) return reinterpret_cast<const uint16_t*>(data_)[i];
    return reinterpret_cast<const uint32_t*>(data_)[i] & 0x1fffff;
  }

  const uint8_t* data_ = nullptr;
  uint64_t count_ = 0;
  uint32_t width_ = 0;
};

// FNV-1a, over words.
uint64_t HashOf(const format::CodeRecord* record) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (uint32_t i = 0; i < record->record_bytes / 8; ++i) {
    hash = (hash ^ reinterpret_cast<const uint64_t*>(record)[i]) * 0x100000001b3u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

// Of what tells two codes apart without looking at what they point to.
uint32_t PythonCodes::Fingerprint(const PythonLayout& layout, uintptr_t code) {
  uint64_t hash = Read<uint64_t>(code, layout.co_filename) * 0x9E3779B97F4A7C15u;
  hash = (hash ^ Read<uint64_t>(code, layout.co_name)) * 0xD6E8FEB86659FD93u;
  hash = (hash ^ Read<uint64_t>(code, layout.co_line_table)) * 0xA0761D6478BD642Fu;
  hash = (hash ^ Read<uint32_t>(code, layout.co_first_line)) * 0x9E3779B97F4A7C15u;
  return static_cast<uint32_t>(hash >> 32);
}

PythonCodes::Slot* PythonCodes::Find(uintptr_t address) const {
  // Acquire: pairs with the release in MakeRoom().
  Table* table = table_.load(std::memory_order_acquire);
  if (table == nullptr) return nullptr;
  for (uint64_t i = SlotOf(*table, address);; i = (i + 1) & (table->capacity - 1)) {
    Slot& slot = table->slots[i];
    const uintptr_t present = slot.address.load(std::memory_order_acquire);
    if (present == address) return &slot;
    if (present == 0) return nullptr;
  }
}

uint64_t PythonCodes::IdOf(const PythonLayout& layout, uintptr_t code, bool* is_new) {
  const uint32_t fingerprint = Fingerprint(layout, code);
  if (const Slot* slot = Find(code)) {
    const uint32_t id = slot->id.load(std::memory_order_relaxed);
    if (id < kBlock && slot->fingerprint.load(std::memory_order_relaxed) == fingerprint) return id;
  }
  return Intern(layout, code, fingerprint, is_new);
}

uint64_t PythonCodes::Intern(const PythonLayout& layout, uintptr_t code, uint32_t fingerprint, bool* is_new) {
  const SpinLockHolder lock(lock_);
  if (!lock.held()) return kNoCode;  // in a fault inside it: the frame is left out
  Slot* slot = Find(code);
  const uint32_t present = slot == nullptr ? kNoId : slot->id.load(std::memory_order_relaxed);
  if (present != kNoId) {
    if (present != kBlock && slot->fingerprint.load(std::memory_order_relaxed) == fingerprint) return present;
    VoidWhatIsKept();  // another code: a death was missed
  }
  if (slot == nullptr && !MakeRoom()) return kNoCode;
  const uint64_t id = RecordOf(layout, code);
  if (id == kNoCode) return kNoCode;
  *is_new = true;
  Put(code, static_cast<uint32_t>(id), fingerprint);
  return id;
}

void PythonCodes::LiesIn(uintptr_t block, uintptr_t code) {
  const SpinLockHolder lock(lock_);
  if (lock.held() && (Find(block) != nullptr || MakeRoom())) Put(block, kBlock, static_cast<uint32_t>(code - block));
}

// Under the lock; there is room.
void PythonCodes::Put(uintptr_t address, uint32_t id, uint32_t fingerprint) {
  Slot* slot = Find(address);
  if (slot == nullptr) {
    Table* table = table_.load(std::memory_order_relaxed);
    uint64_t i = SlotOf(*table, address);
    while (table->slots[i].address.load(std::memory_order_relaxed) != 0) i = (i + 1) & (table->capacity - 1);
    slot = &table->slots[i];
    ++table->filled;
  }
  slot->id.store(id, std::memory_order_relaxed);
  slot->fingerprint.store(fingerprint, std::memory_order_relaxed);
  // Release: pairs with the acquire in Find().
  slot->address.store(address, std::memory_order_release);
}

// A record is in the table before its number is here, so the child took it over with the table: that was read later.
// But the memory of a process is not copied in one instant, and other threads run on meanwhile. What is here may be
// newer than what the writer knew of the table's size, by which it was cut; the number would soon be another code's.
void PythonCodes::InitAfterFork() {
  lock_.Reset();
  Table* table = table_.load(std::memory_order_relaxed);
  if (table == nullptr) return;
  const uint64_t end = recording_->used(format::TableKind::kCodes) / format::kCodeIdBytes;
  for (uint64_t i = 0; i < table->capacity; ++i) {
    std::atomic<uint32_t>& id = table->slots[i].id;
    const uint32_t known = id.load(std::memory_order_relaxed);
    if (known < kBlock && known >= end) id.store(kNoId, std::memory_order_relaxed);
  }
  for (uint64_t i = 0; i < content_capacity_; ++i) {
    if (contents_[i].id_plus_one <= end) continue;
    memset(contents_, 0, content_capacity_ * sizeof(Content));  // costs a record twice
    content_count_ = 0;
    break;
  }
}

bool PythonCodes::Forget(uintptr_t address) {
  if (!Knows(address)) return false;
  const SpinLockHolder lock(lock_);
  Slot* slot = lock.held() ? Find(address) : nullptr;
  if (slot == nullptr) return false;
  if (slot->id.load(std::memory_order_relaxed) == kBlock) {
    Slot* inside = Find(address + slot->fingerprint.load(std::memory_order_relaxed));
    if (inside != nullptr) inside->id.store(kNoId, std::memory_order_relaxed);
  }
  slot->id.store(kNoId, std::memory_order_relaxed);
  VoidWhatIsKept();
  return true;
}

// For one more slot. Under the lock. An outgrown table stays mapped, for others may be looking into it.
bool PythonCodes::MakeRoom() {
  Table* table = table_.load(std::memory_order_relaxed);
  if (table != nullptr && table->filled < table->capacity / 2) return true;
  const uint64_t capacity = table == nullptr ? kFirstCapacity : table->capacity * 2;
  const size_t bytes = RoundUpToPage(sizeof(Table) + capacity * sizeof(Slot));
  auto* larger = static_cast<Table*>(MapPages(bytes));
  if (larger == nullptr) return table != nullptr && table->filled + 1 < table->capacity;
  larger->capacity = capacity;
  for (uint64_t i = 0; table != nullptr && i < table->capacity; ++i) {
    const Slot& from = table->slots[i];
    const uintptr_t address = from.address.load(std::memory_order_relaxed);
    const uint32_t id = from.id.load(std::memory_order_relaxed);
    if (address == 0 || id == kNoId) continue;
    uint64_t to = SlotOf(*larger, address);
    while (larger->slots[to].address.load(std::memory_order_relaxed) != 0) to = (to + 1) & (capacity - 1);
    larger->slots[to].id.store(id, std::memory_order_relaxed);
    larger->slots[to].fingerprint.store(from.fingerprint.load(std::memory_order_relaxed), std::memory_order_relaxed);
    larger->slots[to].address.store(address, std::memory_order_relaxed);
    ++larger->filled;
  }
  private_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  table_.store(larger, std::memory_order_release);
  return true;
}

// ---------------------------------------------------------------- records. All under the lock

// The record of a code, as it is to be written, in `scratch_`. Null if there is no memory for it.
const format::CodeRecord* PythonCodes::Describe(const PythonLayout& layout, uintptr_t code) {
  const Characters file(layout, Read<uintptr_t>(code, layout.co_filename));
  const Characters name(layout, Read<uintptr_t>(code, layout.co_name));
  const auto line_table = Read<uintptr_t>(code, layout.co_line_table);
  uint64_t line_table_bytes = line_table == 0 ? 0 : Read<uint64_t>(line_table, layout.bytes_size);
  // An empty one is a table, too: up to 3.9 that of a code all on its first line.
  const bool has_lines = line_table != 0 && line_table_bytes <= kLongestLineTable;
  if (!has_lines) line_table_bytes = 0;
  const uint64_t file_bytes = file.Utf8Bytes(), name_bytes = name.Utf8Bytes();
  const uint64_t bytes = (sizeof(format::CodeRecord) + file_bytes + name_bytes + line_table_bytes + 7) & ~uint64_t{7};
  if (bytes > scratch_bytes_) {
    auto* larger = static_cast<std::byte*>(MapPages(RoundUpToPage(2 * bytes)));
    if (larger == nullptr) return nullptr;
    private_bytes_.fetch_add(RoundUpToPage(2 * bytes) - scratch_bytes_, std::memory_order_relaxed);
    std::byte* const outgrown = scratch_;
    const uint64_t outgrown_bytes = scratch_bytes_;
    scratch_bytes_ = 0;  // another thread may fork at any time: what its child finds is mapped
    StoreRelease(scratch_, larger);
    StoreRelease(scratch_bytes_, RoundUpToPage(2 * bytes));
    if (outgrown != nullptr) UnmapPages(outgrown, outgrown_bytes);
  }
  auto* record = reinterpret_cast<format::CodeRecord*>(scratch_);
  record->record_bytes = static_cast<uint32_t>(bytes);
  record->first_line = Read<int32_t>(code, layout.co_first_line);
  record->line_table_kind = static_cast<uint32_t>(has_lines ? layout.line_table_kind : format::LineTableKind::kNone);
  record->file_bytes = static_cast<uint32_t>(file_bytes);
  record->name_bytes = static_cast<uint32_t>(name_bytes);
  record->line_table_bytes = static_cast<uint32_t>(line_table_bytes);
  char* out = name.WriteUtf8(file.WriteUtf8(reinterpret_cast<char*>(record + 1)));
  if (line_table_bytes != 0) {
    memcpy(out, reinterpret_cast<const void*>(line_table + layout.bytes_data), line_table_bytes);
    out += line_table_bytes;
  }
  memset(out, 0, bytes - static_cast<uint64_t>(out - reinterpret_cast<char*>(record)));
  return record;
}

uint64_t PythonCodes::RecordOf(const PythonLayout& layout, uintptr_t code) {
  const format::CodeRecord* wanted = Describe(layout, code);
  if (wanted == nullptr || !MakeRoomForContent()) return kNoCode;
  const uint64_t hash = HashOf(wanted);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  const std::byte* base = recording_->base(format::TableKind::kCodes);
  uint64_t i = hash & (content_capacity_ - 1);
  for (; contents_[i].id_plus_one != 0; i = (i + 1) & (content_capacity_ - 1)) {
    if (contents_[i].hash != tag) continue;
    const uint64_t id = contents_[i].id_plus_one - 1;
    const auto* record = reinterpret_cast<const format::CodeRecord*>(base + id * 8);
    if (record->record_bytes == wanted->record_bytes && memcmp(record, wanted, wanted->record_bytes) == 0) return id;
  }
  auto* record = static_cast<format::CodeRecord*>(recording_->Reserve(format::TableKind::kCodes, wanted->record_bytes));
  if (record == nullptr) return kNoCode;
  memcpy(&record->first_line, &wanted->first_line, wanted->record_bytes - sizeof record->record_bytes);
  StoreRelease(record->record_bytes, wanted->record_bytes);  // the tag: pairs with the reader
  const uint64_t id = static_cast<uint64_t>(reinterpret_cast<std::byte*>(record) - base) / 8;
  contents_[i] = {tag, static_cast<uint32_t>(id + 1)};
  ++content_count_;
  return id;
}

// The hash of a content is not kept whole, so it is worked out again.
bool PythonCodes::MakeRoomForContent() {
  if (content_count_ < content_capacity_ / 2) return true;
  const uint64_t capacity = content_capacity_ == 0 ? kFirstCapacity : content_capacity_ * 2;
  auto* larger = static_cast<Content*>(MapPages(RoundUpToPage(capacity * sizeof(Content))));
  if (larger == nullptr) return content_count_ + 1 < content_capacity_;
  const std::byte* base = recording_->base(format::TableKind::kCodes);
  for (uint64_t i = 0; i < content_capacity_; ++i) {
    if (contents_[i].id_plus_one == 0) continue;
    const auto* record = reinterpret_cast<const format::CodeRecord*>(base + (contents_[i].id_plus_one - 1) * 8ul);
    uint64_t to = HashOf(record) & (capacity - 1);
    while (larger[to].id_plus_one != 0) to = (to + 1) & (capacity - 1);
    larger[to] = contents_[i];
  }
  private_bytes_.fetch_add((capacity - content_capacity_) * sizeof(Content), std::memory_order_relaxed);
  Content* const outgrown = contents_;
  const uint64_t outgrown_bytes = RoundUpToPage(content_capacity_ * sizeof(Content));
  StoreRelease(contents_, larger);  // as above. A fork in between costs the child a record twice
  StoreRelease(content_capacity_, capacity);
  if (outgrown != nullptr) UnmapPages(outgrown, outgrown_bytes);
  return true;
}

}  // namespace allocline
