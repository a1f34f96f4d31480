// A preload that only passes calls on, in the way allocline does: the next allocator by dlsym(RTLD_NEXT), operator new
// hooked beside malloc. The least that a tracer of this kind can cost; the baseline for sampling.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#define EXPORTED __attribute__((visibility("default")))

namespace {

struct Next {
  void* (*malloc)(size_t);
  void (*free)(void*);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  void* (*memalign)(size_t, size_t);
} g_next;
bool g_finding = false;

// dlsym may allocate before the next malloc is known.
alignas(16) char g_early[8192];
size_t g_early_used = 0;

void* AllocateEarly(size_t bytes) {
  bytes = (bytes + 15) & ~size_t{15};
  if (bytes > sizeof g_early - g_early_used) abort();
  g_early_used += bytes;
  return g_early + g_early_used - bytes;
}
bool IsEarly(const void* block) { return block >= g_early && block < g_early + sizeof g_early; }

template <typename Function>
void Find(Function** function, const char* name) {
  *function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// False while dlsym is at work for us.
bool FindAll() {
  if (g_finding) return false;
  g_finding = true;
  Find(&g_next.free, "free");
  Find(&g_next.calloc, "calloc");
  Find(&g_next.realloc, "realloc");
  Find(&g_next.posix_memalign, "posix_memalign");
  Find(&g_next.aligned_alloc, "aligned_alloc");
  Find(&g_next.memalign, "memalign");
  Find(&g_next.malloc, "malloc");
  g_finding = false;
  return true;
}

// The program is measured with one thread of its own at this time.
inline bool Known() { return __builtin_expect(g_next.malloc != nullptr, 1) || FindAll(); }

}  // namespace

extern "C" {
EXPORTED void* malloc(size_t bytes) { return Known() ? g_next.malloc(bytes) : AllocateEarly(bytes); }
EXPORTED void* calloc(size_t count, size_t bytes) {
  return Known() ? g_next.calloc(count, bytes) : AllocateEarly(count * bytes);
}
EXPORTED void free(void* block) {
  if (__builtin_expect(!IsEarly(block), 1) && Known()) g_next.free(block);
}
EXPORTED void* realloc(void* block, size_t bytes) {
  if (__builtin_expect(!IsEarly(block) && Known(), 1)) return g_next.realloc(block, bytes);
  void* copy = malloc(bytes);
  const size_t room = static_cast<size_t>(g_early + sizeof g_early - static_cast<char*>(block));
  if (copy != nullptr) memcpy(copy, block, bytes < room ? bytes : room);
  return copy;
}
EXPORTED int posix_memalign(void** out, size_t alignment, size_t bytes) {
  return Known() ? g_next.posix_memalign(out, alignment, bytes) : 12;
}
EXPORTED void* aligned_alloc(size_t alignment, size_t bytes) {
  return Known() ? g_next.aligned_alloc(alignment, bytes) : nullptr;
}
EXPORTED void* memalign(size_t alignment, size_t bytes) {
  return Known() ? g_next.memalign(alignment, bytes) : nullptr;
}
}

EXPORTED void* operator new(size_t bytes) {
  void* block = malloc(bytes);
  if (__builtin_expect(block == nullptr, 0)) throw std::bad_alloc();
  return block;
}
EXPORTED void operator delete(void* block) noexcept { free(block); }
EXPORTED void operator delete(void* block, size_t) noexcept { free(block); }
