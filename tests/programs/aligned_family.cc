// Every function that aligns counts the bytes asked for, not those it took for the alignment.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>

#include "truth.h"

static bool IsAligned(const void* pointer, uintptr_t alignment) {
  return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

int main() {
  void* posix = nullptr;
  REQUIRE(posix_memalign(&posix, 256, 100) == 0 && IsAligned(posix, 256));  // LINE: posix 100/1
  void* c11 = aligned_alloc(64, 192);                                       // LINE: c11 192/1
  Keep(c11);
  REQUIRE(IsAligned(c11, 64));
  void* old = memalign(4096, 10);  // LINE: old 10/1
  Keep(old);
  REQUIRE(IsAligned(old, 4096));
  void* page = valloc(50);  // LINE: page 50/1
  Keep(page);
  REQUIRE(IsAligned(page, 4096));
  void* pages = pvalloc(Opaque(5000));  // LINE: pages 5000/1
  Keep(pages);
  REQUIRE(IsAligned(pages, 4096));

  void* untouched = &posix;
  REQUIRE(posix_memalign(&untouched, Opaque(3), 100) == EINVAL && untouched == &posix);
  REQUIRE(posix_memalign(&untouched, 64, Opaque<size_t>(PTRDIFF_MAX)) == ENOMEM && untouched == &posix);

  void* gone = nullptr;
  for (size_t shift = 4; shift < 22; ++shift) {
    REQUIRE(posix_memalign(&gone, size_t{1} << shift, 33) == 0);  // LINE: gone 0/0 of 594/18
    REQUIRE(IsAligned(gone, size_t{1} << shift));
    free(gone);
  }

  // realloc of an aligned block: the new block is ordinary.
  void* aligned = memalign(1024, 77);  // LINE: aligned 0/0 of 77/1
  Keep(aligned);
  aligned = realloc(aligned, 770000);  // LINE: relocated 770000/1
  Keep(aligned);
}
