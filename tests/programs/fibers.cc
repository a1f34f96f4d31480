// Fibers on swapcontext, their stacks in malloc'ed memory that is freed and used again.
#include <ucontext.h>

#include "truth.h"

static constexpr size_t kStackBytes = 64 << 10;
static ucontext_t scheduler, fiber[8];

static NEVER_INLINE void Step(int self, int depth) {
  if (depth > 0) return Step(self, depth - 1), Keep(&self);
  void* block = malloc(100);  // LINE: inside 0/0 of 200000/2000
  Keep(block);
  swapcontext(&fiber[self], &scheduler);
  free(block);
  void* kept = malloc(3);  // LINE: kept 6000/2000
  Keep(kept);
}

static void Body(int self) {
  for (int i = 0; i < 5; ++i) Step(self, self);
}

int main() {
  for (int generation = 0; generation < 50; ++generation) {
    char* stacks[8];
    for (int i = 0; i < 8; ++i) {
      stacks[i] = static_cast<char*>(malloc(kStackBytes));  // LINE: stacks 0/0 of 26214400/400
      getcontext(&fiber[i]);
      fiber[i].uc_stack.ss_sp = stacks[i];
      fiber[i].uc_stack.ss_size = kStackBytes;
      fiber[i].uc_link = &scheduler;
      makecontext(&fiber[i], reinterpret_cast<void (*)()>(Body), 1, i);
    }
    for (int round = 0; round < 6; ++round) {
      for (int i = 0; i < 8; ++i) swapcontext(&scheduler, &fiber[i]);
    }
    for (char* stack : stacks) free(stack);
  }
}
