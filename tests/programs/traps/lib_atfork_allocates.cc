// A library whose atfork handler allocates in the child, and was registered before anybody else's.
#include <pthread.h>
#include <stdlib.h>

#include "../truth.h"

__attribute__((constructor)) static void Register() {
  pthread_atfork(nullptr, nullptr, [] {
    void* kept = malloc(5000);
    Keep(kept);
  });
}
