// malloc is no cancellation point, and must not become one: a thread with a cancellation pending allocates from new
// call stacks, whatever the tracer has to open or write then, and reaches the point it chose itself.
#include <pthread.h>

#include "../truth.h"
#include "many_stacks.h"

static int reached;

static void* Body(void*) {
  pthread_cancel(pthread_self());  // LINE: unwinder_loaded any
  WithManyStacks(20000, [](unsigned) {
    void* kept = malloc(4);  // LINE: stacks 80000/20000
    Keep(kept);
  });
  reached = 1;
  pthread_testcancel();
  reached = 2;
  return nullptr;
}

int main() {
  pthread_t thread;
  REQUIRE(pthread_create(&thread, nullptr, Body, nullptr) == 0);  // LINE: spawned any
  void* result = nullptr;
  pthread_join(thread, &result);
  REQUIRE(reached == 1 && result == PTHREAD_CANCELED);
}
