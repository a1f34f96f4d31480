// The operators new and delete behind us: libstdc++'s, or a library's of its own.
//
// Threads: any; found at the first use, twice if two threads are at it, with the same result.
#ifndef ALLOCLINE_TRACER_NEXT_OPERATORS_H_
#define ALLOCLINE_TRACER_NEXT_OPERATORS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace allocline {

struct NextOperators {
  std::atomic<bool> known{false};
  std::atomic<bool> plain{false};  // known, and not foreign
  bool foreign = false;            // not libstdc++'s or libc++'s
  // Where the library lies whose malloc is next: blocks of its own operators, if it has any, are malloc's too.
  uintptr_t allocator_start = 0, allocator_bytes = 0;
  template <typename Function>
  bool IsOfAllocator(Function* function) const {
    return reinterpret_cast<uintptr_t>(function) - allocator_start < allocator_bytes;
  }
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

[[gnu::visibility("hidden")]] extern NextOperators g_next_operators;
void FindNextOperators();

// Whether ours need not ask theirs: malloc and free are all there is to it. False before that is known, too.
inline bool OperatorsArePlain() {
  // Relaxed: who sees it uses nothing else of them.
  return __builtin_expect(g_next_operators.plain.load(std::memory_order_relaxed), 1);
}

// Looked up at the first C++ allocation, not earlier: libstdc++ may come late.
inline const NextOperators& Operators() {
  // Acquire: who sees that they are known sees them. Pairs with the release in FindNextOperators().
  if (__builtin_expect(!g_next_operators.known.load(std::memory_order_acquire), 0)) FindNextOperators();
  return g_next_operators;
}

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_NEXT_OPERATORS_H_
