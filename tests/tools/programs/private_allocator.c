// Carries an allocator under a name of its own, as databases that link jemalloc in do.
#include <stddef.h>

static char arena[4096];
__attribute__((noinline)) void* duckdb_je_malloc(size_t size) { return size < sizeof arena ? arena : NULL; }

int main(void) { return duckdb_je_malloc(100) != NULL ? 7 : 1; }
