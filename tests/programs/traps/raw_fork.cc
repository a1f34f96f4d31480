// A process made by clone(2) passes no atfork handler: what it allocates must not count in its parent's recording.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../truth.h"

static pid_t RawFork() { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }

int main() {
  void* before = malloc(64);  // LINE: before 64/1
  Keep(before);
  for (int i = 0; i < 10; ++i) {
    pid_t child = RawFork();
    REQUIRE(child >= 0);
    if (child == 0) {
      free(before);
      for (int j = 0; j < 1000; ++j) {
        void* kept = malloc(100);  // LINE: in_child 100000/1000
        Keep(kept);
      }
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  }
  void* after = malloc(32);  // LINE: after 32/1
  Keep(after);
}
