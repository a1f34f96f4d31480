// Anonymous mappings by four threads at once: made, mapped over, cut, moved, grown and shrunk in ways that hand
// addresses from one thread to another. In the end nothing is left mapped.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <thread>
#include <vector>

#include "../truth.h"

static constexpr size_t kPage = 4096;
static constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
static constexpr int kReadWrite = PROT_READ | PROT_WRITE;

static char* Map(size_t pages) {
  void* start = mmap(nullptr, pages * kPage, kReadWrite, kPrivate, -1, 0);
  REQUIRE(start != MAP_FAILED);
  return static_cast<char*>(start);
}

static void Work(unsigned seed) {
  for (int i = 0; i < 3000; ++i) {
    seed = seed * 1664525 + 1013904223;
    size_t pages = seed / 65536 % 16 + 3;
    char* start = Map(pages);
    switch (seed / 1024 % 4) {
      case 0:  // a hole in the middle, which is anybody's at once
        REQUIRE(munmap(start + kPage, kPage) == 0);
        REQUIRE(munmap(start, kPage) == 0);
        start += 2 * kPage;
        pages -= 2;
        break;
      case 1: {  // elsewhere, larger
        void* moved = mremap(start, pages * kPage, 2 * pages * kPage, MREMAP_MAYMOVE);
        REQUIRE(moved != MAP_FAILED);
        start = static_cast<char*>(moved);
        pages *= 2;
        break;
      }
      case 2:  // the end of it is anybody's at once
        REQUIRE(mremap(start, pages * kPage, kPage, 0) == start);
        pages = 1;
        break;
      case 3:  // mapped over in part
        REQUIRE(mmap(start, kPage, kReadWrite, kPrivate | MAP_FIXED, -1, 0) == start);
        break;
    }
    REQUIRE(munmap(start, pages * kPage) == 0);
  }
}

int main() {
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(Work, i * 7919);
}
