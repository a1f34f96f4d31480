// What lies underneath our hooks in Python's domains, and the hooks that give blocks back to it.
#ifndef ALLOCLINE_TRACER_PYTHON_NEXT_H_
#define ALLOCLINE_TRACER_PYTHON_NEXT_H_

#include <cstddef>

namespace allocline {

// PyMemAllocatorEx.
struct PythonAllocator {
  void* context;
  void* (*malloc)(void* context, size_t bytes);
  void* (*calloc)(void* context, size_t count, size_t bytes_each);
  void* (*realloc)(void* context, void* block, size_t bytes);
  void (*free)(void* context, void* block);
};

// PyMemAllocatorDomain.
enum PythonDomain : int { kRaw = 0, kMem = 1, kObj = 2 };
inline constexpr int kPythonDomains = 3;
// How often we can be in one domain: once more for each allocator that a program puts on top of us and that keeps us
// for some blocks, or to free those from before.
inline constexpr int kPythonLayers = 3;

[[gnu::visibility("hidden")]] extern PythonAllocator g_next_python[kPythonDomains][kPythonLayers];
// PyMem_GetAllocator.
[[gnu::visibility("hidden")]] extern void (*g_get_python_allocator)(int domain, PythonAllocator*);

// The hook of each. For all domains and layers in python_free.cc.
template <int kDomain, int kLayer>
void FreePython(void* context, void* block);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_NEXT_H_
