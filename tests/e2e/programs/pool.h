// A small library of the kind that stands between a program and malloc.
#ifndef ALLOCLINE_TESTS_E2E_PROGRAMS_POOL_H_
#define ALLOCLINE_TESTS_E2E_PROGRAMS_POOL_H_

#include <stdlib.h>

inline void* TakeFromPool(size_t bytes) {
  return malloc(bytes);  // LINE: pool
}

#endif  // ALLOCLINE_TESTS_E2E_PROGRAMS_POOL_H_
