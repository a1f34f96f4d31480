// Blocks cross between the traced program and a library that is bound past the tracer, in both directions.
#include <dlfcn.h>

#include "../truth.h"
#include "library_path.h"

int main() {
  void* library = dlopen(Beside("lib_deepbind.so").text, RTLD_NOW | RTLD_DEEPBIND);  // LINE: loaded any
  REQUIRE(library != nullptr);
  auto make = reinterpret_cast<void* (*)()>(dlsym(library, "MakeBlock"));
  auto text = reinterpret_cast<char* (*)()>(dlsym(library, "MakeText"));
  auto release = reinterpret_cast<void (*)(void*)>(dlsym(library, "Release"));
  for (int i = 0; i < 1000; ++i) {
    free(make());
    char* copy = text();
    REQUIRE(strcmp(copy, "made by libc") == 0);
    free(copy);
    // The record of a block freed unseen is replaced when its address comes back: at most one is ever left.
    void* given_away = malloc(256);  // LINE: given_away any
    Keep(given_away);
    release(given_away);
  }
  void* kept = malloc(99);  // LINE: kept 99/1
  Keep(kept);
}
