// Brings an allocator of its own, which no preload can stand in front of.
#include <string.h>
#include <sys/mman.h>

#include "../truth.h"

static char arena[16 << 20];
static size_t used;
static size_t calls;

extern "C" void* malloc(size_t bytes) {
  ++calls;
  size_t start = __atomic_fetch_add(&used, (bytes + 31) & ~size_t{15}, __ATOMIC_RELAXED);
  if (start + bytes > sizeof(arena)) return nullptr;
  return arena + start + 16;
}
extern "C" void free(void*) {}
extern "C" void* calloc(size_t count, size_t bytes) { return malloc(count * bytes); }
extern "C" void* realloc(void* block, size_t bytes) {
  void* moved = malloc(bytes);
  if (block != nullptr) memcpy(moved, block, bytes);
  return moved;
}

int main() {
  size_t before = calls;
  void* own = malloc(100);
  Keep(own);
  REQUIRE(calls == before + 1);
  REQUIRE(own >= arena && own < arena + sizeof(arena));
  char* copy = strdup("from libc");
  REQUIRE(copy >= arena && copy < arena + sizeof(arena));
}
