// A timer interrupts the program again and again, and the handler allocates: on top of lib_signal_safe_malloc.so every
// interruption is legal, so not one block may be lost or counted twice, wherever the tracer was.
#include "../truth.h"
#include "many_stacks.h"
#include "one_shot_timer.h"

static volatile size_t signals;
static volatile bool finished;

static void OnTimer(int) {
  for (int i = 0; i < 3; ++i) {
    void* kept = malloc(7);  // LINE: in_handler
    Keep(kept);
    void* gone = malloc(8);  // LINE: gone_in_handler
    Keep(gone);
    free(gone);
  }
  signals = signals + 1;
  if (!finished) SetTimer(20 + signals * 7919 % 180);
}

int main() {
  HandleTimer(OnTimer);
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
  finished = true;  // a signal that is pending in this moment does not set the timer again
  SetTimer(0);
  size_t n = signals;
  REQUIRE(n > 10);
  Say("in_handler", {.live_bytes = 21 * n, .live_blocks = 3 * n, .total_bytes = 21 * n, .total_blocks = 3 * n});
  Say("gone_in_handler", {.total_bytes = 24 * n, .total_blocks = 3 * n});
}
