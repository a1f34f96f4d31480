// libc allocates on behalf of the program: the user's line is the call.
#include <dirent.h>
#include <string.h>

#include "truth.h"

int main() {
  char* copy = strdup(Opaque("fourteen bytes"));  // LINE: copy 15/1
  Keep(copy);
  char* part = strndup(Opaque("fourteen bytes"), 8);  // LINE: part 9/1
  Keep(part);
  DIR* directory = opendir("/");  // LINE: directory any
  REQUIRE(directory != nullptr);
  closedir(directory);
  FILE* stream = fopen("/dev/null", "w");  // LINE: stream any
  REQUIRE(stream != nullptr);
  fclose(stream);
}
