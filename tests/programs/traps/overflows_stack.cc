// Recursion that allocates until the stack is full. With "recover" a handler on an alternate stack leaves by
// siglongjmp, and the program goes on, three times; without, it dies of it.
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../truth.h"

static sigjmp_buf recovered;

static NEVER_INLINE int Descend(int depth) {
  char frame[200];
  Keep(frame);
  void* block = malloc(16);  // LINE: descending any
  Keep(block);
  free(block);
  const int deepest = depth < 0 ? 0 : Descend(depth + 1);
  Keep(frame);
  return deepest + 1;
}

int main(int argc, char**) {
  const rlimit small = {1 << 20, RLIM_INFINITY};
  setrlimit(RLIMIT_STACK, &small);  // the main thread's stack grows as far as this allows now
  if (argc > 1) {
    stack_t alternate = {};
    alternate.ss_size = 64 << 10;
    alternate.ss_sp = mmap(nullptr, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(sigaltstack(&alternate, nullptr) == 0);
    struct sigaction action = {};
    action.sa_handler = [](int) { siglongjmp(recovered, 1); };
    action.sa_flags = SA_ONSTACK;
    REQUIRE(sigaction(SIGSEGV, &action, nullptr) == 0);
  }
  for (volatile int i = 0; i < 3;) {
    const int round = i;
    i = round + 1;
    if (sigsetjmp(recovered, 1) == 0) Descend(0);
  }
  for (int i = 0; i < 1000; ++i) {
    void* block = malloc(10);  // LINE: afterwards 10000/1000
    Keep(block);
  }
}
