// Code that was unloaded keeps its blocks, also when another library is loaded where it was.
#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "truth.h"

static uintptr_t LoadAndRun(const char* name, int rounds) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  REQUIRE(length > 0);
  path[length] = '\0';
  char* slash = strrchr(path, '/');
  snprintf(slash + 1, sizeof(path) - static_cast<size_t>(slash + 1 - path), "%s", name);
  void* library = dlopen(path, RTLD_NOW);  // LINE: loaded any
  REQUIRE(library != nullptr);
  auto run = reinterpret_cast<void (*)(int)>(dlsym(library, "Run"));
  REQUIRE(run != nullptr);
  run(rounds);
  link_map* map = nullptr;
  REQUIRE(dlinfo(library, RTLD_DI_LINKMAP, &map) == 0);
  uintptr_t base = map->l_addr;
  REQUIRE(dlclose(library) == 0);
  return base;
}

int main() {
  int reused = 0;
  for (int i = 0; i < 10; ++i) {
    uintptr_t a = LoadAndRun("plugin_a.so", 10);
    uintptr_t b = LoadAndRun("plugin_b.so", 20);
    reused += a == b;
  }
  REQUIRE(reused > 0);  // otherwise this program shows less than it is for
}
