// A block belongs to the line of its last realloc, with the size asked for there.
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "truth.h"

int main() {
  char* chain = static_cast<char*>(malloc(100));  // LINE: first 0/0 of 100/1
  Keep(chain);
  char* in_place = static_cast<char*>(realloc(chain, 101));  // LINE: in_place 0/0 of 101/1
  REQUIRE(in_place == chain);
  char* moved = static_cast<char*>(realloc(in_place, 64 << 20));  // LINE: moved 0/0 of 67108864/1
  REQUIRE(moved != in_place);
  char* shrunk = static_cast<char*>(realloc(moved, 50));  // LINE: shrunk 50/1
  Keep(shrunk);

  // The kernel moves these pages (mremap).
  char* large = static_cast<char*>(malloc(8 << 20));  // LINE: large 0/0 of 8388608/1
  Keep(large);
  large = static_cast<char*>(realloc(large, 80 << 20));  // LINE: larger 83886080/1
  Keep(large);

  void* from_null = realloc(Opaque<void*>(nullptr), 70);  // LINE: from_null 70/1
  Keep(from_null);

  void* survivor = malloc(60);  // LINE: survivor 60/1
  Keep(survivor);
  errno = 0;
  void* failed = realloc(survivor, Opaque<size_t>(PTRDIFF_MAX) - 4096);
  REQUIRE(failed == nullptr && errno == ENOMEM);

  void* ended = malloc(40);  // LINE: ended 0/0 of 40/1
  Keep(ended);
  REQUIRE(realloc(ended, Opaque(0)) == nullptr);  // glibc frees

  char* stepped = nullptr;
  Amount steps;
  for (size_t bytes = 1; bytes <= 3000; ++bytes) {
    stepped = static_cast<char*>(realloc(stepped, bytes));  // LINE: steps
    Keep(stepped);
    if (bytes > 1) steps.Free(bytes - 1);
    steps.Allocate(bytes);
  }
  Say("steps", steps);
}
