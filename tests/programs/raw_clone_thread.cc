// A thread made by clone(2), unknown to libc: it runs on its maker's thread pointer while that waits.
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>

#include "truth.h"

static int Body(void* argument) {
  void* kept = malloc(64);  // LINE: kept 64000/1000
  Keep(kept);
  free(argument);
  syscall(SYS_exit, 0);
  return 0;
}

int main() {
  constexpr size_t kStackBytes = 256 << 10;
  char* stack =
      static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (int i = 0; i < 1000; ++i) {
    void* block = malloc(32);  // LINE: handed_over 0/0 of 32000/1000
    static std::atomic<int> running;
    running = 1;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    REQUIRE(clone(Body, stack + kStackBytes, flags, block, nullptr, nullptr, &running) > 0);
    while (running != 0) syscall(SYS_futex, &running, FUTEX_WAIT, 1, nullptr, nullptr, 0);
  }
}
