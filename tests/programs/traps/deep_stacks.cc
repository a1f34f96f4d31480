// 100,000 frames, on a thread with room for them.
#include <pthread.h>

#include "../truth.h"

static NEVER_INLINE void Descend(int depth) {
  char frame[64];
  Keep(frame);
  if (depth > 0) Descend(depth - 1);
  if (depth % 1000 == 0) {
    void* block = malloc(32);  // LINE: block 3232/101
    Keep(block);
  }
  Keep(frame);
}

int main() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, size_t{64} << 20);
  pthread_t thread;
  const auto body = [](void*) -> void* {
    Descend(100000);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, nullptr) == 0);  // LINE: thread any
  pthread_join(thread, nullptr);
}
