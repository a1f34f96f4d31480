// Every function of allocline.h, checked from inside the program: `api_in_c traced` under the tracer, `api_in_c
// untraced` without. It prints nothing but what is not as promised, and what log_memory_usage() and log_top() print.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocline/allocline.h"

static int failures;
#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) {                                                \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                      \
    }                                                                  \
  } while (0)

static uint64_t Current(void) {
  uint64_t current, peak;
  allocline_traced_memory(&current, &peak);
  return current;
}
static uint64_t Peak(void) {
  uint64_t current, peak;
  allocline_traced_memory(&current, &peak);
  return peak;
}

// The compiler must neither leave an allocation out nor make it a jump.
static void* Kept(void* block) {
  __asm__ volatile("" : "+r"(block));
  return block;
}
__attribute__((noinline)) static void* Make(size_t bytes) {
  return Kept(malloc(bytes));  // LINE: made
}

static void CurrentAndPeak(void) {
  const uint64_t before = Current();
  void* block = Make(1000);
  CHECK(Current() == before + 1000);
  block = Kept(realloc(block, 5000));
  CHECK(Current() == before + 5000);
  free(block);
  CHECK(Current() == before);
  CHECK(Peak() >= before + 5000);
  allocline_reset_peak();
  CHECK(Peak() == before);
  free(Make(300));
  CHECK(Peak() == before + 300);
}

static void Lookup(void) {
  struct allocline_block found;
  char* block = Make(123);
  CHECK(allocline_lookup(block, &found) == 0);
  CHECK(found.bytes == 123);
  CHECK(found.depth >= 3);                         // Make, Lookup, main
  CHECK(found.frames[0] - (uintptr_t)&Make < 64);  // the call in Make
  CHECK(allocline_lookup(block + 16, &found) == ENOENT);
  CHECK(allocline_lookup(&found, &found) == ENOENT);
  CHECK(allocline_lookup(NULL, &found) == ENOENT);
  CHECK(allocline_lookup(block, NULL) == EINVAL);
  block = Kept(realloc(block, 4567));
  CHECK(allocline_lookup(block, &found) == 0 && found.bytes == 4567);
  volatile uintptr_t address = (uintptr_t)block;
  free(block);
  CHECK(allocline_lookup((const void*)address, &found) == ENOENT);
}

static void Pools(void) {
  static char arena[64 * 1024];
  const uint64_t before = Current();
  CHECK(allocline_track(16, arena, 500) == 0);
  CHECK(allocline_track(16, arena + 512, 30) == 0);
  CHECK(Current() == before + 530);
  CHECK(allocline_track(16, arena, 700) == 0);  // again: replaces
  CHECK(allocline_track(17, arena, 9) == 0);    // another domain: another block
  CHECK(Current() == before + 739);
  CHECK(allocline_untrack(16, arena + 512) == 0);
  CHECK(allocline_untrack(16, arena + 1024) == 0);  // unknown: fine
  CHECK(Current() == before + 709);
  CHECK(allocline_untrack(17, arena) == 0);
  CHECK(allocline_track(15, arena, 1) == EINVAL);
  CHECK(allocline_untrack(15, arena) == EINVAL);
  CHECK(allocline_track(16, (void*)((uintptr_t)1 << 47), 1) == EINVAL);
  unsigned domains = 2;
  while (domains < 100 && allocline_track(16 + domains, arena, 1) == 0) ++domains;
  CHECK(domains == 15);
  CHECK(allocline_track(16 + domains, arena, 1) == ENOSPC);
  while (--domains > 1) CHECK(allocline_untrack(16 + domains, arena) == 0);
  CHECK(Current() == before + 700);
}

static void* OnAnotherThread(void* bytes) { return Make((size_t)bytes); }

