// Failing calls count nothing, and every call gives the values and the errno it gives untraced.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

#include <new>

#include "../truth.h"

// On stderr: stdout is for the truth about lines.
static void Tell(const char* text, int length) {
  if (write(2, text, static_cast<size_t>(length)) < 0) abort();
}

static void Report(const char* call, const void* result) {
  char text[160];
  int length = snprintf(text, sizeof(text), "%s: %s errno %d\n", call, result == nullptr ? "null" : "block", errno);
  Tell(text, length);
}

#define TRY(call)           \
  do {                      \
    errno = 0;              \
    void* result_ = (call); \
    Keep(result_);          \
    Report(#call, result_); \
  } while (0)

#define TRY_INT(call)                                                                         \
  do {                                                                                        \
    errno = 0;                                                                                \
    int result_ = (call);                                                                     \
    char text_[160];                                                                          \
    int length_ = snprintf(text_, sizeof(text_), "%s: %d errno %d\n", #call, result_, errno); \
    Tell(text_, length_);                                                                     \
  } while (0)

int main() {
  const size_t huge = Opaque<size_t>(PTRDIFF_MAX);
  const size_t most = Opaque<size_t>(SIZE_MAX);
  void* out = nullptr;
  TRY(malloc(huge));
  TRY(malloc(most));
  TRY(calloc(most, 2));
  TRY(calloc(huge, 1));
  TRY(realloc(nullptr, most));
  TRY(reallocarray(nullptr, most, 2));
  TRY(aligned_alloc(64, huge));
  TRY(aligned_alloc(64, most));
  TRY(aligned_alloc(most, 64));
  TRY(memalign(64, most));
  TRY(memalign(most, 64));
  TRY(valloc(most));
  TRY(pvalloc(most));
  TRY_INT(posix_memalign(&out, 64, huge));
  TRY_INT(posix_memalign(&out, 24, 64));
  TRY_INT(posix_memalign(&out, 0, 64));
  TRY_INT(posix_memalign(&out, 2, 64));
  TRY(::operator new(huge, std::nothrow));                        // LINE: thrown_inside 0/0 of 136/1
  TRY(::operator new[](huge, std::nothrow));                      // LINE: thrown_inside_array 0/0 of 136/1
  TRY(::operator new(huge, std::align_val_t(64), std::nothrow));  // LINE: thrown_inside_aligned 0/0 of 136/1
  TRY_INT(static_cast<int>(malloc_usable_size(nullptr)));

  // Free leaves errno alone, also when it gives pages back.
  static const size_t sizes[] = {10, 1 << 20, 64 << 20};
  for (size_t bytes : sizes) {
    void* block = malloc(bytes);  // LINE: freed 0/0 of 68157450/3
    Keep(block);
    errno = 1234;
    free(block);
    REQUIRE(errno == 1234);
    errno = 0;
  }
  // A successful call leaves errno alone.
  errno = 77;
  void* kept = malloc(50);  // LINE: kept 50/1
  Keep(kept);
  REQUIRE(errno == 77);
  void* aligned = aligned_alloc(Opaque(24), 48);  // LINE: odd_alignment any
  Report("aligned_alloc(24, 48)", aligned);
}
