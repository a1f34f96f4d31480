// Comes to a peak in the middle of its run, whose lines are known. Arguments: the bytes of the second line at the peak,
// and how many threads hold them. Then all of that is freed, another line allocates half as much, and in the end 1000
// bytes are left.
#include <pthread.h>

#include "../truth.h"

static constexpr size_t kBlock = 1000, kFirst = 100;
static size_t g_blocks;  // of each thread at the second line

static NEVER_INLINE void* AtTheBeginning() {
  void* block = malloc(kBlock);  // LINE: beginning any
  Keep(block);
  return block;
}
static NEVER_INLINE void* AtThePeak() {
  void* block = malloc(kBlock);  // LINE: peak any
  Keep(block);
  return block;
}
static NEVER_INLINE void* Afterwards() {
  void* block = malloc(kBlock);  // LINE: afterwards any
  Keep(block);
  return block;
}

static void* Run(void*) {
  void* first[kFirst];
  for (void*& block : first) block = AtTheBeginning();
  void** blocks = static_cast<void**>(malloc(g_blocks * sizeof(void*)));  // LINE: list any
  for (size_t i = 0; i < g_blocks; ++i) blocks[i] = AtThePeak();
  for (size_t i = 0; i < g_blocks; ++i) free(blocks[i]);
  for (size_t i = 0; i < g_blocks / 2; ++i) blocks[i] = Afterwards();
  for (size_t i = 0; i < g_blocks / 2; ++i) free(blocks[i]);
  for (void*& block : first) free(block);
  free(blocks);
  return nullptr;
}

int main(int argc, char** argv) {
  REQUIRE(argc == 3);
  const int threads = atoi(argv[2]);
  g_blocks = static_cast<size_t>(atol(argv[1])) / kBlock / static_cast<size_t>(threads);
  if (threads == 1) {
    Run(nullptr);
  } else {
    pthread_t ids[16];
    for (int i = 0; i < threads; ++i) REQUIRE(pthread_create(&ids[i], nullptr, Run, nullptr) == 0);  // LINE: made any
    for (int i = 0; i < threads; ++i) pthread_join(ids[i], nullptr);
  }
  Afterwards();
}
