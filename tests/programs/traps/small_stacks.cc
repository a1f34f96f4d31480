// Threads with the smallest stack that libc allows, and a handler on the smallest alternate stack, allocate.
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "../truth.h"

static void* Body(void*) {
  void* kept = malloc(100);  // LINE: kept 1600/16
  Keep(kept);
  free(realloc(malloc(10), 20));  // LINE: gone 0/0 of 480/32
  return nullptr;
}

static void OnSignal(int) {
  void* kept = malloc(50);  // LINE: in_handler 50/1
  Keep(kept);
}

int main() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, static_cast<size_t>(sysconf(_SC_THREAD_STACK_MIN))) == 0);
  for (int i = 0; i < 16; ++i) {
    pthread_t thread;
    REQUIRE(pthread_create(&thread, &attributes, Body, nullptr) == 0);  // LINE: spawned any
    pthread_join(thread, nullptr);
  }
  // What a program may count on in a handler: the kernel's frame and SIGSTKSZ - MINSIGSTKSZ of its own.
  size_t bytes = static_cast<size_t>(sysconf(_SC_SIGSTKSZ));
  char* memory =
      static_cast<char*>(mmap(nullptr, bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(mprotect(memory, 4096, PROT_NONE) == 0);  // whoever needs more dies here
  stack_t stack = {};
  stack.ss_sp = memory + 4096;
  stack.ss_size = bytes;
  REQUIRE(sigaltstack(&stack, nullptr) == 0);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  raise(SIGUSR1);
}
