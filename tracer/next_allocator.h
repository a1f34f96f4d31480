// The allocator behind us: whatever dlsym(RTLD_NEXT) finds, taken as one set, because the functions of two allocators
// must not be mixed (calling glibc's directly crashes every program that links jemalloc).
//
// Finding it calls dlsym, and dlsym may allocate: those calls, and those that arrive before the set is known, are
// served from a small static arena whose blocks free() recognises and ignores.
//
// Threads: any. The first call comes while the loader runs, before there is a second thread.
#ifndef ALLOCLINE_TRACER_NEXT_ALLOCATOR_H_
#define ALLOCLINE_TRACER_NEXT_ALLOCATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace allocline {

struct NextAllocator {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  void* (*memalign)(size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
  size_t (*malloc_usable_size)(void*);
  void (*free_sized)(void*, size_t);                  // null before glibc 2.42
  void (*free_aligned_sized)(void*, size_t, size_t);  // null before glibc 2.42
  // Other allocators have 8-byte classes, and two blocks would share a granule of the pointer map: requests below this
  // are rounded up to it. 0 for glibc.
  size_t smallest_request;
};

// Null only while the set is being found: then use the boot arena.
const NextAllocator* FindNextAllocator();
[[gnu::visibility("hidden")]] extern NextAllocator g_next_allocator;
inline const NextAllocator* NextOrNull() {
  // Acquire: `malloc` is stored last, so whoever sees it sees the set. Pairs with the release in FindNextAllocator().
  const bool known = __atomic_load_n(&g_next_allocator.malloc, __ATOMIC_ACQUIRE) != nullptr;
  return __builtin_expect(known, 1) ? &g_next_allocator : FindNextAllocator();
}

// The next malloc, for hooks that have nothing to decide: finds the set, if it is not known, and rounds up, if that is
// necessary, so that they need not look.
using MallocFunction = void*(size_t);
[[gnu::visibility("hidden")]] extern MallocFunction* g_next_malloc;

// File that holds the next malloc, for the report. "" if the loader does not say.
const char* NextAllocatorFile();
bool NextAllocatorIsGlibc();

// What was served before the constructor ran, and is therefore not recorded.
void CountEarly(size_t bytes);
void EarlyTotals(uint64_t* events, uint64_t* bytes);

namespace boot {
// Never fails for small requests; null when the arena is used up.
void* Allocate(size_t bytes, size_t alignment = 16);
bool Owns(const void* block);
size_t UsableSize(const void* block);
void Range(uintptr_t* start, size_t* bytes);
}  // namespace boot

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_NEXT_ALLOCATOR_H_
