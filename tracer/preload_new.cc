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

using allocline::g_next_malloc;
using allocline::g_tracer;
using allocline::NextAllocator;
using allocline::NextOperators;
using allocline::NextOrNull;
using allocline::Operators;
using allocline::OperatorsArePlain;
namespace boot = allocline::boot;

namespace {

// A block of malloc. Null if there is none, or if it takes more to know where it comes from.
inline __attribute__((always_inline)) void* FromMalloc(size_t bytes) {
  if (!OperatorsArePlain()) return nullptr;
  // Of nothing, too: glibc gives a block, and for others it is rounded up.
  return __atomic_load_n(&g_next_malloc, __ATOMIC_RELAXED)(bytes);
}

inline __attribute__((always_inline)) void* FromMalloc(size_t bytes, std::align_val_t alignment) {
  if (!OperatorsArePlain()) return nullptr;
  const NextAllocator* next = NextOrNull();
  if (__builtin_expect(next == nullptr, 0)) return nullptr;
  const size_t align = static_cast<size_t>(alignment);
  const size_t least = bytes == 0 ? 1 : bytes;
  const size_t rounded = (least + align - 1) & ~(align - 1);  // aligned_alloc of C11 wants a multiple
  return rounded < bytes ? nullptr : next->aligned_alloc(align, rounded);
}

inline __attribute__((always_inline)) void* FromMalloc(size_t bytes, std::nothrow_t) { return FromMalloc(bytes); }
inline __attribute__((always_inline)) void* FromMalloc(size_t bytes, std::align_val_t alignment, std::nothrow_t) {
  return FromMalloc(bytes, alignment);
}

size_t AlignmentOf(std::align_val_t alignment, std::nothrow_t = std::nothrow) { return static_cast<size_t>(alignment); }
size_t AlignmentOf(std::nothrow_t = std::nothrow) { return __STDCPP_DEFAULT_NEW_ALIGNMENT__; }

// What the next operator gives. libstdc++'s, asked when memory was short, gets the block from our malloc, which records
// it. A foreign one's is recorded here, unless it called malloc underneath and gives out the block it got.
template <typename... Arguments>
void* FromNext(void* (*make)(size_t, Arguments...), const allocline::HookFrame* hook, size_t bytes,
               std::type_identity_t<Arguments>... arguments) {
  const uint64_t counted_before = g_tracer.CountedHere().allocated_blocks;
  // As malloc's: two blocks of 8 bytes would share a granule of the pointer map.
  const NextAllocator* next = NextOrNull();
  const bool too_small = next != nullptr && bytes < next->smallest_request && Operators().IsOfAllocator(make);
  void* block = make(too_small ? next->smallest_request : bytes, arguments...);
  if (block == nullptr || !Operators().foreign) return block;
  const allocline::Block known = g_tracer.Find(allocline::format::kDomainMalloc, reinterpret_cast<uintptr_t>(block));
  if (known.site != 0 && known.bytes >= bytes) return block;
  if (g_tracer.sampling()) {
    // Samples do not tell: whether anything was counted meanwhile does. Memory that a pool had before was, then.
    if (g_tracer.CountedHere().allocated_blocks != counted_before || !Operators().IsOfAllocator(make)) return block;
  }
  return g_tracer.OnAlloc(block, bytes, hook);
}

// The first use, operators that are not libstdc++'s, and no memory. `kMake` is the next operator.
template <auto kMake, typename... Arguments>
__attribute__((noinline)) void* MakeOther(const allocline::HookFrame* hook, size_t bytes, Arguments... arguments) {
  if (!Operators().foreign) {
    if (NextOrNull() == nullptr) return boot::Allocate(bytes, AlignmentOf(arguments...));
    if (void* block = FromMalloc(bytes, arguments...)) return g_tracer.OnAlloc(block, bytes, hook);
  }
  return FromNext(Operators().*kMake, hook, bytes, arguments...);
}

}  // namespace

ALLOCLINE_HOOK void* operator new(size_t bytes) {
  if (void* block = FromMalloc(bytes)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make>(HOOK_FRAME, bytes);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes) {
  if (void* block = FromMalloc(bytes)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_array>(HOOK_FRAME, bytes);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, const std::nothrow_t& tag) noexcept {
  if (void* block = FromMalloc(bytes, tag)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_nothrow>(HOOK_FRAME, bytes, tag);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  if (void* block = FromMalloc(bytes, tag)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_array_nothrow>(HOOK_FRAME, bytes, tag);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, std::align_val_t alignment) {
  if (void* block = FromMalloc(bytes, alignment)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_aligned>(HOOK_FRAME, bytes, alignment);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, std::align_val_t alignment) {
  if (void* block = FromMalloc(bytes, alignment)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_array_aligned>(HOOK_FRAME, bytes, alignment);
}
ALLOCLINE_HOOK void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  if (void* block = FromMalloc(bytes, alignment, tag)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_aligned_nothrow>(HOOK_FRAME, bytes, alignment, tag);
}
ALLOCLINE_HOOK void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  if (void* block = FromMalloc(bytes, alignment, tag)) return g_tracer.OnAlloc(block, bytes, HOOK_FRAME);
  return MakeOther<&NextOperators::make_array_aligned_nothrow>(HOOK_FRAME, bytes, alignment, tag);
}
