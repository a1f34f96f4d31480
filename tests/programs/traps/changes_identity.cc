// Goes where nothing can be opened any more, as servers do: "chroot" into an empty directory, "setuid" to nobody.
#include <string.h>

#include "../truth.h"
#include "many_stacks.h"

int main(int argc, char** argv) {
  REQUIRE(argc == 3);
  void* before = malloc(10);  // LINE: before 10/1
  Keep(before);
  if (strcmp(argv[1], "chroot") == 0) {
    REQUIRE(chroot(argv[2]) == 0 && chdir("/") == 0);
  } else {
    REQUIRE(setgid(65534) == 0 && setuid(65534) == 0);
  }
  WithManyStacks(20000, [](unsigned) {
    void* kept = malloc(2);  // LINE: stacks 40000/20000
    Keep(kept);
  });
}
