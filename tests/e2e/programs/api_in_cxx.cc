// allocline.hpp, as api_in_c.c does it for C: all of it is called, and the scope does what it says.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocline/allocline.hpp"

static int failures;
#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) {                                                \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                      \
    }                                                                  \
  } while (0)

static char* Make(size_t bytes) {
  char* block = new char[bytes];  // LINE: made
  asm volatile("" : "+r"(block));
  return block;
}

static char* kept;

int main(int argc, char** argv) {
  static char buffer[BUFSIZ];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  const bool traced = argc == 2 && strcmp(argv[1], "traced") == 0;
  const int expected = traced ? 0 : ENODATA;
  auto when_traced = [&](uint64_t bytes) { return traced ? bytes : 0; };

  CHECK(allocline::IsTracing() == traced);
  CHECK(allocline::Start() == expected);
  allocline::Clear();
  kept = Make(100);
  CHECK(allocline::TracedMemory().current == when_traced(100));
  {
    allocline::IgnoreThisThread scope;
    delete[] Make(5000);
  }
  CHECK(allocline::TracedMemory().peak == when_traced(100));
  delete[] Make(7);
  CHECK(allocline::TracedMemory().peak == when_traced(107));
  allocline::ResetPeak();
  CHECK(allocline::TracedMemory().peak == when_traced(100));
  CHECK((allocline::TracerMemory() > 0) == traced);
  allocline_block found;
  CHECK(allocline::Lookup(kept, &found) == expected);
  CHECK(!traced || found.bytes == 100);
  CHECK(allocline::Track(16, &kept, 30) == expected);
  CHECK(allocline::Untrack(16, &kept) == expected);
  CHECK(allocline::TakeSnapshot("from C++") == expected);
  CHECK(allocline::Checkpoint("say \"it\",\nthen\tgo", 3) == expected);
  static char endless[10001];
  memset(endless, 'x', 10000);
  CHECK(allocline::Checkpoint(endless) == expected);
  CHECK(allocline::Checkpoint("", 4) == expected);
  CHECK(allocline::Checkpoint(nullptr) == expected);
  CHECK((allocline::RecordingPath()[0] != '\0') == traced);
  CHECK(allocline::LogMemoryUsage("usage") == expected);
  CHECK(allocline::LogMemoryUsage(endless) == expected);
  CHECK(allocline::LogTop("logged") == expected);
  CHECK(allocline::LogTop(endless, 1) == expected);
  CHECK(allocline::LogTop(nullptr, 1) == expected);
  allocline::Stop();
  CHECK(!allocline::IsTracing());
  CHECK(allocline::TracedMemory().current == 0);
  return failures;
}
