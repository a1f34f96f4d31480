// Compiled without unwind tables: of any stack only the innermost frame can be known.
#include <stdlib.h>

__attribute__((noinline)) void* Allocate(size_t bytes) {
  void* block = malloc(bytes);
  __asm__ volatile("" : : "r"(block) : "memory");
  return block;
}

__attribute__((noinline)) void Calls(void) {
  for (int i = 1; i <= 100; ++i) {
    void* block = Allocate(100);
    if (i % 2 == 0) free(block);
  }
}

int main(void) {
  Calls();
  return 0;
}
