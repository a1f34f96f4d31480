// The program brings its own operator new: still an allocator's entry, the user's line is where `new` stands.
#include <new>

#include "truth.h"

static int calls;

void* operator new(size_t bytes) {
  ++calls;
  void* block = malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  Keep(block);
  return block;
}
NEVER_INLINE void operator delete(void* block) noexcept { free(block); }
NEVER_INLINE void operator delete(void* block, size_t) noexcept { free(block); }

struct Thing {
  char bytes[48];
};

int main() {
  Thing* kept = new Thing;  // LINE: kept 48/1
  Keep(kept);
  Thing* gone = new Thing;  // LINE: gone 0/0 of 48/1
  Keep(gone);
  delete gone;
  REQUIRE(calls == 2);
}
