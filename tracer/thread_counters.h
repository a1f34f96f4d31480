// What each site allocated and freed, as counted by one thread: SiteId -> format::Counter in the recording.
//
// Counters lie in chunks of 32 sites; a thread gets a chunk when it first touches one of its sites. The directory
// (site group -> chunk) is private memory of the thread.
//
// Threads:    the owning thread only, and signal handlers on it. Readers look at the chunks, never at the directory.
// Context:    inside malloc.
// Invariants: (1) each change of the directory is one store, so a signal handler that comes in between finds it as it
//             was or as it will be. At worst handler and interrupted code each make a chunk for the same group, and
//             the one the directory forgets still counts: readers add chunks up. (2) A directory that was outgrown
//             stays mapped: the code that a handler interrupted may be reading it.
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
  void Init(uint32_t thread) {
    thread_ = thread;
    directory_ = &kEmpty;
  }

  // Null if At() has to make it.
  format::Counter* Known(uint32_t site) const {
    const uint32_t group = site / format::kSitesPerChunk;
    const Directory* directory = directory_;
    if (__builtin_expect(group >= directory->count, 0)) return nullptr;
    format::CounterChunk* chunk = directory->chunks[group];
    return __builtin_expect(chunk != nullptr, 1) ? &chunk->counters[site % format::kSitesPerChunk] : nullptr;
  }

  // Null if there is no room for the chunk.
  format::Counter* At(uint32_t site, RecordingWriter& recording) {
    format::Counter* known = Known(site);
    if (__builtin_expect(known != nullptr, 1)) return known;
    format::CounterChunk* chunk = AddChunk(site / format::kSitesPerChunk, recording);
    return chunk == nullptr ? nullptr : &chunk->counters[site % format::kSitesPerChunk];
  }

 private:
  struct Directory {
    uint64_t count;
    format::CounterChunk* chunks[];
  };

  __attribute__((noinline)) format::CounterChunk* AddChunk(uint32_t group, RecordingWriter& recording) {
    if (group >= directory_->count && !GrowDirectory(group)) return nullptr;
    // The counters first: a chunk whose owner is not written yet is ignored, the other way round it would be missing.
    auto* chunk = static_cast<format::CounterChunk*>(
        recording.Reserve(format::TableKind::kCounters, sizeof(format::CounterChunk)));
    if (chunk == nullptr) return nullptr;
    const auto* first = reinterpret_cast<format::CounterChunk*>(recording.base(format::TableKind::kCounters));
    auto* owners = reinterpret_cast<format::ChunkOwner*>(recording.base(format::TableKind::kChunkOwners));
    const uint64_t index = static_cast<uint64_t>(chunk - first);
    // Owner i belongs to chunk i, so the owners' table must reach that far; which call extends it does not matter.
    while (recording.used(format::TableKind::kChunkOwners) < (index + 1) * sizeof(format::ChunkOwner)) {
      if (recording.Reserve(format::TableKind::kChunkOwners, sizeof(format::ChunkOwner)) == nullptr) return nullptr;
    }
    owners[index].group = group;
    StoreRelease(owners[index].thread_plus_one, thread_ + 1);  // the tag: pairs with the reader
    // Relaxed: only this thread reads it, and a handler may have grown the directory meanwhile.
    StoreRelaxed(LoadRelaxed(directory_)->chunks[group], chunk);
    return chunk;
  }

  bool GrowDirectory(uint32_t group) {
    const Directory* old = directory_;
    uint64_t bytes = old == &kEmpty ? kPage : 2 * BytesFor(old->count);
    while (CountIn(bytes) <= group) bytes *= 2;
    auto* larger = static_cast<Directory*>(MapPages(bytes));
    if (larger == nullptr) return false;
    larger->count = CountIn(bytes);
    for (uint64_t i = 0; i < old->count; ++i) larger->chunks[i] = LoadRelaxed(old->chunks[i]);
    // A handler that comes here sees the old directory, or the copy; one it made meanwhile is forgotten for ours.
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    StoreRelaxed(directory_, larger);
    return true;
  }
  static constexpr uint64_t BytesFor(uint64_t count) { return sizeof(Directory) + count * sizeof(void*); }
  static constexpr uint64_t CountIn(uint64_t bytes) { return (bytes - sizeof(Directory)) / sizeof(void*); }

  static inline Directory kEmpty = {};  // never written
  Directory* directory_ = &kEmpty;
  uint32_t thread_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_THREAD_COUNTERS_H_
