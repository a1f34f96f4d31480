// Preloaded behind the tracer: counts the blocks that every call really gave and took, with no more than an addition
// for each, so that the tracer's own numbers can be held against it. What it finds is in a file per process image,
// DIRECTORY/PID.NUMBER, from $COUNT_BLOCKS_IN, mapped like a recording: it survives _exit and kill -9 as one does.
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "../block_counts.h"

namespace {

struct Next {
  decltype(&::malloc) malloc;
  decltype(&::calloc) calloc;
  decltype(&::realloc) realloc;
  decltype(&::free) free;
  decltype(&::posix_memalign) posix_memalign;
  decltype(&::aligned_alloc) aligned_alloc;
  decltype(&::memalign) memalign;
  decltype(&::valloc) valloc;
  decltype(&::pvalloc) pvalloc;
  decltype(&::malloc_usable_size) usable_size;
};

Next next_calls;
std::atomic<bool> known;
BlockCounts before_the_file, at_fork;
BlockCounts* counts = &before_the_file;
char directory[512];

template <typename Function>
void Bind(Function*& out, const char* name) {
  out = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// The first call comes from the constructor of some library, or from the tracer, which asks for nothing before it has
// found us: dlsym of names that exist allocates nothing.
const Next& Behind() {
  if (__builtin_expect(!known.load(std::memory_order_acquire), 0)) {
    Bind(next_calls.malloc, "malloc");
    Bind(next_calls.calloc, "calloc");
    Bind(next_calls.realloc, "realloc");
    Bind(next_calls.free, "free");
    Bind(next_calls.posix_memalign, "posix_memalign");
    Bind(next_calls.aligned_alloc, "aligned_alloc");
    Bind(next_calls.memalign, "memalign");
    Bind(next_calls.valloc, "valloc");
    Bind(next_calls.pvalloc, "pvalloc");
    Bind(next_calls.usable_size, "malloc_usable_size");
    known.store(true, std::memory_order_release);
  }
  return next_calls;
}

void* Given(void* block) {
  if (block == nullptr) return nullptr;
  counts->blocks.fetch_add(1, std::memory_order_relaxed);
  counts->bytes.fetch_add(static_cast<int64_t>(Behind().usable_size(block)), std::memory_order_relaxed);
  return block;
}

void Taken(size_t bytes) {
  counts->blocks.fetch_sub(1, std::memory_order_relaxed);
  counts->bytes.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

void CopyCounts(const BlockCounts& from, BlockCounts* to) {
  to->blocks.store(from.blocks.load());
  to->bytes.store(from.bytes.load());
}

void OpenFile() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  char path[600];
  snprintf(path, sizeof path, "%s/%d.%ld%09ld", directory, getpid(), static_cast<long>(now.tv_sec), now.tv_nsec);
  const int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return;
  if (ftruncate(file, sizeof(BlockCounts)) == 0) {
    void* mapped = mmap(nullptr, sizeof(BlockCounts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) {
      BlockCounts* opened = static_cast<BlockCounts*>(mapped);
      CopyCounts(*counts, opened);
      opened->pid = getpid();
      opened->start_monotonic_ns = static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
      counts = opened;
    }
  }
  close(file);
}

void BeforeFork() { CopyCounts(*counts, &at_fork); }
void InChild() {
  counts = &at_fork;
  OpenFile();
}

__attribute__((constructor)) void Start() {
  Behind();
  const char* wanted = getenv("COUNT_BLOCKS_IN");
  if (wanted == nullptr || strlen(wanted) >= sizeof directory) return;
  strcpy(directory, wanted);
  OpenFile();
  pthread_atfork(BeforeFork, nullptr, InChild);
}

}  // namespace

extern "C" {
void* malloc(size_t bytes) { return Given(Behind().malloc(bytes)); }
void* calloc(size_t count, size_t bytes) { return Given(Behind().calloc(count, bytes)); }
void free(void* block) {
  if (block != nullptr) Taken(Behind().usable_size(block));
  Behind().free(block);
}
void* realloc(void* block, size_t bytes) {
  const size_t before = block == nullptr ? 0 : Behind().usable_size(block);
  void* moved = Behind().realloc(block, bytes);
  if (block != nullptr && (moved != nullptr || bytes == 0)) Taken(before);
  return Given(moved);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  const int error = Behind().posix_memalign(out, alignment, bytes);
  if (error == 0) Given(*out);
  return error;
}
void* aligned_alloc(size_t alignment, size_t bytes) { return Given(Behind().aligned_alloc(alignment, bytes)); }
void* memalign(size_t alignment, size_t bytes) { return Given(Behind().memalign(alignment, bytes)); }
void* valloc(size_t bytes) { return Given(Behind().valloc(bytes)); }
void* pvalloc(size_t bytes) { return Given(Behind().pvalloc(bytes)); }
size_t malloc_usable_size(void* block) { return Behind().usable_size(block); }
}
