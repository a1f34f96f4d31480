// Loaded by reloads_plugins.cc. The same code as lib_plugin_one.cc, at other lines.
#include <stdlib.h>

extern "C" {

void Run(int blocks) {
  for (int i = 0; i < blocks; ++i) {
    void* kept = malloc(100);
    asm volatile("" : : "r"(kept) : "memory");
  }
}
}
