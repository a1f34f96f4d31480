// Blocks that came past the tracer, by libc's own names, and blocks of the tracer's that leave by them. `early` is what
// the dynamic loader and the C library allocated before anyone could see it.
#include <string.h>

#include "../truth.h"

extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_calloc(size_t, size_t);
extern "C" void* __libc_realloc(void*, size_t);
extern "C" void __libc_free(void*);

int main() {
  for (int i = 0; i < 1000; ++i) {
    void* unseen = __libc_malloc(100);
    memset(unseen, 1, 100);
    free(unseen);
    void* zeroed = __libc_calloc(1, 1000);
    Keep(zeroed);
    free(zeroed);
  }
  // realloc of a block nobody saw begins a record.
  char* adopted = static_cast<char*>(__libc_malloc(10));
  strcpy(adopted, "adopted");
  adopted = static_cast<char*>(realloc(adopted, 3000));  // LINE: adopted 3000/1
  REQUIRE(strcmp(adopted, "adopted") == 0);
  // Freed unseen, the record stays until its address is freed again by a call that is seen.
  void* left = malloc(5000);  // LINE: left 0/0 of 5000/1
  Keep(left);
  __libc_free(left);
  void* again = __libc_malloc(5000);
  REQUIRE(again == Opaque(left));
  free(again);
}
