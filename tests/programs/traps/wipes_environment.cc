// Clears its environment and leaves its directory, then forks: the child's recording goes where the parent's went.
#include <sys/wait.h>

#include "../truth.h"

int main() {
  void* before = malloc(10);  // LINE: before 10/1
  Keep(before);
  clearenv();
  REQUIRE(chdir("/") == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  void* after = malloc(child == 0 ? 200 : 100);  // LINE: after any
  Keep(after);
  if (child == 0) return 0;
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}
