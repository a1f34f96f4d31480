// How many bytes of stack an allocation takes below its caller, a line for each situation: "SITUATION BYTES".
//
// The stack is filled with a pattern first, and looked at afterwards. Then a handler allocates on an alternate stack of
// 8 KiB, which was what SIGSTKSZ asked for as long as it was a constant, with nothing mapped below it.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../truth.h"

static constexpr size_t kStackBytes = 256 << 10;
static constexpr char kPattern = 0x5a;
static volatile char* g_low;  // of the stack we stand on

static NEVER_INLINE void Allocate(size_t bytes) {
  void* block = malloc(bytes);
  Keep(block);
  free(block);
}

template <typename Action>
static NEVER_INLINE void Measure(const char* situation, Action action) {
  volatile char* const here = static_cast<volatile char*>(__builtin_frame_address(0));
  for (volatile char* p = g_low; p < here - 512; ++p) *p = kPattern;
  action();
  volatile char* p = g_low;
  while (*p == kPattern && p < here) ++p;
  char line[100];
  const int length = snprintf(line, sizeof line, "%s %zu\n", situation, static_cast<size_t>(here - p));
  Print(line, static_cast<size_t>(length));
}

static NEVER_INLINE void Deeper(int frames) {
  if (frames > 0) {
    Deeper(frames - 1);
  } else {
    Measure("other_stack", [] { Allocate(100); });
  }
  Keep(&frames);
}

// Between two looks at what the process holds.
static void Pause() {
  const timespec pause = {0, 25'000'000};
  nanosleep(&pause, nullptr);
}

static void* Body(void*) {
  Measure("first_event", [] { Allocate(100); });
  for (int i = 0; i < 3; ++i) Measure("usual", [] { Allocate(100); });
  Deeper(3);
  for (int i = 0; i < 3; ++i) {
    Pause();
    Measure("large_block", [] { Allocate(8 << 20); });
  }
  return nullptr;
}

static void OnSignal(int) {
  Measure("handler", [] { Allocate(100); });
}

static volatile char* MapWithGuard(size_t bytes) {
  char* memory =
      static_cast<char*>(mmap(nullptr, bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(memory != MAP_FAILED && mprotect(memory, 4096, PROT_NONE) == 0);
  return memory + 4096;
}

static void RaiseOnStackOf(size_t bytes) {
  g_low = MapWithGuard(bytes);
  stack_t stack = {};
  stack.ss_sp = const_cast<char*>(g_low);
  stack.ss_size = bytes;
  REQUIRE(sigaltstack(&stack, nullptr) == 0);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK;
  REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
  for (int i = 0; i < 3; ++i) raise(SIGUSR1);
}

int main() {
  g_low = MapWithGuard(kStackBytes);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstack(&attributes, const_cast<char*>(g_low), kStackBytes) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, Body, nullptr) == 0);
  pthread_join(thread, nullptr);
  RaiseOnStackOf(64 << 10);
  RaiseOnStackOf(8 << 10);
}
