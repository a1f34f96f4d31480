// All forms of operator new.
//
// libstdc++'s forward to malloc, and so do ours, one frame shorter: the caller of operator new is the innermost frame.
// Out of memory is left to libstdc++'s own operator new (new handler, bad_alloc). A program with an operator new of its
// own (another library's: tcmalloc, a pool) keeps it: then we call that one and its delete, as a pair, and only record.
// If it calls malloc underneath and gives that block out, the block was recorded there already.
#include <stddef.h>

#include <new>
#include <type_traits>

#include "tracer/next_allocator.h"
#include "tracer/next_operators.h"
#include "tracer/tracer.h"

#define ALLOCLINE_HOOK __attribute__((visibility("default")))
#define HOOK_FRAME static_cast<const allocline::HookFrame*>(__builtin_frame_address(0))

using allocline::g_tracer;
using allocline::NextAllocator;
using allocline::NextOrNull;
using allocline::Operators;
namespace boot = allocline::boot;

namespace {

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

// What the next operator gives. libstdc++'s, asked when memory was short, gets the block from our malloc, which records
// it. A foreign one's is recorded here, unless it called malloc underneath and gives out the block it got.
template <typename... Arguments>
void* FromNext(void* (*make)(size_t, Arguments...), const allocline::HookFrame* hook, size_t bytes,
               std::type_identity_t<Arguments>... arguments) {
  const uint64_t counted_before = g_tracer.CountedHere().allocated_blocks;
  void* block = make(bytes, arguments...);
  if (block == nullptr || !Operators().foreign) return block;
  const allocline::Block known = g_tracer.Find(allocline::format::kDomainMalloc, reinterpret_cast<uintptr_t>(block));
  if (known.site != 0 && known.bytes >= bytes) return block;
  if (g_tracer.sampling()) {
    // Samples do not tell: whether anything was counted meanwhile does. Memory that a pool had before was, then.
    if (g_tracer.CountedHere().allocated_blocks != counted_before || !Operators().IsOfAllocator(make)) return block;
  }
  return g_tracer.OnAlloc(block, bytes, hook);
}

}  // namespace

ALLOCLINE_HOOK void* operator new(size_t bytes) {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return FromNext(Operators().make, HOOK_FRAME, bytes);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes) {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return FromNext(Operators().make_array, HOOK_FRAME, bytes);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, const std::nothrow_t& tag) noexcept {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return FromNext(Operators().make_nothrow, HOOK_FRAME, bytes, tag);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  if (void* block = Fast(bytes, HOOK_FRAME)) return block;
  return FromNext(Operators().make_array_nothrow, HOOK_FRAME, bytes, tag);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, std::align_val_t alignment) {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return FromNext(Operators().make_aligned, HOOK_FRAME, bytes, alignment);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, std::align_val_t alignment) {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return FromNext(Operators().make_array_aligned, HOOK_FRAME, bytes, alignment);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return FromNext(Operators().make_aligned_nothrow, HOOK_FRAME, bytes, alignment, tag);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  if (void* block = FastAligned(bytes, alignment, HOOK_FRAME)) return block;
  return FromNext(Operators().make_array_aligned_nothrow, HOOK_FRAME, bytes, alignment, tag);
}
