// Loaded by plugins.cc. The same code as plugin_b.cc, at other lines.
#include "truth.h"

extern "C" void Run(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    void* kept = malloc(100);  // LINE: a_kept 10000/100
    Keep(kept);
    void* gone = malloc(200);  // LINE: a_gone 0/0 of 20000/100
    Keep(gone);
    free(gone);
  }
}
