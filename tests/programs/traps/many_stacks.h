// Calls a function from as many distinct stacks as wanted: the bits of a number choose the way down.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRAPS_MANY_STACKS_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRAPS_MANY_STACKS_H_

#include "../truth.h"

using Action = void (*)(unsigned);

static NEVER_INLINE void Down(unsigned path, int depth, unsigned number, Action action);

static NEVER_INLINE void Left(unsigned path, int depth, unsigned number, Action action) {
  Down(path, depth, number, action);
  asm volatile("");  // not a jump
}
static NEVER_INLINE void Right(unsigned path, int depth, unsigned number, Action action) {
  Down(path, depth, number, action);
  asm volatile("# right");  // not the same code as Left
}
static NEVER_INLINE void Down(unsigned path, int depth, unsigned number, Action action) {
  if (depth == 0) {
    action(number);
  } else if (path & 1) {
    Left(path >> 1, depth - 1, number, action);
  } else {
    Right(path >> 1, depth - 1, number, action);
  }
  asm volatile("");
}

// action(0), ..., action(stacks - 1), each from its own stack.
inline void WithManyStacks(unsigned stacks, Action action) {
  for (unsigned i = 0; i < stacks; ++i) Down(i, 20, i, action);
}

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRAPS_MANY_STACKS_H_
