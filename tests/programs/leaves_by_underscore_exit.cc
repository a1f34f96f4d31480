// _exit runs no handlers; what was live is in the recording.
#include "truth.h"

static void Never() { REQUIRE(false); }

int main() {
  atexit(Never);
  void* kept = malloc(123);  // LINE: kept 123/1
  Keep(kept);
  _exit(7);
}
