// Takes memory in the ways that container_test.cc asks for, and says little: `climbs WAY [NUMBER...]`.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocline/allocline.h"

static void* Kept(void* block) {
  __asm__ volatile("" : "+r"(block));
  return block;
}

// Keeps `bytes` more, all touched.
__attribute__((noinline)) static void Keep(size_t bytes) {
  void* block = Kept(malloc(bytes));
  if (block != NULL) memset(block, 1, bytes);
}
__attribute__((noinline)) static void Grow(size_t bytes, size_t step) {
  for (size_t kept = 0; kept < bytes; kept += step) Keep(step);
}

// A block with a stack of its own for each place: the bits of its number say which of the two calls lead there.
__attribute__((noinline)) static void* KeepAt(uint32_t place, int bits) {
  if (bits == 0) return Kept(malloc(24));
  if ((place & 1) != 0) return Kept(KeepAt(place >> 1, bits - 1));
  return Kept(KeepAt(place >> 1, bits - 1));
}

static int Fail(size_t times) {
  static volatile size_t too_much = SIZE_MAX / 4;
  int failed = 0;
  for (size_t i = 0; i < times; ++i) {
    errno = 0;
    if (Kept(malloc(too_much)) == NULL && errno == ENOMEM) ++failed;
  }
  void* aligned = NULL;
  errno = 0;
  if (posix_memalign(&aligned, 64, too_much) == ENOMEM && errno == 0) ++failed;
  void* block = Kept(malloc(100));
  if (Kept(realloc(block, too_much)) == NULL) ++failed;
  if (posix_memalign(&aligned, 3, 100) == EINVAL) ++failed;  // for no lack of memory
  return failed;
}

int main(int argc, char** argv) {
  const char* way = argc > 1 ? argv[1] : "";
  const size_t number = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
  if (strcmp(way, "grow") == 0) {  // by so much at a time, up to so much
    Grow(argc > 3 ? strtoull(argv[3], NULL, 0) : SIZE_MAX, number);
  } else if (strcmp(way, "leave") == 0) {  // with so much in hand, as a worker does that was forked
    const pid_t child = vfork();           // whose end is not ours
    if (child == 0) _exit(0);
    Grow(number, 64 << 10);
    _exit(waitpid(child, NULL, 0) == child ? 0 : 1);
  } else if (strcmp(way, "swing") == 0) {  // up to so much and back, ten times
    static void* blocks[1000];
    for (int i = 0; i < 10; ++i) {
      for (size_t k = 0; k < number >> 20; ++k) {
        blocks[k] = Kept(malloc(1 << 20));
        memset(blocks[k], 1, 1 << 20);
      }
      for (size_t k = 0; k < number >> 20; ++k) free(blocks[k]);
      usleep(210000);  // until it is time to look again
      free(Kept(malloc(100 << 10)));
    }
  } else if (strcmp(way, "ask") == 0) {
    Kept(malloc(number));
  } else if (strcmp(way, "touch") == 0) {  // a block, page by page, with no call between
    volatile char* block = Kept(malloc(number));
    for (size_t i = 0; block != NULL && i < number; i += 4096) block[i] = 1;
  } else if (strcmp(way, "map") == 0) {
    Kept(mmap(NULL, number, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    Kept(mmap(NULL, number * 100, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));  // addresses alone
    Kept(mmap(NULL, number * 100, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  } else if (strcmp(way, "append") == 0) {  // as an array that grows by a half each time
    char* array = NULL;
    for (size_t size = 1 << 20, old = 0; size < number; old = size, size += size / 2) {
      array = Kept(realloc(array, size));
      memset(array + old, 1, size - old);
    }
  } else if (strcmp(way, "fail") == 0) {
    return Fail(number) == (int)number + 3 ? 0 : 1;
  } else if (strcmp(way, "fork") == 0) {  // a child takes what is left
    Grow(number, 1 << 20);
    const pid_t child = fork();
    if (child == 0) {
      Grow(number, 1 << 20);
      exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
  } else if (strcmp(way, "neighbour") == 0) {  // the child takes so much; the parent next to nothing
    int ready[2];
    if (pipe(ready) != 0) return 1;
    const pid_t child = fork();
    if (child == 0) {
      Grow(number, 1 << 20);
      if (write(ready[1], "", 1) != 1) exit(1);
      pause();
    }
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
    usleep(300000);
    Keep(100 << 10);
    Keep(100 << 10);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  } else if (strcmp(way, "checkpoint") == 0) {
    for (size_t i = 1; i <= number; ++i) {
      if (allocline_checkpoint("batch", i) != 0) return 1;
    }
  } else if (strcmp(way, "checkpoint-of-many") == 0) {  // of so many live places that all change between
    for (size_t round = 1; round <= 200; ++round) {
      for (uint32_t place = 0; place < number; ++place) KeepAt(place, 14);
      if (allocline_checkpoint("batch", round) != 0) return 1;
    }
  } else if (strcmp(way, "labels") == 0) {
    static char endless[10001];
    memset(endless, 'x', 10000);
    if (allocline_checkpoint("say \"it\",\nthen\tgo", 7) != 0) return 1;
    if (allocline_checkpoint(endless, ALLOCLINE_ROWS_NOT_GIVEN) != 0) return 1;
    if (allocline_checkpoint("", 0) != 0) return 1;
    if (allocline_checkpoint(NULL, 1) != 0) return 1;
    if (allocline_checkpoint("\033[2J\xff", 2) != 0) return 1;
  } else {
    return 2;
  }
  return 0;
}
