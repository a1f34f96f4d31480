// A C program whose every byte is known: libstdc++ is not in the process, nor may its 72,704 byte pool be.
#include <stdlib.h>

int main(void) {
  void* block = malloc(125);  // LINE: kept 125/1
  __asm__ volatile("" : : "r"(block) : "memory");
  return 0;
}
