// Preloaded behind the tracer: a dlsym that allocates and frees, as dlsym itself may, while the tracer is still asking
// it for the real malloc.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

extern "C" void* dlsym(void* handle, const char* name) {
  static void* (*real)(void*, const char*);
  static bool busy;
  void* late = nullptr;
  if (!busy) {
    busy = true;  // our own malloc may ask dlsym in turn
    void* block = malloc(100);
    memset(block, 0x55, 100);
    block = realloc(block, 200);
    void* zeroed = calloc(10, 10);
    for (int i = 0; i < 100; ++i) {
      if (static_cast<char*>(zeroed)[i] != 0) abort();
    }
    late = aligned_alloc(64, 64);
    if (reinterpret_cast<size_t>(late) % 64 != 0) abort();
    free(zeroed);
    free(block);
    busy = false;
  }
  if (real == nullptr)
    real = reinterpret_cast<void* (*)(void*, const char*)>(dlvsym(RTLD_DEFAULT, "dlsym", "GLIBC_2.2.5"));
  void* result = real(handle, name);
  free(late);  // a block of before the real malloc, freed after
  return result;
}
