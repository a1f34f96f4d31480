// A function that realigns its stack, entered from different heights: its own frame then begins at the same place, and
// the return address of the call before is still there, in what its caller has of room and does not use.
#include <alloca.h>

#include "truth.h"

static NEVER_INLINE void Realigned() {
  alignas(64) char aligned[64];
  char* more = static_cast<char*>(alloca(Opaque<size_t>(16)));  // so g++ keeps the caller's stack pointer in memory
  Keep(aligned), Keep(more);
  void* block = malloc(10);  // LINE: block 0/0 of 30000/3000
  Keep(block);
  free(block);
  Keep(aligned), Keep(more);
}

template <int kBytes>
static NEVER_INLINE void CallFrom() {
  char room[kBytes];
  Keep(room);
  Realigned();
  Keep(room);
}

int main() {
  void (*const callers[])() = {CallFrom<8>, CallFrom<24>, CallFrom<40>, CallFrom<56>, CallFrom<72>};
  for (int i = 0; i < 600; ++i) {
    for (auto call : callers) Opaque(call)();
  }
}
