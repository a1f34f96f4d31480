// operator new that fails asks the program's handler, which frees a reserve, and tries again.
#include <stdint.h>
#include <sys/resource.h>

#include <new>

#include "truth.h"

static char* reserve;
static int calls;

static void ReleaseReserve() {
  ++calls;
  if (reserve == nullptr) throw std::bad_alloc();  // LINE: refused 0/0 of 136/1
  delete[] reserve;
  reserve = nullptr;
}

int main() {
  reserve = new char[512 << 20];  // LINE: reserve 0/0 of 536870912/1
  Keep(reserve);
  std::set_new_handler(ReleaseReserve);
  // Leave 64 MiB of address space.
  FILE* statm = fopen("/proc/self/statm", "r");  // LINE: stream any
  unsigned long pages = 0;
  REQUIRE(statm != nullptr && fscanf(statm, "%lu", &pages) == 1);  // LINE: buffer any
  fclose(statm);
  rlimit limit = {pages * 4096 + (64 << 20), RLIM_INFINITY};
  REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);

  char* large = new char[256 << 20];  // LINE: large 268435456/1
  Keep(large);
  REQUIRE(calls == 1);
  bool thrown = false;
  try {
    Keep(new char[Opaque<size_t>(512) << 20]);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  REQUIRE(thrown && calls == 2);
}
