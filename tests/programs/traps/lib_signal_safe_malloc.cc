// Preloaded behind the tracer: an allocator that an asynchronous signal may enter at any instruction, which glibc's is
// not. So signals may hit the tracer anywhere, and what goes wrong is the tracer's fault.
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>

namespace {

constexpr size_t kArenaBytes = size_t{4} << 30;  // address space; freed blocks are not used again
std::atomic<char*> next_byte;

char* Arena() {
  char* start = next_byte.load();
  if (start != nullptr) return start;
  void* arena = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  next_byte.compare_exchange_strong(start, static_cast<char*>(arena));
  return next_byte.load();
}

size_t* SizeOf(void* block) { return static_cast<size_t*>(block) - 1; }

}  // namespace

extern "C" void* malloc(size_t bytes) {
  Arena();
  char* start = next_byte.fetch_add(static_cast<ptrdiff_t>((bytes + 16 + 15) & ~size_t{15}));
  void* block = start + 16;
  *SizeOf(block) = bytes;
  return block;
}
extern "C" void free(void*) {}
extern "C" void* calloc(size_t count, size_t bytes) { return malloc(count * bytes); }
extern "C" void* realloc(void* block, size_t bytes) {
  void* moved = malloc(bytes);
  if (block != nullptr) memcpy(moved, block, *SizeOf(block) < bytes ? *SizeOf(block) : bytes);
  return moved;
}
extern "C" void* memalign(size_t alignment, size_t bytes) {
  uintptr_t block = reinterpret_cast<uintptr_t>(malloc(bytes + alignment));
  void* aligned = reinterpret_cast<void*>((block + alignment - 1) & ~(alignment - 1));
  *SizeOf(aligned) = bytes;
  return aligned;
}
extern "C" void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
extern "C" int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = memalign(alignment, bytes);
  return 0;
}
extern "C" size_t malloc_usable_size(void* block) { return block == nullptr ? 0 : *SizeOf(block); }
