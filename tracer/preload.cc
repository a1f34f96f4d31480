// The malloc family, as the program sees it. Each hook calls the next allocator and tells the tracer: start reading
// here. What an allocation is charged with is the size asked for; what fails is not recorded; errno is the allocator's.
// What gives blocks back is in preload_free.cc, the operators are in preload_new.cc.
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tracer/next_allocator.h"
#include "tracer/tracer.h"

#define ALLOCLINE_HOOK extern "C" __attribute__((visibility("default")))
#define HOOK_FRAME static_cast<const allocline::HookFrame*>(__builtin_frame_address(0))

using allocline::g_next_malloc;
using allocline::g_tracer;
using allocline::NextAllocator;
using allocline::NextOrNull;
namespace boot = allocline::boot;

namespace {

size_t AtLeast(size_t bytes, const NextAllocator* next) {
  return bytes < next->smallest_request ? next->smallest_request : bytes;
}

inline __attribute__((always_inline)) void* Recorded(void* block, size_t bytes, const allocline::HookFrame* hook) {
  return __builtin_expect(block != nullptr, 1) ? g_tracer.OnAlloc(block, bytes, hook) : g_tracer.OnFailedAlloc(bytes);
}

// realloc of a block of the boot arena: its new home is the real allocator.
void* MoveOutOfArena(const void* old, size_t bytes, const allocline::HookFrame* hook) {
  const NextAllocator* next = NextOrNull();
  void* block = next == nullptr ? boot::Allocate(bytes) : next->malloc(AtLeast(bytes, next));
  if (block == nullptr) return nullptr;
  const size_t old_bytes = boot::UsableSize(old);
  memcpy(block, old, old_bytes < bytes ? old_bytes : bytes);
  return Recorded(block, bytes, hook);
}

inline __attribute__((always_inline)) void* Reallocate(void* old, size_t bytes, const allocline::HookFrame* hook) {
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr || boot::Owns(old), 0)) return MoveOutOfArena(old, bytes, hook);
  if (old == nullptr) return Recorded(next->realloc(nullptr, AtLeast(bytes, next)), bytes, hook);
  // The record comes out before the block may move: another thread may be given the old address before we return.
  const allocline::Tracer::Leaving record = g_tracer.TakeOut(old);
  void* block = next->realloc(old, bytes == 0 ? 0 : AtLeast(bytes, next));
  if (__builtin_expect(block == nullptr, 0)) {
    // With size 0 the block was freed (glibc); otherwise the call failed and the old block is as it was.
    if (bytes == 0) {
      g_tracer.Charge(record);
    } else {
      g_tracer.PutBack(old, record);
      g_tracer.OnFailedAlloc(bytes);
    }
    return nullptr;
  }
  g_tracer.Charge(record);
  return Recorded(block, bytes, hook);
}

}  // namespace

ALLOCLINE_HOOK void* malloc(size_t bytes) {
  void* block = __atomic_load_n(&g_next_malloc, __ATOMIC_RELAXED)(bytes);
  return Recorded(block, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK void* calloc(size_t count, size_t bytes_each) {
  const NextAllocator* next = NextOrNull();
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, bytes_each, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes);
  void* block = next->calloc(1, AtLeast(bytes, next));
  return Recorded(block, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK void* realloc(void* old, size_t bytes) { return Reallocate(old, bytes, HOOK_FRAME); }

ALLOCLINE_HOOK void* reallocarray(void* old, size_t count, size_t bytes_each) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, bytes_each, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  return Reallocate(old, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK void* memalign(size_t alignment, size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes, alignment);
  void* block = next->memalign(alignment, AtLeast(bytes, next));
  return Recorded(block, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK void* aligned_alloc(size_t alignment, size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes, alignment);
  void* block = next->aligned_alloc(alignment, AtLeast(bytes, next));
  return Recorded(block, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK int posix_memalign(void** out, size_t alignment, size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) {
    *out = boot::Allocate(bytes, alignment);
    return *out == nullptr ? ENOMEM : 0;
  }
  void* block = nullptr;
  const int error = next->posix_memalign(&block, alignment, AtLeast(bytes, next));
  if (error == 0) *out = Recorded(block, bytes, HOOK_FRAME);
  if (__builtin_expect(error == ENOMEM, 0)) g_tracer.NoteFailedAlloc(bytes);
  return error;
}

ALLOCLINE_HOOK void* valloc(size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes, 4096);
  void* block = next->valloc(AtLeast(bytes, next));
  return Recorded(block, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK void* pvalloc(size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes, 4096);
  void* block = next->pvalloc(AtLeast(bytes, next));
  return Recorded(block, bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK size_t malloc_usable_size(void* block) {
  if (block == nullptr) return 0;
  if (__builtin_expect(boot::Owns(block), 0)) return boot::UsableSize(block);
  const NextAllocator* next = NextOrNull();
  return next == nullptr ? 0 : next->malloc_usable_size(block);
}
