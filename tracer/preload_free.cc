// What gives blocks back: free, its sized forms, and all forms of operator delete.
//
// The record is cleared BEFORE the block goes back: another thread may get the address at once. Nothing here is called
// from a place that matters, so the last call of each hook is a jump.
#include <stddef.h>

#include <new>

#include "tracer/next_allocator.h"
#include "tracer/next_operators.h"
#include "tracer/tracer.h"

#define ALLOCLINE_HOOK __attribute__((visibility("default")))

using allocline::g_next_allocator;
using allocline::g_tracer;
using allocline::NextAllocator;
using allocline::NextOperators;
using allocline::NextOrNull;
using allocline::Operators;
using allocline::OperatorsArePlain;
using allocline::ThreadState;
using allocline::Tracer;
using Freed = Tracer::Freed;
namespace boot = allocline::boot;

namespace {

// Forgets a block that the program gives back. False if it is of the boot arena, and not the allocator's.
bool Forget(void* block) { return g_tracer.OnFree(block) || !boot::Owns(block); }

__attribute__((noinline)) void FreeOther(void* block) {
  ThreadState* state = Tracer::this_thread;
  if (__builtin_expect(state != nullptr && Tracer::IsAttentiveToFrees(state), 0)) {
    if (!g_tracer.OnAttentiveFree(state, block) && boot::Owns(block)) return;
  } else if (!Forget(block)) {
    return;
  }
  if (const NextAllocator* next = NextOrNull()) next->free(block);
}

__attribute__((noinline)) void PublishAndFree(void* block) {
  g_tracer.PublishShare();
  g_next_allocator.free(block);
}

inline __attribute__((always_inline)) void FreeAs(Freed freed, void* block) {
  switch (freed) {
    case Freed::kDone:
      return g_next_allocator.free(block);  // known: the block came from there
    case Freed::kPublish:
      return PublishAndFree(block);
    case Freed::kOther:
      return FreeOther(block);
  }
}

inline __attribute__((always_inline)) void Free(void* block) {
  if (block == nullptr) return;
  ThreadState* state = Tracer::this_thread;
  if (__builtin_expect(state == nullptr, 0)) return FreeOther(block);
  if (__builtin_expect(--state->usual_frees >= 0, 1)) return FreeAs(g_tracer.OnUsualFree(state, block), block);
  FreeAs(g_tracer.OnUsualSampledFree(state, block), block);
}

// As for the operator new: a block is counted here if it is the allocator's own, and nothing was counted underneath.
template <typename... Arguments>
void DestroySampled(void* block, void (*destroy)(void*, Arguments...), Arguments... arguments) {
  if (boot::Owns(block)) return;
  if (!Operators().IsOfAllocator(destroy)) return destroy(block, arguments...);
  Tracer::Leaving leaving = g_tracer.TakeOut(block);
  const uint64_t counted_before = g_tracer.CountedHere().freed_blocks;
  destroy(block, arguments...);
  if (g_tracer.CountedHere().freed_blocks != counted_before) g_tracer.NoteCountedUnderneath(&leaving);
  g_tracer.Charge(leaving);
}

// The first use, and operators that are not libstdc++'s. `kDestroy` is the next operator.
template <auto kDestroy, typename... Arguments>
__attribute__((noinline)) void DestroyOther(void* block, Arguments... arguments) {
  const auto destroy = Operators().*kDestroy;
  if (!Operators().foreign || destroy == nullptr) return Free(block);
  if (block != nullptr && g_tracer.sampling()) return DestroySampled(block, destroy, arguments...);
  if (block != nullptr && Forget(block)) destroy(block, arguments...);
}
template <auto kDestroy, typename... Arguments>
inline __attribute__((always_inline)) void Destroy(void* block, Arguments... arguments) {
  if (OperatorsArePlain()) return Free(block);
  DestroyOther<kDestroy>(block, arguments...);
}

}  // namespace

extern "C" {

ALLOCLINE_HOOK void free(void* block) { Free(block); }

ALLOCLINE_HOOK void free_sized(void* block, size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (next == nullptr || next->free_sized == nullptr) return Free(block);
  if (block == nullptr || !Forget(block)) return;
  next->free_sized(block, bytes < next->smallest_request ? next->smallest_request : bytes);
}

ALLOCLINE_HOOK void free_aligned_sized(void* block, size_t alignment, size_t bytes) {
  const NextAllocator* next = NextOrNull();
  if (next == nullptr || next->free_aligned_sized == nullptr) return Free(block);
  if (block == nullptr || !Forget(block)) return;
  next->free_aligned_sized(block, alignment, bytes < next->smallest_request ? next->smallest_request : bytes);
}
}

ALLOCLINE_HOOK void operator delete(void* block) noexcept { Destroy<&NextOperators::destroy>(block); }
ALLOCLINE_HOOK void operator delete[](void* block) noexcept { Destroy<&NextOperators::destroy_array>(block); }
ALLOCLINE_HOOK void operator delete(void* block, size_t) noexcept { Destroy<&NextOperators::destroy>(block); }
ALLOCLINE_HOOK void operator delete[](void* block, size_t) noexcept { Destroy<&NextOperators::destroy_array>(block); }
ALLOCLINE_HOOK void operator delete(void* block, const std::nothrow_t&) noexcept {
  Destroy<&NextOperators::destroy>(block);
}
ALLOCLINE_HOOK void operator delete[](void* block, const std::nothrow_t&) noexcept {
  Destroy<&NextOperators::destroy_array>(block);
}
ALLOCLINE_HOOK void operator delete(void* block, std::align_val_t alignment) noexcept {
  Destroy<&NextOperators::destroy_aligned>(block, alignment);
}
ALLOCLINE_HOOK void operator delete[](void* block, std::align_val_t alignment) noexcept {
  Destroy<&NextOperators::destroy_array_aligned>(block, alignment);
}
ALLOCLINE_HOOK void operator delete(void* block, size_t, std::align_val_t alignment) noexcept {
  Destroy<&NextOperators::destroy_aligned>(block, alignment);
}
ALLOCLINE_HOOK void operator delete[](void* block, size_t, std::align_val_t alignment) noexcept {
  Destroy<&NextOperators::destroy_array_aligned>(block, alignment);
}
ALLOCLINE_HOOK void operator delete(void* block, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  Destroy<&NextOperators::destroy_aligned>(block, alignment);
}
ALLOCLINE_HOOK void operator delete[](void* block, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  Destroy<&NextOperators::destroy_array_aligned>(block, alignment);
}