static void IgnoringAThread(void) {
  const uint64_t before = Current();
  allocline_ignore_this_thread(1);
  void* ignored = Make(100);
  CHECK(Current() == before);
  CHECK(allocline_track(16, &ignored, 100) == 0);  // of this thread too
  CHECK(Current() == before);
  pthread_t thread;
  void* counted = NULL;
  CHECK(pthread_create(&thread, NULL, OnAnotherThread, (void*)2000) == 0);
  CHECK(pthread_join(thread, &counted) == 0);
  CHECK(Current() >= before + 2000);
  allocline_ignore_this_thread(0);
  free(ignored);  // was never counted: nothing to take off
  free(counted);
  void* again = Make(50);
  CHECK(Current() >= before + 50);
  free(again);
}

static void ClearAndStop(void) {
  void* before = Make(4000);
  allocline_clear();
  CHECK(allocline_is_tracing());
  CHECK(Current() == 0 && Peak() == 0);
  free(before);  // forgotten: counts nothing
  CHECK(Current() == 0);
  void* block = Make(70);
  CHECK(Current() == 70 && Peak() == 70);

  allocline_stop();
  CHECK(!allocline_is_tracing());
  CHECK(Current() == 0 && Peak() == 0);
  CHECK(allocline_take_snapshot("while stopped") == ENODATA);
  CHECK(allocline_track(16, &before, 8) == ENODATA);
  void* unseen = Make(80);
  struct allocline_block found;
  CHECK(allocline_lookup(unseen, &found) == ENOENT);
  CHECK(allocline_lookup(block, &found) == ENOENT);
  allocline_stop();  // again: nothing
  allocline_reset_peak();
  allocline_clear();

  CHECK(allocline_start() == 0);
  CHECK(allocline_is_tracing());
  CHECK(Current() == 0);
  CHECK(allocline_start() == 0);  // again: nothing
  free(unseen);
  free(block);
  CHECK(Current() == 0);
}

static void* kept;

static void Traced(void) {
  CHECK(allocline_is_tracing());
  CHECK(allocline_tracer_memory() > 0);
  CHECK(strstr(allocline_recording_path(), "/api_in_c.") != NULL);
  CurrentAndPeak();
  Lookup();
  Pools();
  IgnoringAThread();
  ClearAndStop();
  static char pool[16];
  kept = Make(11111);
  CHECK(allocline_take_snapshot("one") == 0);
  CHECK(allocline_track(20, pool, 222) == 0);  // LINE: tracked
  CHECK(allocline_take_snapshot("two \033[2J") == 0);
  CHECK(allocline_take_snapshot("") == 0);
  CHECK(allocline_take_snapshot(NULL) == 0);
  CHECK(allocline_log_memory_usage("usage \033[2J") == 0);
  CHECK(allocline_log_top("logged", 1) == 0);
}

static void Untraced(void) {
  struct allocline_block found;
  CHECK(!allocline_is_tracing());
  CHECK(allocline_start() == ENODATA);
  CHECK(!allocline_is_tracing());
  allocline_stop();
  allocline_clear();
  allocline_reset_peak();
  allocline_ignore_this_thread(1);
  allocline_ignore_this_thread(0);
  kept = Make(11111);
  CHECK(Current() == 0 && Peak() == 0);
  CHECK(allocline_tracer_memory() == 0);
  CHECK(allocline_take_snapshot("one") == ENODATA);
  CHECK(allocline_lookup(kept, &found) == ENODATA);
  CHECK(allocline_track(16, kept, 1) == ENODATA);
  CHECK(allocline_untrack(16, kept) == ENODATA);
  CHECK(allocline_log_memory_usage("usage") == ENODATA);
  CHECK(allocline_log_top("logged", 1) == ENODATA);
  CHECK(allocline_recording_path()[0] == '\0');
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  static char buffer[BUFSIZ];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);  // stdio shall not allocate where bytes are counted
  if (strcmp(argv[1], "traced") == 0) {
    Traced();
  } else {
    Untraced();
  }
  return failures;
}
