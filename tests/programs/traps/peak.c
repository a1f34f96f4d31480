// Peaks at 1,000,000 bytes in 1000 blocks, ends with 10 bytes in 1.
#include <stdlib.h>

int main(void) {
  static void* blocks[1000];
  for (int i = 0; i < 1000; ++i) blocks[i] = malloc(1000);
  for (int i = 0; i < 1000; ++i) free(blocks[i]);
  blocks[0] = malloc(10);
  __asm__ volatile("" : : "r"(blocks[0]) : "memory");
  return 0;
}
