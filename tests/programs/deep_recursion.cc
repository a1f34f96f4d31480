// Stacks deeper than any limit: attribution to the innermost line and the numbers stay exact.
#include "truth.h"

static NEVER_INLINE void Descend(int depth) {
  char frame[64];
  Keep(frame);
  if (depth > 0) Descend(depth - 1);
  if (depth % 500 == 0) {
    void* block = malloc(32);  // LINE: bottom 672/21
    Keep(block);
  }
  Keep(frame);
}

int main() { Descend(10000); }
