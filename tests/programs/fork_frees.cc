// A forked child starts with its parent's live blocks, frees some, allocates its own; the parent's numbers stay.
#include <sys/wait.h>

#include "truth.h"

int main(int argc, char**) {
  void* blocks[10];
  for (void*& block : blocks) {
    block = malloc(100);  // LINE: before 1000/10
    Keep(block);
  }
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (int i = 0; i < 4; ++i) free(blocks[i]);
    void* own = malloc(33);  // LINE: child 33/1
    Keep(own);
    exit(argc - 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  void* own = malloc(44);  // LINE: parent 44/1
  Keep(own);
}
