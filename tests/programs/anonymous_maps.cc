// Anonymous mappings, made, cut, grown, moved; file mappings are not memory of this kind.
#include <fcntl.h>
#include <sys/mman.h>

#include "truth.h"

static constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
static constexpr int kReadWrite = PROT_READ | PROT_WRITE;

int main() {
  void* kept = mmap(nullptr, 1 << 20, kReadWrite, kPrivate, -1, 0);  // LINE: kept 1048576/1
  REQUIRE(kept != MAP_FAILED);
  void* gone = mmap(nullptr, 2 << 20, kReadWrite, kPrivate, -1, 0);  // LINE: gone 0/0 of 2097152/1
  REQUIRE(gone != MAP_FAILED && munmap(gone, 2 << 20) == 0);
  REQUIRE(mmap(nullptr, 0, kReadWrite, kPrivate, -1, 0) == MAP_FAILED);

  char* grown = static_cast<char*>(mmap(nullptr, 4096, kReadWrite, kPrivate, -1, 0));  // LINE: small 0/0 of 4096/1
  REQUIRE(grown != MAP_FAILED);
  grown = static_cast<char*>(mremap(grown, 4096, 16 << 20, MREMAP_MAYMOVE));  // LINE: grown 16777216/1
  REQUIRE(grown != MAP_FAILED);

  int fd = open("/proc/self/exe", O_RDONLY);
  void* file = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  REQUIRE(file != MAP_FAILED);
}
