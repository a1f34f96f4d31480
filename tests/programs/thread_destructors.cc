// Destructors of thread_local objects and of pthread keys allocate and free when the thread is nearly gone; keys come
// back for every round that libc allows.
#include <pthread.h>

#include "truth.h"

static pthread_key_t key;

static void KeyDestructor(void* value) {
  size_t round = reinterpret_cast<size_t>(value);  // 1, 2, 3, 4
  void* kept = malloc(10);                         // LINE: key_kept 800/80
  Keep(kept);
  void* gone = malloc(20);  // LINE: key_gone 0/0 of 1600/80
  Keep(gone);
  free(gone);
  pthread_setspecific(key, reinterpret_cast<void*>(round + 1));
}

struct Local {
  void* block = nullptr;
  ~Local() {
    free(block);
    void* kept = malloc(7);  // LINE: local_kept 140/20
    Keep(kept);
  }
};
// Where its destructor is registered depends: g++ does it at this line, clang at none, so that the caller stands for
// it.
static thread_local Local local;  // LINE: registered any

static void* Body(void*) {
  Local* mine = &local;  // LINE: touched any
  Keep(mine);
  mine->block = malloc(30);  // LINE: local_block 0/0 of 600/20
  Keep(mine->block);
  pthread_setspecific(key, reinterpret_cast<void*>(1));
  return nullptr;
}

int main() {
  REQUIRE(pthread_key_create(&key, KeyDestructor) == 0);
  for (int i = 0; i < 20; ++i) {
    pthread_t thread;
    REQUIRE(pthread_create(&thread, nullptr, Body, nullptr) == 0);  // LINE: spawned any
    pthread_join(thread, nullptr);
  }
}
