// Interrupts malloc, on a stack never seen before, at each instruction of the tracer in turn. What happens there:
//
//   allocate   a signal handler allocates and frees
//   leave      a signal handler leaves by longjmp, and never comes back
//   clone      a child is made that no atfork handler knows of; it allocates
//   fork       a child is made by fork(); it allocates
//   peak       a signal handler allocates and frees, in the middle of a malloc of 200,000 bytes
//
// The second argument: at how many of the instructions, one in so many. Needs lib_signal_safe_malloc.so behind the
// tracer: then all of this is legal.
#include <setjmp.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../support/single_step.h"
#include "../truth.h"
#include "many_stacks.h"

using allocline::testing::ForEachPoint;
using allocline::testing::InterruptAt;
using allocline::testing::Point;
using allocline::testing::RecordTrace;
using allocline::testing::Trace;

static unsigned stacks;  // used so far
static unsigned interrupted;
static Trace trace;
static sigjmp_buf target;
static int extra_depth;

static NEVER_INLINE void NeverCalled() { asm volatile("nop"); }
static const Point never = {reinterpret_cast<uintptr_t>(&NeverCalled), 0};

static void AllocateOnce(unsigned) {
  void* kept = malloc(100);  // LINE: interrupted
  Keep(kept);
}

static void AllocateMuch(unsigned) {
  void* gone = malloc(200'000);  // LINE: gone_interrupted any
  Keep(gone);
  free(gone);
}

static void AllocateLittleInHandler() {
  void* gone = malloc(100);  // LINE: gone_little any
  Keep(gone);
  free(gone);
}

static void AllocateMuchOnANewStack() { Down(stacks, 12, stacks, AllocateMuch); }

static void AllocateOnANewStack() { Down(stacks, 12, stacks, AllocateOnce); }

static void AllocateAfter(unsigned) {
  void* kept = malloc(10);  // LINE: after
  Keep(kept);
}

static void AllocateInHandler() {
  void* kept = malloc(7);  // LINE: in_handler
  Keep(kept);
  void* gone = malloc(8);  // LINE: gone_in_handler
  Keep(gone);
  free(gone);
}

static void AllocateInChild() {
  for (int i = 0; i < 3; ++i) {
    void* kept = malloc(1000);  // LINE: in_child 0/0
    Keep(kept);
  }
}

static void InChild(pid_t child, void (*work)()) {
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

static pid_t Clone() { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }

static void Interrupt(Point point, const char* mode) {
  ++stacks;
  if (mode[0] == 'p') {
    interrupted += InterruptAt(point, AllocateMuchOnANewStack, AllocateLittleInHandler);
  } else if (mode[0] == 'a') {
    interrupted += InterruptAt(point, AllocateOnANewStack, AllocateInHandler);
  } else if (mode[0] == 'l') {
    if (sigsetjmp(target, 1) == 0) {
      InterruptAt(point, AllocateOnANewStack, [] { siglongjmp(target, 1); });
    } else {
      ++interrupted;
    }
    // From exactly as deep on the stack as the call that was left, and, half of the time, from deeper.
    extra_depth = stacks % 2;
    InterruptAt(
        never, [] { Down(stacks, 12 + extra_depth, stacks, AllocateAfter); }, [] {});
  } else if (mode[0] == 'f') {
    interrupted += InterruptAt(point, AllocateOnANewStack, [] { InChild(fork(), AllocateInChild); });
  } else {
    interrupted += InterruptAt(point, AllocateOnANewStack, [] { InChild(Clone(), AllocateInChild); });
  }
}

int main(int, char** argv) {
  for (int i = 0; i < 50; ++i) {  // the unwinder knows the way then
    ++stacks;
    AllocateOnANewStack();
  }
  ++stacks;
  const bool much = argv[1][0] == 'p';
  RecordTrace(much ? AllocateMuchOnANewStack : AllocateOnANewStack, &trace);
  REQUIRE(trace.count < Trace::kMost);
  const unsigned one_in = static_cast<unsigned>(atoi(argv[2]));
  unsigned points = 0;
  ForEachPoint(trace, [&](Point point) {
    if (points++ % one_in == 0) Interrupt(point, argv[1]);
  });
  REQUIRE(interrupted > 50);

  const size_t n = argv[1][0] == 'a' ? interrupted : 0;
  Say("in_handler", {.live_bytes = 7 * n, .live_blocks = n, .total_bytes = 7 * n, .total_blocks = n});
  Say("gone_in_handler", {.total_bytes = 8 * n, .total_blocks = n});
  const size_t left = argv[1][0] == 'l' ? stacks - 51 : 0;
  Say("after", {.live_bytes = 10 * left, .live_blocks = left, .total_bytes = 10 * left, .total_blocks = left});
  const size_t all = much ? 50 : stacks;
  Say("interrupted", {.live_bytes = 100 * all, .live_blocks = all, .total_bytes = 100 * all, .total_blocks = all});
}
