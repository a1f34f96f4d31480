// Loads what looks like an interpreter, lib_fake_python.so or another file beside it, and runs it, beside a block of
// its own.
#include <dlfcn.h>

#include "../truth.h"
#include "library_path.h"

int main(int argc, char** argv) {
  void* library =
      dlopen(Beside(argc > 1 ? argv[1] : "lib_fake_python.so").text, RTLD_NOW | RTLD_LOCAL);  // LINE: loaded any
  REQUIRE(library != nullptr);
  void* held = malloc(1234567);  // LINE: held 1234567/1
  Keep(held);
  auto run = reinterpret_cast<int (*)()>(dlsym(library, "Run"));  // LINE: found any
  REQUIRE(run() == 900);
}
