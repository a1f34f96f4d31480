// Allocates from code without unwind information whose frame pointer is no such thing but a small number: what follows
// it outward would read from address 1.
#include "../truth.h"

void* g_kept;

extern "C" void AllocateHere() {
  g_kept = malloc(100);  // LINE: kept 100/1
  Keep(g_kept);
}

// Hand-written, without .cfi directives: no row describes it.
extern "C" void WithoutUnwindInformation();
asm(R"(
  .text
  .type WithoutUnwindInformation, @function
WithoutUnwindInformation:
  push %rbp
  mov $1, %ebp
  call AllocateHere
  pop %rbp
  ret
  .size WithoutUnwindInformation, . - WithoutUnwindInformation
)");

int main() {
#if defined(__x86_64__)
  WithoutUnwindInformation();
#else
  AllocateHere();
#endif
}
