// A timer interrupts the program again and again, and the handler allocates: on top of lib_signal_safe_malloc.so every
// interruption is legal, so not one block may be lost or counted twice, wherever the tracer was.
#include <signal.h>
#include <sys/time.h>

#include "../truth.h"
#include "many_stacks.h"

static volatile size_t signals;

// Once, from now; the handler asks for the next, so that the program gets on between two.
static void SetTimer(unsigned microseconds) {
  itimerval once = {{0, 0}, {0, static_cast<suseconds_t>(microseconds)}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

static void OnTimer(int) {
  for (int i = 0; i < 3; ++i) {
    void* kept = malloc(7);  // LINE: in_handler
    Keep(kept);
    void* gone = malloc(8);  // LINE: gone_in_handler
    Keep(gone);
    free(gone);
  }
  signals = signals + 1;
  SetTimer(20 + signals * 7919 % 180);
}

int main() {
  struct sigaction action = {};
  action.sa_handler = OnTimer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  SetTimer(50);
  for (int round = 0; round < 20; ++round) {
    WithManyStacks(10000, [](unsigned) {
      void* gone = malloc(10);  // LINE: gone 0/0 of 2000000/200000
      Keep(gone);
      free(gone);
      void* kept = malloc(1);  // LINE: kept 200000/200000
      Keep(kept);
    });
  }
  SetTimer(0);
  size_t n = signals;
  REQUIRE(n > 10);
  Say("in_handler", {.live_bytes = 21 * n, .live_blocks = 3 * n, .total_bytes = 21 * n, .total_blocks = 3 * n});
  Say("gone_in_handler", {.total_bytes = 24 * n, .total_blocks = 3 * n});
}
