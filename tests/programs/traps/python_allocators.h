// PyMemAllocatorEx, as CPython's header has it, for traps that stand in for one of the two sides.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRAPS_PYTHON_ALLOCATORS_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRAPS_PYTHON_ALLOCATORS_H_

#include <stddef.h>

typedef struct {
  void* context;
  void* (*malloc)(void*, size_t);
  void* (*calloc)(void*, size_t, size_t);
  void* (*realloc)(void*, void*, size_t);
  void (*free)(void*, void*);
} Allocator;

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRAPS_PYTHON_ALLOCATORS_H_
