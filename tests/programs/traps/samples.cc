// Allocates in every way there is, and adds up by itself what it has live, in bytes as the allocator rounds them. The
// argument says how; the output is "BYTES BLOCKS", the growth between the snapshots "before" and "after".
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "../../../include/allocline/allocline.h"

#define REQUIRE(condition) \
  if (!(condition)) fprintf(stderr, "%s:%d: " #condition "\n", __FILE__, __LINE__), _exit(3)

static std::atomic<long> live_bytes{0}, live_blocks{0};
static bool is_glibc = true;

// What the tracer counts: glibc's size word, or what another allocator answers.
static long Rounded(void* block) {
  if (!is_glibc) return static_cast<long>(malloc_usable_size(block));
  return static_cast<long>((static_cast<size_t*>(block)[-1] & ~size_t{7}) - 8);
}
template <typename T>
static T* Count(T* block) {
  REQUIRE(block != nullptr);
  live_bytes += Rounded(block);
  ++live_blocks;
  return block;
}
template <typename T>
static T* Uncount(T* block) {
  live_bytes -= Rounded(block);
  --live_blocks;
  return block;
}

struct Random {
  uint64_t state;
  explicit Random(uint64_t seed) : state(seed * 2654435761u + 1) {}
  unsigned operator()(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<unsigned>(state >> 33) % below;
  }
  // Mostly small, some of pages, a few beyond the interval.
  size_t Size() {
    const unsigned kind = (*this)(1000);
    if (kind < 900) return (*this)(300);
    if (kind < 990) return (*this)(30'000);
    if (kind < 999) return (*this)(400'000);
    return (*this)(4'000'000);
  }
};

constexpr int kSlots = 4096;
struct Slots {
  void* blocks[kSlots] = {};
  size_t alignments[kSlots] = {};  // of operator new; 1: the plain one
};

static void FreeSlot(Slots& slots, unsigned i) {
  void* block = Uncount(slots.blocks[i]);
  switch (slots.alignments[i]) {
    case 0:
      free(block);
      break;
    case 1:
      operator delete(block);
      break;
    default:
      operator delete(block, std::align_val_t(slots.alignments[i]));
  }
  slots.blocks[i] = nullptr;
  slots.alignments[i] = 0;
}

static void Family(uint64_t seed, int rounds, Slots& slots) {
  Random random(seed);
  for (int round = 0; round < rounds; ++round) {
    const unsigned i = random(kSlots);
    const size_t bytes = random.Size();
    if (slots.blocks[i] != nullptr) {
      if (slots.alignments[i] == 0 && random(2) == 0) {
        void* old = Uncount(slots.blocks[i]);
        if (random(50) == 0) REQUIRE(realloc(old, static_cast<size_t>(PTRDIFF_MAX)) == nullptr);  // stays as it is
        slots.blocks[i] = Count(random(3) == 0 ? reallocarray(old, 3, bytes / 3 + 1) : realloc(old, bytes + 1));
      } else {
        FreeSlot(slots, i);
      }
      continue;
    }
    switch (random(10)) {
      case 0:
        slots.blocks[i] = Count(calloc(7, bytes / 7 + 1));
        break;
      case 1:
        slots.blocks[i] = Count(aligned_alloc(64, (bytes + 63) / 64 * 64));
        break;
      case 2:
        REQUIRE(posix_memalign(&slots.blocks[i], 4096, bytes) == 0);
        Count(slots.blocks[i]);
        break;
      case 3:
        slots.blocks[i] = Count(memalign(256, bytes));
        break;
      case 4:
        slots.blocks[i] = Count(valloc(bytes));
        break;
      case 5:
      case 6:
        slots.blocks[i] = Count(operator new(bytes));
        slots.alignments[i] = 1;
        break;
      case 7:
        slots.blocks[i] = Count(operator new(bytes, std::align_val_t(128)));
        slots.alignments[i] = 128;
        break;
      default:
        slots.blocks[i] = Count(malloc(bytes));
    }
  }
}

// ---- threads that free each other's blocks

static std::atomic<void*> passed_on[512];
static void* PassOn(void* argument) {
  Random random(reinterpret_cast<uint64_t>(argument));
  for (int i = 0; i < 200'000; ++i) {
    void* mine = random(3) == 0 ? nullptr : Count(malloc(random.Size() / 4));
    void* yours = passed_on[random(512)].exchange(mine);
    if (yours != nullptr) free(Uncount(yours));
  }
  return nullptr;
}
static void Threads() {
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; ++i) {
    REQUIRE(pthread_create(&threads[i], nullptr, PassOn, reinterpret_cast<void*>(i + 1)) == 0);
  }
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}

// ---- a handler that allocates, at moments when the allocator can bear it

static Slots handler_slots;
static void OnSignal(int) {
  static uint64_t calls = 0;
  Family(++calls, 3, handler_slots);
}
static void Signals() {
  signal(SIGUSR1, OnSignal);
  static Slots slots;
  for (int i = 0; i < 20'000; ++i) {
    Family(static_cast<uint64_t>(i), 5, slots);
    raise(SIGUSR1);
  }
}

static void* Ignored(void*) {
  static Slots slots;
  allocline_ignore_this_thread(1);
  Family(11, 20'000, slots);
  allocline_ignore_this_thread(0);
  Family(12, 20'000, slots);
  return nullptr;
}

int main(int argc, char** argv) {
  REQUIRE(argc >= 2);
  const auto is = [&](const char* name) { return strcmp(argv[1], name) == 0; };
  is_glibc = argc < 3;
  static Slots slots;
  static char line[200];
  setvbuf(stdout, line, _IOFBF, sizeof line);  // no block of stdio's
  pthread_t thread;
  Family(1, 3000, slots);
  const long bytes_before = live_bytes, blocks_before = live_blocks;
  REQUIRE(allocline_take_snapshot("before") == 0);
  if (is("family")) {
    Family(2, 400'000, slots);
  } else if (is("threads")) {
    Threads();
  } else if (is("signals")) {
    Signals();
  } else if (is("ignored")) {
    REQUIRE(pthread_create(&thread, nullptr, Ignored, nullptr) == 0);
    pthread_join(thread, nullptr);
  } else if (is("fork")) {
    Family(2, 50'000, slots);
    REQUIRE(allocline_take_snapshot("after") == 0);
    printf("%ld %ld\n", live_bytes - bytes_before, live_blocks - blocks_before);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      // Frees what it inherited, and all else.
      Family(3, 50'000, slots);
      for (unsigned i = 0; i < kSlots; ++i) {
        if (slots.blocks[i] != nullptr) FreeSlot(slots, i);
      }
      REQUIRE(allocline_take_snapshot("child") == 0);
      _exit(live_bytes == 0 && live_blocks == 0 ? 0 : 4);
    }
    int status = 1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    return 0;
  } else if (is("clear")) {
    Family(2, 50'000, slots);
    allocline_clear();
    uint64_t current = 1, peak = 1;
    allocline_traced_memory(&current, &peak);
    REQUIRE(current == 0 && peak == 0);
    REQUIRE(allocline_take_snapshot("cleared") == 0);
    const long bytes = live_bytes, blocks = live_blocks;
    static Slots others;
    Family(4, 50'000, others);
    allocline_traced_memory(&current, &peak);
    REQUIRE(static_cast<long>(current) == live_bytes - bytes);
    REQUIRE(peak <= static_cast<uint64_t>(live_bytes - bytes) + (64 << 20) && peak >= current);
    REQUIRE(allocline_take_snapshot("after") == 0);
    printf("%ld %ld\n", live_bytes - bytes, live_blocks - blocks);
    return 0;
  } else if (is("stop")) {
    allocline_stop();
    Family(2, 50'000, slots);
    const long bytes = live_bytes, blocks = live_blocks;
    REQUIRE(allocline_start() == 0);
    static Slots others;
    Family(4, 50'000, others);
    REQUIRE(allocline_take_snapshot("after") == 0);
    printf("%ld %ld\n", live_bytes - bytes, live_blocks - blocks);
    return 0;
  } else if (is("domains")) {
    // Blocks of a pool, and pages: recorded exactly, beside what is counted.
    static char pool[1 << 20];
    for (unsigned i = 0; i < 1000; ++i) {
      REQUIRE(allocline_track(20, pool + i * 1000, 900) == 0);
      live_bytes += 900;
      ++live_blocks;
    }
    for (unsigned i = 0; i < 400; ++i) {
      REQUIRE(allocline_untrack(20, pool + i * 1000) == 0);
      live_bytes -= 900;
      --live_blocks;
    }
    void* pages = mmap(nullptr, 40 << 12, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(pages != MAP_FAILED);
    REQUIRE(munmap(static_cast<char*>(pages) + (10 << 12), 10 << 12) == 0);
    live_bytes += 30 << 12;
    ++live_blocks;
    Family(2, 50'000, slots);
  } else if (is("lookup")) {
    unsigned found = 0;
    for (unsigned i = 0; i < 20'000; ++i) {
      void* block = Count(malloc(2000));
      allocline_block known;
      const int error = allocline_lookup(block, &known);
      REQUIRE(error == 0 || error == ENOENT);
      if (error == 0) REQUIRE(static_cast<long>(known.bytes) == Rounded(block) && known.depth > 1);
      found += error == 0;
      if (error == 0) {
        free(Uncount(block));
        REQUIRE(allocline_lookup(block, &known) == ENOENT);
      }
    }
    REQUIRE(found > 100);
    allocline_block large;
    void* block = Count(malloc(5'000'000));
    REQUIRE(allocline_lookup(block, &large) == 0 && static_cast<long>(large.bytes) == Rounded(block));
  }
  REQUIRE(allocline_take_snapshot("after") == 0);
  printf("%ld %ld\n", live_bytes - bytes_before, live_blocks - blocks_before);
}
