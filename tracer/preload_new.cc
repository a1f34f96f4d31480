// All forms of operator new and delete.
//
// libstdc++'s forward to malloc and free, and so do ours, one frame shorter: the caller of operator new is the
// innermost frame. Out of memory is left to libstdc++'s own operator new (new handler, bad_alloc). A program with an
// operator new of its own (another library's: tcmalloc, a pool) keeps it: then we call that one and its delete, as a
// pair, and only record. It may or may not call malloc underneath; if it does, the block was recorded there already,
// and RecordAlloc replaces that record.
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include <new>

#include "base/text.h"
#include "tracer/next_allocator.h"
#include "tracer/tracer.h"

#define ALLOCLINE_HOOK __attribute__((visibility("default")))
#define HOOK_FRAME static_cast<const allocline::HookFrame*>(__builtin_frame_address(0))

using allocline::g_tracer;
using allocline::NextAllocator;
using allocline::NextOrNull;
namespace boot = allocline::boot;

namespace {

// The operators behind us, by their mangled names (Itanium C++ ABI, 64-bit size_t).
struct NextOperators {
  std::atomic<bool> known{false};
  bool foreign = false;  // not libstdc++'s or libc++'s
  void* (*make)(size_t);
  void* (*make_array)(size_t);
  void* (*make_nothrow)(size_t, const std::nothrow_t&);
  void* (*make_array_nothrow)(size_t, const std::nothrow_t&);
  void* (*make_aligned)(size_t, std::align_val_t);
  void* (*make_array_aligned)(size_t, std::align_val_t);
  void* (*make_aligned_nothrow)(size_t, std::align_val_t, const std::nothrow_t&);
  void* (*make_array_aligned_nothrow)(size_t, std::align_val_t, const std::nothrow_t&);
  void (*destroy)(void*);
  void (*destroy_array)(void*);
  void (*destroy_aligned)(void*, std::align_val_t);
  void (*destroy_array_aligned)(void*, std::align_val_t);
};
NextOperators g_operators;  // all zero: static storage

void* FindOperator(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found != nullptr) return found;
  // libstdc++ came with a library opened RTLD_LOCAL: it is not in the global scope.
  void* library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  return library == nullptr ? nullptr : dlsym(library, name);
}

bool BelongsToStandardLibrary(void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_fname == nullptr) return false;
  const char* file = allocline::Basename(info.dli_fname);
  return strncmp(file, "libstdc++.so", 12) == 0 || strncmp(file, "libc++", 6) == 0;
}

template <typename Function>
void Bind(Function*& out, const char* name) {
  out = reinterpret_cast<Function*>(FindOperator(name));
}

