// Loaded by plugins.cc, mostly at the addresses that plugin_a.so had.
#include "truth.h"

// Lines of their own, so that a block charged to the other plugin's line cannot look right.
//
//
extern "C" void Run(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    void* kept = malloc(300);  // LINE: b_kept 60000/200
    Keep(kept);
    void* gone = malloc(400);  // LINE: b_gone 0/0 of 80000/200
    Keep(gone);
    free(gone);
  }
}
