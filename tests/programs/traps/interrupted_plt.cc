// Linked without unwind information for its PLT, and interrupted there by a timer whose handler allocates. To be run on
// top of lib_signal_safe_malloc.so.
#include <stdint.h>
#include <unistd.h>

#include "../truth.h"
#include "one_shot_timer.h"

static volatile size_t signals;

static NEVER_INLINE void OnTimer(int) {
  void* block = malloc(16);  // LINE: in_handler any
  Keep(block);
  free(block);
  signals = signals + 1;
  SetTimer(20 + signals * 7919 % 100);
}

static NEVER_INLINE void CallThroughPlt() {
  static const char text[] = "0";
  for (int i = 0; i < 1000; ++i) {
    Keep(reinterpret_cast<void*>(static_cast<uintptr_t>(atoi(Opaque(text)))));
  }
}

int main() {
  HandleTimer(OnTimer);
  SetTimer(50);
  while (signals < 3000) CallThroughPlt();
  SetTimer(0);
}
