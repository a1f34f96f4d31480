// Takes every descriptor for itself, then makes so many call stacks that a recording must grow. Not one byte may reach
// the program's own file.
//   close      closes all, then fills every number with its file
//   dup2       puts its file over whatever is there
//   closefrom  closes all and leaves it at that, as daemons do
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../truth.h"
#include "many_stacks.h"

int main(int argc, char** argv) {
  REQUIRE(argc == 2);
  void* before = malloc(10);  // LINE: before 10/1
  Keep(before);
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int descriptors = limit.rlim_cur < (1 << 20) ? static_cast<int>(limit.rlim_cur) : 1 << 20;
  int own = open("own", O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(own >= 0 && write(own, "the program's", 13) == 13);
  for (int fd = 3; fd < descriptors && strcmp(argv[1], "dup2") != 0; ++fd) {
    if (fd != own) close(fd);
  }
  for (int fd = 3; fd < descriptors && strcmp(argv[1], "closefrom") != 0; ++fd) {
    if (fd != own) REQUIRE(dup2(own, fd) == fd);
  }
  WithManyStacks(20000, [](unsigned) {
    void* kept = malloc(3);  // LINE: stacks 60000/20000
    Keep(kept);
  });
  struct stat info;
  REQUIRE(fstat(own, &info) == 0);
  REQUIRE(info.st_size == 13);
  char text[14] = {};
  REQUIRE(pread(own, text, 13, 0) == 13 && strcmp(text, "the program's") == 0);
  void* after = malloc(20);  // LINE: after 20/1
  Keep(after);
}
