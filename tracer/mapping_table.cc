#include "tracer/mapping_table.h"

#include "base/pages.h"

namespace allocline {

void MappingTable::OnMap(uintptr_t start, size_t bytes, uintptr_t caller) {
  if (bytes < kLeastBytes) return;
  const uintptr_t end = start + RoundUpToPage(bytes);
  const SpinLockHolder lock(lock_);
  if (!lock.held()) return;
  const uint32_t used = used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < used; ++i) {
    if (mappings_[i].start <= start && end <= mappings_[i].end) return;
  }
  Remove(start, end);
  for (uint32_t i = 0; i < used; ++i) {
    Mapping& mapping = mappings_[i];
    if (mapping.start == mapping.end || mapping.caller != caller) continue;
    if (mapping.end == start) {
      mapping.end = end;
      return;
    }
    if (mapping.start == end) {
      mapping.start = start;
      return;
    }
  }
  Add({start, end, caller});
}

void MappingTable::OnUnmap(uintptr_t start, size_t bytes) {
  if (used_.load(std::memory_order_relaxed) == 0) return;
  const SpinLockHolder lock(lock_);
  if (lock.held()) Remove(start, start + RoundUpToPage(bytes));
}

uintptr_t MappingTable::CallerOf(uintptr_t address) {
  if (used_.load(std::memory_order_relaxed) == 0) return 0;
  const SpinLockHolder lock(lock_);
  if (!lock.held()) return 0;
  const uint32_t used = used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < used; ++i) {
    if (mappings_[i].start <= address && address < mappings_[i].end) return mappings_[i].caller;
  }
  return 0;
}

uint32_t MappingTable::CopyTo(Mapping* mappings) {
  const SpinLockHolder lock(lock_);
  if (!lock.held()) return 0;
  uint32_t count = 0;
  const uint32_t used = used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < used; ++i) {
    if (mappings_[i].start != mappings_[i].end) mappings[count++] = mappings_[i];
  }
  return count;
}

void MappingTable::Add(const Mapping& mapping) {
  uint32_t slot = 0;
  const uint32_t used = used_.load(std::memory_order_relaxed);
  while (slot < used && mappings_[slot].start != mappings_[slot].end) ++slot;
  if (slot == kMostMappings) return;
  mappings_[slot] = mapping;
  if (slot == used) used_.store(used + 1, std::memory_order_relaxed);
}

void MappingTable::Remove(uintptr_t start, uintptr_t end) {
  const uint32_t used = used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < used; ++i) {
    Mapping& mapping = mappings_[i];
    if (mapping.start >= end || mapping.end <= start) continue;
    const Mapping behind = {end, mapping.end, mapping.caller};
    if (mapping.start < start) {
      mapping.end = start;
      if (behind.start < behind.end) Add(behind);
    } else if (behind.start < behind.end) {
      mapping.start = end;
    } else {
      mapping = {};
    }
  }
}

}  // namespace allocline
