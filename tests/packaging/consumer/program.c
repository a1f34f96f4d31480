// A stranger's C program that uses the API: says whether it is traced, and allocates a block that can be found again.
#include <allocline/allocline.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char* block = malloc(123456);
  allocline_take_snapshot("from C");
  printf("traced: %d\n", allocline_is_tracing() ? 1 : 0);
  printf("block: %d\n", block != NULL);
  free(block);
  return 0;
}
