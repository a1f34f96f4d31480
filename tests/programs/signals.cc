// Signal handlers that allocate: raised at safe points, on the thread's stack and on an alternate one.
#include <signal.h>

#include "truth.h"

static void OnSignal(int) {
  void* kept = malloc(13);  // LINE: kept 26000/2000
  Keep(kept);
  void* gone = malloc(31);  // LINE: gone 0/0 of 62000/2000
  Keep(gone);
  free(gone);
}

int main() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGUSR1, &action, nullptr);
  stack_t stack = {};
  stack.ss_size = 64 << 10;
  stack.ss_sp = malloc(stack.ss_size);  // LINE: alternate 65536/1
  REQUIRE(sigaltstack(&stack, nullptr) == 0);
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR2, &action, nullptr);
  for (int i = 0; i < 1000; ++i) {
    void* around = malloc(5);  // LINE: around 0/0 of 5000/1000
    Keep(around);
    raise(SIGUSR1);
    raise(SIGUSR2);
    free(around);
  }
}
