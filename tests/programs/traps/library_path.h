// The path of a file beside the running program, without allocating.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRAPS_LIBRARY_PATH_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRAPS_LIBRARY_PATH_H_

#include <string.h>

#include "../truth.h"

struct Path {
  char text[4096];
};

inline Path Beside(const char* name) {
  Path path;
  ssize_t length = readlink("/proc/self/exe", path.text, sizeof(path.text) - 1);
  REQUIRE(length > 0);
  path.text[length] = '\0';
  char* file = strrchr(path.text, '/') + 1;
  snprintf(file, sizeof(path.text) - static_cast<size_t>(file - path.text), "%s", name);
  return path;
}

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRAPS_LIBRARY_PATH_H_
