// A signal handler on an alternate stack that the kernel disarms while it is used (SS_AUTODISARM), and which lies above
// the stack of the thread it interrupts, wherever that may be. It makes and ends a mapping, as a handler may.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <atomic>

#include "../truth.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static constexpr size_t kStack = 1 << 20;
static char* region;  // the thread's stack, and above it the handler's
static std::atomic<int> handled;

static void OnAlarm(int) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) munmap(page, 4096);
  ++handled;
}

NEVER_INLINE static void* AllocateDeep(int depth) {
  void* block = depth == 0 ? malloc(10) : AllocateDeep(depth - 1);
  Keep(block);
  return block;
}

static void* Work(void*) {
  stack_t above = {.ss_sp = region + kStack, .ss_flags = static_cast<int>(SS_AUTODISARM), .ss_size = 1 << 16};
  REQUIRE(syscall(SYS_sigaltstack, &above, nullptr) == 0);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  for (unsigned i = 0, random = 1; i < 100'000 || handled < 50; ++i) {
    random = random * 1664525 + 1013904223;
    free(AllocateDeep(static_cast<int>(random >> 27)));
  }
  return nullptr;
}

int main() {
  region = static_cast<char*>(mmap(nullptr, 2 * kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(region != MAP_FAILED);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  struct sigaction action = {};
  action.sa_handler = OnAlarm;
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  itimerval often = {{0, 700}, {0, 700}};
  setitimer(ITIMER_REAL, &often, nullptr);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstack(&attributes, region, kStack) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, Work, nullptr) == 0);
  pthread_join(thread, nullptr);
}
