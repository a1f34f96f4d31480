// Several threads allocate at the same lines and at their own.
#include <pthread.h>

#include "truth.h"

// All are there at once, whatever the machine is doing.
static pthread_barrier_t barrier;

static void* Body(void* argument) {
  size_t self = reinterpret_cast<size_t>(argument);
  char name[16];
  snprintf(name, sizeof(name), "worker-%zu", self);
  pthread_setname_np(pthread_self(), name);
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < 10000; ++i) {
    void* kept = malloc(self + 1);  // LINE: kept 100000/40000
    Keep(kept);
    void* gone = malloc(i % 100);  // LINE: gone 0/0 of 1980000/40000
    Keep(gone);
    free(gone);
  }
  pthread_barrier_wait(&barrier);
  return nullptr;
}

int main() {
  pthread_t threads[4];
  pthread_barrier_init(&barrier, nullptr, 4);
  for (size_t i = 0; i < 4; ++i) {
    REQUIRE(pthread_create(&threads[i], nullptr, Body, reinterpret_cast<void*>(i)) == 0);  // LINE: spawned any
  }
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
