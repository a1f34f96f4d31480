// calloc and reallocarray count the product; a product that overflows counts nothing.
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "truth.h"

int main() {
  char* zeroed = static_cast<char*>(calloc(7, 11));  // LINE: zeroed 77/1
  for (int i = 0; i < 77; ++i) REQUIRE(zeroed[i] == 0);
  void* none = calloc(Opaque(0), 8);  // LINE: none 0/1
  Keep(none);
  errno = 0;
  void* overflowed = calloc(Opaque(SIZE_MAX / 2), 3);
  Keep(overflowed);
  REQUIRE(Opaque(overflowed) == nullptr && errno == ENOMEM);
  void* array = reallocarray(nullptr, 10, 10);  // LINE: array 0/0 of 100/1
  Keep(array);
  array = reallocarray(array, 20, 10);  // LINE: grown 200/1
  Keep(array);
  errno = 0;
  REQUIRE(reallocarray(Opaque(array), Opaque(SIZE_MAX / 2), 3) == nullptr && errno == ENOMEM);
  memset(array, 1, 200);
  // Reused memory must be zeroed as well.
  for (int i = 0; i < 1000; ++i) {
    char* again = static_cast<char*>(calloc(3, 100));  // LINE: again 0/0 of 300000/1000
    for (int j = 0; j < 300; ++j) REQUIRE(again[j] == 0);
    memset(again, 0xff, 300);
    Keep(again);
    free(again);
  }
}
