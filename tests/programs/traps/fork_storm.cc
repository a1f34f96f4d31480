// Forks while other threads allocate as fast as they can; each child allocates before it leaves. Nobody may hang.
#include <pthread.h>
#include <sys/wait.h>

#include <atomic>

#include "../truth.h"
#include "many_stacks.h"

static std::atomic<bool> stop;

static void* Allocate(void*) {
  while (!stop) {
    WithManyStacks(100, [](unsigned) {
      void* gone = malloc(50);  // LINE: gone any
      Keep(gone);
      free(gone);
    });
  }
  return nullptr;
}

int main() {
  pthread_t threads[3];
  for (pthread_t& thread : threads) pthread_create(&thread, nullptr, Allocate, nullptr);  // LINE: spawned any
  for (int i = 0; i < 30; ++i) {
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      WithManyStacks(500, [](unsigned) {
        void* kept = malloc(20);  // LINE: in_child 10000/500
        Keep(kept);
      });
      if (i % 2 == 0) exit(0);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  }
  stop = true;
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
