// Holds memory of one kind, much of it, and then stays, ends or is killed. First word: what it holds; second:
//   snapshot   a snapshot "full", then an end by _exit
//   exit       returns from main
//   kill       SIGKILL after some seconds of small work, without a word to the tracer
//   wait       prints "full" and waits for a line on standard input
#include <allocline/allocline.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <barrier>
#include <string>
#include <thread>
#include <vector>

extern "C" void* pool_take(size_t bytes);

namespace {

constexpr size_t kMany = 64 << 20;

std::vector<std::string>* g_rows;

// A sync that keeps all its rows.
void HoldRows() {
  g_rows = new std::vector<std::string>;
  for (size_t bytes = 0; bytes < kMany; bytes += 130) g_rows->push_back(std::string(100, 'r'));
}

// Buffers that are larger than what malloc takes from the heap; of every second one only the first half is touched.
void HoldBuffers() {
  constexpr size_t kBytes = 4 << 20;
  for (size_t i = 0; i < kMany / kBytes; ++i) {
    char* buffer = static_cast<char*>(malloc(kBytes));
    memset(buffer, 'b', i % 2 == 0 ? kBytes : kBytes / 2);
  }
}

// What threads have on their stacks, and nothing else: they never allocate.
void HoldStacks() {
  constexpr int kThreads = 200;
  constexpr size_t kDeep = 320 << 10;
  static std::barrier<> all(kThreads + 1);
  for (int i = 0; i < kThreads; ++i) {
    std::thread([] {
      volatile char frame[kDeep];
      for (size_t at = 0; at < kDeep; at += 4096) frame[at] = 1;
      (void)frame[0];
      all.arrive_and_wait();
      for (;;) pause();
    }).detach();
  }
  all.arrive_and_wait();
}

void MapAFile() {
  char path[] = "large_file_XXXXXX";
  const int file = mkstemp(path);
  std::string block(1 << 20, 'f');
  for (size_t bytes = 0; bytes < kMany; bytes += block.size()) {
    if (write(file, block.data(), block.size()) < 0) abort();
  }
  auto* pages = static_cast<const volatile char*>(mmap(nullptr, kMany, PROT_READ, MAP_SHARED, file, 0));
  for (int round = 0; round < 2; ++round) {
    for (size_t at = 0; at < kMany; at += 4096) (void)pages[at];
  }
  unlink(path);
}

void UseThePool() {
  for (size_t bytes = 0; bytes < kMany; bytes += 1000) memset(pool_take(1000), 'p', 1000);
}

// Past libc: nobody can see who took it.
void TakeFromTheKernel() {
  void* pages = reinterpret_cast<void*>(
      syscall(SYS_mmap, nullptr, kMany, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
  memset(pages, 'k', kMany);
}

// Of many blocks one in 64 stays: no page of the heap can be given back from the end of it, and nearly none is used.
void FragmentTheHeap() {
  std::vector<void*> blocks;
  for (size_t bytes = 0; bytes < kMany; bytes += 256) {
    void* block = malloc(240);
    memset(block, 'h', 240);
    blocks.push_back(block);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 64 != 0) free(blocks[i]);
  }
}

}  // namespace

int main(int, char** words) {
  const std::string what = words[1], then = words[2];
  if (what == "rows") HoldRows();
  if (what == "buffers") HoldBuffers();
  if (what == "stacks") HoldStacks();
  if (what == "file") MapAFile();
  if (what == "pool") UseThePool();
  if (what == "kernel") TakeFromTheKernel();
  if (what == "fragments") FragmentTheHeap();
  if (then == "snapshot") allocline_take_snapshot("full");
  if (then == "wait") {
    puts("full");
    fflush(stdout);
    getchar();
  }
  for (int i = 0; then == "kill" && i < 100; ++i) {
    usleep(40'000);
    void* volatile block = malloc(200'000);
    free(block);
  }
  if (then == "kill") raise(SIGKILL);
  if (then != "exit") _exit(0);
}
