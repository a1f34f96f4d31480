#include "tracer/next_allocator.h"

#include <dlfcn.h>
#include <string.h>

#include "base/text.h"

namespace allocline {
namespace {

const char* g_file = "";
bool g_is_glibc = false;
std::atomic<bool> g_finding{false};
std::atomic<uint64_t> g_early_events{0}, g_early_bytes{0};

constexpr size_t kArenaBytes = 128 << 10;
alignas(64) char g_arena[kArenaBytes];
std::atomic<size_t> g_arena_used{0};

// Before each block of the arena: its size, for realloc and malloc_usable_size.
struct alignas(16) BootHeader {
  size_t bytes;
};

template <typename Function>
void Bind(Function*& out, const char* name) {
  out = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void* RoundUpAndAllocate(size_t bytes) {
  const NextAllocator& next = g_next_allocator;
  return next.malloc(bytes < next.smallest_request ? next.smallest_request : bytes);
}

void* FindAndAllocate(size_t bytes) {
  return NextOrNull() == nullptr ? boot::Allocate(bytes) : RoundUpAndAllocate(bytes);
}

}  // namespace

constinit NextAllocator g_next_allocator{};
constinit MallocFunction* g_next_malloc = FindAndAllocate;

const NextAllocator* FindNextAllocator() {
  NextAllocator& set = g_next_allocator;
  if (g_finding.exchange(true, std::memory_order_acquire)) {
    return __atomic_load_n(&set.malloc, __ATOMIC_ACQUIRE) != nullptr ? &set : nullptr;
  }
  Bind(set.calloc, "calloc");
  Bind(set.realloc, "realloc");
  Bind(set.free, "free");
  Bind(set.memalign, "memalign");
  Bind(set.aligned_alloc, "aligned_alloc");
  Bind(set.posix_memalign, "posix_memalign");
  Bind(set.valloc, "valloc");
  Bind(set.pvalloc, "pvalloc");
  Bind(set.malloc_usable_size, "malloc_usable_size");
  Bind(set.free_sized, "free_sized");
  Bind(set.free_aligned_sized, "free_aligned_sized");
  void* (*next_malloc)(size_t) = nullptr;
  Bind(next_malloc, "malloc");
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(next_malloc), &info) != 0 && info.dli_fname != nullptr) g_file = info.dli_fname;
  g_is_glibc = strncmp(Basename(g_file), "libc.so", 7) == 0 || strncmp(Basename(g_file), "libc-2.", 7) == 0;
  set.smallest_request = g_is_glibc ? 0 : 16;
  __atomic_store_n(&set.malloc, next_malloc, __ATOMIC_RELEASE);
  // Relaxed: RoundUpAndAllocate() uses the set, but there is no second thread yet.
  __atomic_store_n(&g_next_malloc, g_is_glibc ? next_malloc : RoundUpAndAllocate, __ATOMIC_RELAXED);
  return &set;
}

const char* NextAllocatorFile() { return g_file; }
bool NextAllocatorIsGlibc() { return g_is_glibc; }

void CountEarly(size_t bytes) {
  g_early_events.fetch_add(1, std::memory_order_relaxed);
  g_early_bytes.fetch_add(bytes, std::memory_order_relaxed);
}
void EarlyTotals(uint64_t* events, uint64_t* bytes) {
  *events = g_early_events.load(std::memory_order_relaxed);
  *bytes = g_early_bytes.load(std::memory_order_relaxed);
}

namespace boot {

void* Allocate(size_t bytes, size_t alignment) {
  if (alignment < alignof(BootHeader)) alignment = alignof(BootHeader);
  if (bytes > kArenaBytes || alignment > kArenaBytes) return nullptr;
  const size_t needed = sizeof(BootHeader) + alignment + bytes;
  const size_t begin = g_arena_used.fetch_add((needed + 15) & ~size_t{15}, std::memory_order_relaxed);
  if (begin + needed > kArenaBytes) return nullptr;
  const uintptr_t lowest = reinterpret_cast<uintptr_t>(g_arena) + begin + sizeof(BootHeader);
  char* block = reinterpret_cast<char*>((lowest + alignment - 1) & ~(alignment - 1));
  reinterpret_cast<BootHeader*>(block)[-1].bytes = bytes;
  return block;  // zeroed: the arena is never reused
}

bool Owns(const void* block) {
  return reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(g_arena) < kArenaBytes;
}

void Range(uintptr_t* start, size_t* bytes) {
  *start = reinterpret_cast<uintptr_t>(g_arena);
  *bytes = kArenaBytes;
}

size_t UsableSize(const void* block) { return static_cast<const BootHeader*>(block)[-1].bytes; }

}  // namespace boot
}  // namespace allocline