// Looked up at the first C++ allocation, not earlier: libstdc++ may come late.
__attribute__((noinline)) void FindOperators() {
  NextOperators& o = g_operators;
  Bind(o.make, "_Znwm");
  Bind(o.make_array, "_Znam");
  Bind(o.make_nothrow, "_ZnwmRKSt9nothrow_t");
  Bind(o.make_array_nothrow, "_ZnamRKSt9nothrow_t");
  Bind(o.make_aligned, "_ZnwmSt11align_val_t");
  Bind(o.make_array_aligned, "_ZnamSt11align_val_t");
  Bind(o.make_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t");
  Bind(o.make_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t");
  Bind(o.destroy, "_ZdlPv");
  Bind(o.destroy_array, "_ZdaPv");
  Bind(o.destroy_aligned, "_ZdlPvSt11align_val_t");
  Bind(o.destroy_array_aligned, "_ZdaPvSt11align_val_t");
  o.foreign = o.make != nullptr && o.destroy != nullptr && !BelongsToStandardLibrary(reinterpret_cast<void*>(o.make));
  o.known.store(true, std::memory_order_release);  // pairs with Operators()
}

inline const NextOperators& Operators() {
  if (__builtin_expect(!g_operators.known.load(std::memory_order_acquire), 0)) FindOperators();
  return g_operators;
}

// The block from malloc, recorded; null if there is none, or another library's operator has to be asked.
inline __attribute__((always_inline)) void* Fast(size_t bytes, const allocline::HookFrame* hook) {
  if (__builtin_expect(Operators().foreign, 0)) return nullptr;
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes);
  const size_t request = bytes < next->smallest_request ? next->smallest_request : bytes;
  void* block = next->malloc(request == 0 ? 1 : request);
  return __builtin_expect(block != nullptr, 1) ? g_tracer.OnAlloc(block, bytes, hook) : nullptr;
}

inline __attribute__((always_inline)) void* FastAligned(size_t bytes, std::align_val_t alignment,
                                                        const allocline::HookFrame* hook) {
  if (__builtin_expect(Operators().foreign, 0)) return nullptr;
  const NextAllocator* next = NextOrNull();
  const size_t align = static_cast<size_t>(alignment);
  if (__builtin_expect(next == nullptr, 0)) return boot::Allocate(bytes, align);
  const size_t least = bytes == 0 ? 1 : bytes;
  const size_t rounded = (least + align - 1) & ~(align - 1);  // aligned_alloc of C11 wants a multiple
  if (rounded < bytes) return nullptr;
  void* block = next->aligned_alloc(align, rounded);
  return block != nullptr ? g_tracer.OnAlloc(block, bytes, hook) : nullptr;
}

// What the next operator gave. libstdc++'s, asked when memory was short, got the block from our malloc, which recorded
// it. A foreign one's is recorded here; if it called malloc underneath, the record made there is replaced by this one.
void* RecordForeign(void* block, size_t bytes, const allocline::HookFrame* hook) {
  if (block == nullptr || !g_operators.foreign) return block;
  return g_tracer.OnAlloc(block, bytes, hook);
}

template <typename Destroy, typename... Arguments>
inline __attribute__((always_inline)) void Release(void* block, Destroy destroy, Arguments... arguments) {
  if (block == nullptr || (__builtin_expect(!g_tracer.OnFree(block), 0) && boot::Owns(block))) return;
  if (__builtin_expect(Operators().foreign, 0) && destroy != nullptr) {
    destroy(block, arguments...);
  } else if (const NextAllocator* next = NextOrNull()) {
    next->free(block);
  }
}

}  // namespace

ALLOCLINE_HOOK void* operator new(size_t bytes) {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make(bytes), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes) {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_array(bytes), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, const std::nothrow_t& tag) noexcept {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_nothrow(bytes, tag), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_array_nothrow(bytes, tag), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, std::align_val_t alignment) {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_aligned(bytes, alignment), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, std::align_val_t alignment) {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_array_aligned(bytes, alignment), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_aligned_nothrow(bytes, alignment, tag), bytes, HOOK_FRAME);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return RecordForeign(Operators().make_array_aligned_nothrow(bytes, alignment, tag), bytes, HOOK_FRAME);
}

ALLOCLINE_HOOK void operator delete(void* block) noexcept { Release(block, Operators().destroy); }
ALLOCLINE_HOOK void operator delete[](void* block) noexcept { Release(block, Operators().destroy_array); }
ALLOCLINE_HOOK void operator delete(void* block, size_t) noexcept { Release(block, Operators().destroy); }
ALLOCLINE_HOOK void operator delete[](void* block, size_t) noexcept { Release(block, Operators().destroy_array); }
ALLOCLINE_HOOK void operator delete(void* block, const std::nothrow_t&) noexcept {
  Release(block, Operators().destroy);
}
ALLOCLINE_HOOK void operator delete[](void* block, const std::nothrow_t&) noexcept {
  Release(block, Operators().destroy_array);
}
ALLOCLINE_HOOK void operator delete(void* block, std::align_val_t alignment) noexcept {
  Release(block, Operators().destroy_aligned, alignment);
}
ALLOCLINE_HOOK void operator delete[](void* block, std::align_val_t alignment) noexcept {
  Release(block, Operators().destroy_array_aligned, alignment);
}
ALLOCLINE_HOOK void operator delete(void* block, size_t, std::align_val_t alignment) noexcept {
  Release(block, Operators().destroy_aligned, alignment);
}
ALLOCLINE_HOOK void operator delete[](void* block, size_t, std::align_val_t alignment) noexcept {
  Release(block, Operators().destroy_array_aligned, alignment);
}
ALLOCLINE_HOOK void operator delete(void* block, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  Release(block, Operators().destroy_aligned, alignment);
}
ALLOCLINE_HOOK void operator delete[](void* block, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  Release(block, Operators().destroy_array_aligned, alignment);
}
