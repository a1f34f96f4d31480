// Threads allocate in callbacks of dl_iterate_phdr, under the loader's lock, while others allocate from stacks that
// nobody has unwound yet: plugins that come and go.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include "../truth.h"
#include "library_path.h"

static NEVER_INLINE int Allocate(dl_phdr_info*, size_t, void*) {
  void* block = malloc(10);
  Keep(block);
  free(block);
  return 0;
}

static void* Walk(void*) {
  for (int i = 0; i < 1000; ++i) dl_iterate_phdr(Allocate, nullptr);
  return nullptr;
}

static void* Load(void*) {
  for (int i = 0; i < 300; ++i) {
    void* library = dlopen(Beside(i % 2 == 0 ? "lib_plugin_one.so" : "lib_plugin_two.so").text, RTLD_NOW);
    REQUIRE(library != nullptr);
    reinterpret_cast<void (*)(int)>(dlsym(library, "Run"))(1);
    dlclose(library);
  }
  return nullptr;
}

int main() {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) REQUIRE(pthread_create(&threads[i], nullptr, i < 2 ? Walk : Load, nullptr) == 0);
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
