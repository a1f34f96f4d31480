// Four threads allocate and free, each also what others allocated, while the main thread forgets all blocks again and
// again, by clear() and by stop(). In the end everything is freed: no line may have a byte or a block left, or less
// than none. Freed memory goes back to the system at once, so that who looks at a block that is gone meets a fault.
#include <malloc.h>
#include <stdlib.h>

#include <atomic>
#include <thread>
#include <vector>

#include "../../../include/allocline/allocline.h"

static std::atomic<bool> g_done{false};
static std::atomic<void*> g_shared[64];

static void Work(unsigned seed) {
  std::vector<void*> mine(500);
  while (!g_done.load(std::memory_order_relaxed)) {
    seed = seed * 1664525 + 1013904223;
    void*& slot = mine[seed / 65536 % mine.size()];
    free(slot);
    slot = malloc(seed % 64 == 0 ? 200'000 : seed % 1000 + 1);
    if (seed % 16 == 0) slot = g_shared[seed / 256 % 64].exchange(slot);
    if (seed % 128 == 0) slot = realloc(slot, seed % 5000 + 1);
  }
  for (void* block : mine) free(block);
}

int main(int argc, char** argv) {
  mallopt(M_TRIM_THRESHOLD, 0);
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  const int rounds = argc > 1 ? atoi(argv[1]) : 300;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back(Work, i * 7919);
    for (int i = 0; i < rounds; ++i) {
      if (i % 3 != 0) {
        allocline_clear();
      } else {
        allocline_stop();
        allocline_start();
      }
      std::this_thread::yield();
    }
    g_done = true;
  }
  for (auto& block : g_shared) free(block.exchange(nullptr));
}
