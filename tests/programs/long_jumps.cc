// longjmp skips frames that the tracer saw; what was allocated on the way stays allocated.
#include <setjmp.h>

#include "truth.h"

static jmp_buf target;
static int rounds;  // not a local of main: longjmp may bring back an old value of that

static NEVER_INLINE void Jump(int depth) {
  void* block = malloc(24);  // LINE: abandoned 264000/11000
  Keep(block);
  if (Opaque(depth) == 0) longjmp(target, 1);
  Opaque (&Jump)(depth - 1);
  Keep(block);
}

int main() {
  for (rounds = 0; rounds < 1000; ++rounds) {
    if (setjmp(target) == 0) Jump(10);
    void* after = malloc(8);  // LINE: after 0/0 of 8000/1000
    Keep(after);
    free(after);
  }
}
