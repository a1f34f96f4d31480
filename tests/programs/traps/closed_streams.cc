// Started without descriptors 0, 1 and 2, as daemons are. What the program opens gets the numbers it always got, and
// what it writes to closed streams goes nowhere, least of all into a recording.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../truth.h"

int main() {
  errno = 0;
  if (write(1, "to a closed stdout", 18) != -1 || errno != EBADF) return 1;
  if (write(2, "to a closed stderr", 18) != -1 || errno != EBADF) return 2;
  for (int expected = 0; expected < 6; ++expected) {
    if (open("/dev/null", O_RDWR) != expected) return 10 + expected;
  }
  void* kept = malloc(1000);  // LINE: kept 1000/1
  Keep(kept);
  return 0;
}
