// Threads that allocate and free for ever, each publishing what it has live in a file shared with the test: the truth
// at the moment of a SIGKILL, but for the one call that each thread may be in the middle of. Arguments: the file, and
// the seed. New call stacks keep coming, so that the recording grows while it is killed; blocks also change hands.
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>

#include "many_stacks.h"
#include "published_truth.h"

static PublishedTruth* truth;
static unsigned seed;
static std::atomic<char*> handed_over[64];

struct Worker {
  unsigned random;
  long live = 0;
  ThreadTruth* published;
  char* blocks[256] = {};

  unsigned Random() { return random = random * 1664525 + 1013904223, random >> 8; }
  size_t SizeOf(char* block) {
    unsigned size;
    memcpy(&size, block, sizeof size);
    return size;
  }
  char* Sized(char* block, unsigned size) {
    memcpy(block, &size, sizeof size);
    return block;
  }
  void Publish(long change) {
    live += change;
    published->live_bytes.store(live, std::memory_order_relaxed);
    published->operations.fetch_add(1, std::memory_order_relaxed);
  }
};

static thread_local Worker* worker;

static void Allocate(unsigned slot) {
  Worker& w = *worker;
  unsigned size = 4 + w.Random() % (kLargestBlock - 4);
  w.blocks[slot % 256] = w.Sized(static_cast<char*>(malloc(size)), size);  // LINE: allocated
  w.Publish(size);
}

static void Step(Worker& w) {
  unsigned slot = w.Random() % 256;
  char*& block = w.blocks[slot];
  if (block == nullptr) {
    // Up to 2^14 stacks of 14 frames; a few of them are taken most of the time.
    unsigned path = w.Random() % 8 == 0 ? w.Random() : w.Random() % 16;
    Down(path, 14, slot, Allocate);
  } else if (w.Random() % 4 == 0) {
    unsigned size = 4 + w.Random() % (kLargestBlock - 4);
    long change = static_cast<long>(size) - static_cast<long>(w.SizeOf(block));
    block = w.Sized(static_cast<char*>(realloc(block, size)), size);  // LINE: reallocated
    w.Publish(change);
  } else if (w.Random() % 4 == 0) {
    block = handed_over[w.Random() % 64].exchange(block);
  } else {
    long size = static_cast<long>(w.SizeOf(block));
    free(block);
    block = nullptr;
    w.Publish(-size);
  }
}

static void* Body(void* argument) {
  size_t self = reinterpret_cast<size_t>(argument);
  static Worker workers[kPublishingThreads];
  worker = &workers[self];
  worker->random = seed * 977 + static_cast<unsigned>(self) * 7919;
  worker->published = &truth->threads[self];
  for (;;) Step(*worker);
}

int main(int argc, char** argv) {
  REQUIRE(argc == 3);
  int fd = open(argv[1], O_RDWR);
  REQUIRE(fd >= 0);
  truth =
      static_cast<PublishedTruth*>(mmap(nullptr, sizeof(PublishedTruth), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  REQUIRE(truth != MAP_FAILED);
  close(fd);
  seed = static_cast<unsigned>(atoi(argv[2]));
  pthread_t threads[kPublishingThreads];
  for (size_t i = 0; i < kPublishingThreads; ++i) {
    REQUIRE(pthread_create(&threads[i], nullptr, Body, reinterpret_cast<void*>(i)) == 0);  // LINE: spawned any
  }
  pthread_join(threads[0], nullptr);
}
