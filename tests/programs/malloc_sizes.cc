// Blocks of all sizes, of none too, some freed.
#include <malloc.h>
#include <string.h>

#include "truth.h"

int main() {
  void* none = malloc(Opaque(0));  // LINE: none 0/1
  Keep(none);
  void* one = malloc(1);  // LINE: one 1/1
  Keep(one);
  void* odd = malloc(23);                   // LINE: odd 23/1
  memset(odd, 1, malloc_usable_size(odd));  // using the slack does not change what was asked for
  void* page = malloc(4096);                // LINE: page 4096/1
  Keep(page);
  void* mapped = malloc(64 << 20);  // LINE: mapped 67108864/1
  Keep(mapped);
  void* gone = malloc(64 << 20);  // LINE: gone 0/0 of 67108864/1
  Keep(gone);
  free(gone);
  void* blocks[1000];
  for (void*& block : blocks) block = malloc(10);  // LINE: half 5000/500 of 10000/1000
  for (int i = 0; i < 1000; i += 2) free(blocks[i]);
  for (int i = 0; i < 100000; ++i) {
    void* brief = malloc(static_cast<size_t>(i % 300));  // LINE: brief 0/0 of 14940000/100000
    Keep(brief);
    free(brief);
  }
  free(nullptr);
}
