// main returns while threads are still allocating and freeing.
#include <pthread.h>

#include <atomic>

#include "../truth.h"

static std::atomic<int> running;

static void* Allocate(void*) {
  ++running;
  for (;;) {
    void* gone = malloc(50);  // LINE: gone any
    Keep(gone);
    free(gone);
  }
}

int main() {
  for (int i = 0; i < 4; ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, Allocate, nullptr);  // LINE: spawned any
  }
  while (running < 4) usleep(100);
  void* kept = malloc(40);  // LINE: kept 40/1
  Keep(kept);
}
