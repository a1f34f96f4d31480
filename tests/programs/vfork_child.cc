// A vfork child runs in its parent's memory until it execs: what it allocates is its parent's.
#include <sys/wait.h>

#include "truth.h"

int main() {
  static void* volatile from_child;
  pid_t child = vfork();
  REQUIRE(child >= 0);
  if (child == 0) {
    from_child = malloc(55);  // LINE: in_child 0/0 of 55/1
    execl("/bin/true", "true", nullptr);
    _exit(1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  REQUIRE(from_child != nullptr);
  free(from_child);
  void* kept = malloc(66);  // LINE: kept 66/1
  Keep(kept);
}
