// C11 threads never pass pthread_create.
#include <threads.h>

#include "truth.h"

static int Body(void* argument) {
  void* kept = malloc(64);  // LINE: kept 192/3
  Keep(kept);
  free(argument);
  return 0;
}

int main() {
  for (int i = 0; i < 3; ++i) {
    void* block = malloc(32);  // LINE: handed_over 0/0 of 96/3
    thrd_t thread;
    REQUIRE(thrd_create(&thread, Body, block) == thrd_success);  // LINE: spawned any
    thrd_join(thread, nullptr);
  }
}
