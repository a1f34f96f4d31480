// Loads lib_fake_python and runs it, beside a block of its own.
#include <dlfcn.h>

#include "../truth.h"
#include "library_path.h"

int main() {
  void* library = dlopen(Beside("lib_fake_python.so").text, RTLD_NOW | RTLD_LOCAL);  // LINE: loaded any
  REQUIRE(library != nullptr);
  void* held = malloc(1234567);  // LINE: held 1234567/1
  Keep(held);
  auto run = reinterpret_cast<int (*)()>(dlsym(library, "Run"));  // LINE: found any
  REQUIRE(run() == 900);
}
