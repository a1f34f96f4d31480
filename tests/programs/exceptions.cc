// Exceptions fly through frames that allocate; the runtime allocates them itself.
#include <exception>

#include "truth.h"

// What the C++ ABI of x86-64 and AArch64 puts in front of an exception (__cxa_refcounted_exception).
static constexpr size_t kHeader = 128;

static NEVER_INLINE void Throw(int depth) {
  if (depth == 0) throw 42;  // LINE: thrown
  void* block = malloc(16);  // LINE: abandoned 160000/10000
  Keep(block);
  Throw(depth - 1);
  Keep(block);
}

static std::exception_ptr kept;

int main() {
  Amount thrown;
  for (int i = 0; i < 1000; ++i) {
    try {
      Throw(10);
    } catch (int value) {
      REQUIRE(value == 42);
    }
    thrown.Allocate(kHeader + sizeof(int));
    thrown.Free(kHeader + sizeof(int));
  }
  Say("thrown", thrown);
  // An exception kept alive is live memory of the line that threw it.
  try {
    throw 4.0;  // LINE: kept
  } catch (...) {
    kept = std::current_exception();
  }
  Amount kept_amount;
  kept_amount.Allocate(kHeader + sizeof(double));
  Say("kept", kept_amount);
  fflush(nullptr);
  _exit(0);
}
