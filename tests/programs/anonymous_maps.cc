// Anonymous mappings, made, cut, grown, moved; file mappings are not memory of this kind.
#include <errno.h>
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

  // Calls that fail leave what is mapped recorded.
  void* whole = mmap(nullptr, 8 * 4096, kReadWrite, kPrivate, -1, 0);  // LINE: whole 32768/1
  REQUIRE(whole != MAP_FAILED);
  char* start = static_cast<char*>(whole);
  REQUIRE(munmap(start + 1, 4096) == -1 && errno == EINVAL);
  REQUIRE(munmap(start, 0) == -1 && errno == EINVAL);
  REQUIRE(munmap(start, ~size_t{0}) == -1 && errno == EINVAL);
  REQUIRE(mmap(start, 4096, kReadWrite, kPrivate | MAP_FIXED | MAP_SHARED, 1000, 0) == MAP_FAILED);
  REQUIRE(mremap(start, 8 * 4096, size_t{1} << 60, MREMAP_MAYMOVE) == MAP_FAILED);

  // A move onto another mapping takes that away. And what is moved with MREMAP_DONTUNMAP stays mapped where it was.
  void* target = mmap(nullptr, 4 * 4096, kReadWrite, kPrivate, -1, 0);  // LINE: covered 0/0 of 16384/1
  REQUIRE(target != MAP_FAILED);
  void* moved = mmap(nullptr, 4 * 4096, kReadWrite, kPrivate, -1, 0);  // LINE: emptied 16384/1
  REQUIRE(moved != MAP_FAILED);
  constexpr int kHow = MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED;
  void* now = mremap(moved, 4 * 4096, 4 * 4096, kHow, target);  // LINE: moved 16384/1
  REQUIRE(now == target);
}
