// Peaks at 50,000 bytes, less than a thread publishes at a time, and ends with nothing.
#include <stdlib.h>

int main(void) {
  void* block = malloc(50000);
  __asm__ volatile("" : : "r"(block) : "memory");
  free(block);
  return 0;
}
