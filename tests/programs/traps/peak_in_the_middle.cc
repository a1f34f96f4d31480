// Comes to a peak in the middle of its run, whose lines are known. Arguments: the bytes of the second line at the peak,
// and how many threads hold them. Then all of that is freed, another line allocates half as much, and in the end 1000
// bytes are left. A third argument: the threads wait for each other at the peak, where one of them adds a twentieth.
#include <pthread.h>

#include "../truth.h"

static constexpr size_t kBlock = 1000, kFirst = 100;
static size_t g_blocks;  // of each thread at the second line
static pthread_barrier_t g_peak;
static bool g_together;

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

static void* g_added[100'000];
static size_t g_additions;
static void AddATwentieth() {
  for (size_t i = 0; i < g_additions; ++i) g_added[i] = AtThePeak();
}

static void* Run(void*) {
  void* first[kFirst];
  for (void*& block : first) block = AtTheBeginning();
  void** blocks = static_cast<void**>(malloc(g_blocks * sizeof(void*)));  // LINE: list any
  for (size_t i = 0; i < g_blocks; ++i) blocks[i] = AtThePeak();
  if (g_together) {
    if (pthread_barrier_wait(&g_peak) == PTHREAD_BARRIER_SERIAL_THREAD) AddATwentieth();
    pthread_barrier_wait(&g_peak);
  }
  for (size_t i = 0; i < g_blocks; ++i) free(blocks[i]);
  for (size_t i = 0; i < g_blocks / 2; ++i) blocks[i] = Afterwards();
  for (size_t i = 0; i < g_blocks / 2; ++i) free(blocks[i]);
  for (void*& block : first) free(block);
  free(blocks);
  return nullptr;
}

int main(int argc, char** argv) {
  REQUIRE(argc == 3 || argc == 4);
  const int threads = atoi(argv[2]);
  g_blocks = static_cast<size_t>(atol(argv[1])) / kBlock / static_cast<size_t>(threads);
  g_together = argc == 4;
  g_additions = g_blocks * static_cast<size_t>(threads) / 20;
  REQUIRE(g_additions < sizeof g_added / sizeof g_added[0]);
  REQUIRE(pthread_barrier_init(&g_peak, nullptr, static_cast<unsigned>(threads)) == 0);
  if (threads == 1) {
    Run(nullptr);
  } else {
    pthread_t ids[16];
    for (int i = 0; i < threads; ++i) REQUIRE(pthread_create(&ids[i], nullptr, Run, nullptr) == 0);  // LINE: made any
    for (int i = 0; i < threads; ++i) pthread_join(ids[i], nullptr);
  }
  for (void* block : g_added) free(block);
  Afterwards();
}
