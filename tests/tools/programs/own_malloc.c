// Brings its own malloc, a bump allocator, and exports it as programs with an allocator of their own do.
#include <stddef.h>

static char arena[1 << 20];
static size_t used;

void* malloc(size_t size) {
  void* block = arena + used;
  used += (size + 15) & ~(size_t)15;
  return used <= sizeof arena ? block : NULL;
}
void free(void* block) { (void)block; }

int main(void) { return malloc(100) != NULL ? 7 : 1; }
