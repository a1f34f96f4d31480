// Comes to a peak, then forgets it by "reset_peak" or "clear", or forks a child ("fork"), and comes to another, lower
// one.
#include <string.h>
#include <sys/wait.h>

#include "../../../include/allocline/allocline.h"
#include "../truth.h"

static constexpr int kFirst = 20000, kSecond = 5000;

static NEVER_INLINE void* First() {
  void* block = malloc(1000);  // LINE: first any
  Keep(block);
  return block;
}
static NEVER_INLINE void* Second() {
  void* block = malloc(1000);  // LINE: second any
  Keep(block);
  return block;
}

int main(int argc, char** argv) {
  static void *first[kFirst], *second[kSecond];
  REQUIRE(argc == 2);
  for (void*& block : first) block = First();
  pid_t child = -1;
  if (strcmp(argv[1], "clear") == 0) allocline_clear();
  if (strcmp(argv[1], "fork") == 0) child = fork();
  if (child > 0) {
    waitpid(child, nullptr, 0);
    return 0;
  }
  for (void* block : first) free(block);
  if (strcmp(argv[1], "reset_peak") == 0) allocline_reset_peak();
  for (void*& block : second) block = Second();
  for (void* block : second) free(block);
}
