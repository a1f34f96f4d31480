// dlopen of a library with a lot of static thread-local storage, as jemalloc, libgomp and drivers are.
#include <dlfcn.h>

#include "../truth.h"
#include "library_path.h"

int main() {
  void* library = dlopen(Beside("lib_big_tls.so").text, RTLD_NOW);
  if (library == nullptr) {
    const char* error = dlerror();
    fputs(error, stderr);
    return 1;
  }
  auto block = reinterpret_cast<char* (*)()>(dlsym(library, "Block"));
  for (int i = 0; i < 1200; ++i) block()[i] = 'x';
  void* kept = malloc(100);
  Keep(kept);
}
