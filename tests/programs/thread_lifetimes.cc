// Blocks outlive their threads; many threads come and go; one is detached and one leaves by pthread_exit.
#include <pthread.h>
#include <semaphore.h>

#include "truth.h"

static void* blocks[3000];
static sem_t detached_done;

static void* Allocate(void* argument) {
  void** slot = static_cast<void**>(argument);
  *slot = malloc(100);  // LINE: outlived 100000/1000 of 300000/3000
  Keep(*slot);
  return nullptr;
}

static void* Detached(void*) {
  void* kept = malloc(200);  // LINE: detached 200/1
  Keep(kept);
  sem_post(&detached_done);
  return nullptr;
}

static void* Exits(void*) {
  void* kept = malloc(300);  // LINE: exits 300/1
  Keep(kept);
  pthread_exit(nullptr);  // LINE: unwinder_loaded any
}

int main() {
  for (size_t i = 0; i < 3000; i += 3) {
    pthread_t threads[3];
    for (size_t j = 0; j < 3; ++j) {
      REQUIRE(pthread_create(&threads[j], nullptr, Allocate, &blocks[i + j]) == 0);  // LINE: spawned any
    }
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
  }
  for (size_t i = 0; i < 3000; ++i) {
    if (i % 3 != 0) free(blocks[i]);
  }
  sem_init(&detached_done, 0, 0);
  pthread_t detached, exits;
  pthread_create(&detached, nullptr, Detached, nullptr);  // LINE: spawned_detached any
  pthread_detach(detached);
  sem_wait(&detached_done);
  pthread_create(&exits, nullptr, Exits, nullptr);  // LINE: spawned_exits any
  pthread_join(exits, nullptr);
}
