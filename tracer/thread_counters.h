// What each site allocated and freed, as counted by one thread: SiteId -> format::Counter in the recording.
//
// Counters lie in chunks of 32 sites; a thread gets a chunk when it first touches one of its sites. The directory
// (site group -> chunk) is private memory of the thread.
//
// Threads:    the owning thread only, and signal handlers on it. Readers look at the chunks, never at the directory.
// Context:    inside malloc.
// Invariants: each step of the slow path is one store, so a signal handler that comes in between finds either the old
//             directory or the new one; at worst it makes a second chunk for a group, and readers add chunks up.
#ifndef ALLOCLINE_TRACER_THREAD_COUNTERS_H_
#define ALLOCLINE_TRACER_THREAD_COUNTERS_H_

#include <cstdint>

#include "base/atomic.h"
#include "base/pages.h"
#include "recording/format.h"
#include "recording/writer.h"

namespace allocline {

class ThreadCounters {
 public:
  // `thread`: index of the owner's ThreadRecord.
  void Init(uint32_t thread) { thread_ = thread; }

  // Null if there is no room for the chunk.
  format::Counter* At(uint32_t site, RecordingWriter& recording) {
    const uint32_t group = site / format::kSitesPerChunk;
    if (__builtin_expect(group < group_count_ && groups_[group] != nullptr, 1)) {
      return &groups_[group]->counters[site % format::kSitesPerChunk];
    }
    return AddChunk(group, recording) ? &groups_[group]->counters[site % format::kSitesPerChunk] : nullptr;
  }

 private:
  __attribute__((noinline)) bool AddChunk(uint32_t group, RecordingWriter& recording) {
    if (group >= group_count_ && !GrowDirectory(group)) return false;
    // The counters first: a chunk whose owner is not written yet is ignored, the other way round it would be missing.
    auto* chunk = static_cast<format::CounterChunk*>(
        recording.Reserve(format::TableKind::kCounters, sizeof(format::CounterChunk)));
    if (chunk == nullptr) return false;
    const auto* first = reinterpret_cast<format::CounterChunk*>(recording.base(format::TableKind::kCounters));
    auto* owners = reinterpret_cast<format::ChunkOwner*>(recording.base(format::TableKind::kChunkOwners));
    const uint64_t index = static_cast<uint64_t>(chunk - first);
    // Owner i belongs to chunk i, so the owners' table must reach that far; which call extends it does not matter.
    while (recording.used(format::TableKind::kChunkOwners) < (index + 1) * sizeof(format::ChunkOwner)) {
      if (recording.Reserve(format::TableKind::kChunkOwners, sizeof(format::ChunkOwner)) == nullptr) return false;
    }
    owners[index].group = group;
    StoreRelease(owners[index].thread_plus_one, thread_ + 1);  // the tag: pairs with the reader
    groups_[group] = chunk;
    return true;
  }

  bool GrowDirectory(uint32_t group) {
    const uint32_t old_count = group_count_;
    uint32_t count = old_count == 0 ? static_cast<uint32_t>(kPage / sizeof(*groups_)) : old_count * 2;
    while (count <= group) count *= 2;
    auto** larger = static_cast<format::CounterChunk**>(MapPages(count * sizeof(*groups_)));
    if (larger == nullptr) return false;
    format::CounterChunk** old = groups_;
    for (uint32_t i = 0; i < old_count; ++i) larger[i] = old[i];
    __atomic_signal_fence(__ATOMIC_SEQ_CST);  // a handler sees the copied directory, or the old one
    groups_ = larger;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    group_count_ = count;
    if (old != nullptr) UnmapPages(old, old_count * sizeof(*groups_));
    return true;
  }

  format::CounterChunk** groups_ = nullptr;
  uint32_t group_count_ = 0;
  uint32_t thread_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_THREAD_COUNTERS_H_
