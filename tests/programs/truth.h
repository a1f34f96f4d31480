// What a program of known truth says about itself.
//
// A line whose allocations the test checks carries a marker, and the marker is the truth if it is known when the
// program is written; otherwise the program prints it:
//
//   char* kept = New(100);          // LINE: kept 100/1               100 bytes in 1 block, never freed
//   free(malloc(50));               // LINE: gone 0/0 of 50/1         nothing live of 50 bytes in 1 block
//   values.push_back(i);            // LINE: growth                   Say("growth", {.live_bytes = ...})
//   pthread_create(...);            // LINE: spawned any              libc allocates here as it likes
//
// Every line of the program's sources that allocates must have a marker: a line too many is as wrong as one missing.
// Nothing here allocates. Programs write no other output, so that two runs of one program print the same.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRUTH_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRUTH_H_

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Makes the compiler believe that `pointer` escapes: the block is neither elided nor its call made a jump.
template <typename T>
inline void Keep(T* pointer) {
  asm volatile("" : : "r"(pointer) : "memory");
}

// The compiler cannot know that this is `value`.
template <typename T>
inline T Opaque(T value) {
  asm volatile("" : "+r"(value));
  return value;
}

#define NEVER_INLINE __attribute__((noinline))

struct Amount {
  size_t live_bytes = 0, live_blocks = 0;
  size_t total_bytes = 0, total_blocks = 0;
  void Allocate(size_t bytes) {
    live_bytes += bytes, total_bytes += bytes;
    ++live_blocks, ++total_blocks;
  }
  void Free(size_t bytes) { live_bytes -= bytes, --live_blocks; }
};

inline void Print(const char* text, size_t length) {
  if (write(1, text, length) < 0) abort();
}

inline void Say(const char* line, const Amount& amount) {
  char text[256];
  int length = snprintf(text, sizeof(text), "%s %zu/%zu of %zu/%zu\n", line, amount.live_bytes, amount.live_blocks,
                        amount.total_bytes, amount.total_blocks);
  Print(text, static_cast<size_t>(length));
}

// The program cannot do what it is for; the test fails by the exit code and sees where.
#define REQUIRE(condition)                                                                                   \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      char text_[512];                                                                                       \
      int length_ = snprintf(text_, sizeof(text_), "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      if (write(2, text_, static_cast<size_t>(length_)) < 0) abort();                                        \
      _exit(99);                                                                                             \
    }                                                                                                        \
  } while (0)

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRUTH_H_
