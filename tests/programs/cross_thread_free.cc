// What one thread allocates another frees, at the same time: charged to the line that allocated.
#include <pthread.h>

#include <atomic>

#include "truth.h"

static constexpr int kBlocks = 100000;
static std::atomic<void*> slots[1024];
static std::atomic<bool> done;

static void* Consume(void*) {
  for (bool last = false; !last;) {
    last = done.load();  // one more round after the producers' last block
    for (auto& slot : slots) free(slot.exchange(nullptr));
  }
  return nullptr;
}

static void* Produce(void* argument) {
  size_t start = reinterpret_cast<size_t>(argument);
  for (size_t i = 0; i < kBlocks; ++i) {
    void* block = malloc(10 + i % 1000);  // LINE: handed_over 0/0 of 101900000/200000
    Keep(block);
    free(slots[(start + i) % 1024].exchange(block));
  }
  return nullptr;
}

int main() {
  pthread_t consumer, producers[2];
  pthread_create(&consumer, nullptr, Consume, nullptr);  // LINE: spawned_consumer any
  for (size_t i = 0; i < 2; ++i) {
    pthread_create(&producers[i], nullptr, Produce, reinterpret_cast<void*>(i * 512));  // LINE: spawned any
  }
  for (pthread_t producer : producers) pthread_join(producer, nullptr);
  done = true;
  pthread_join(consumer, nullptr);
  void* kept = malloc(11);  // LINE: kept 11/1
  Keep(kept);
}
