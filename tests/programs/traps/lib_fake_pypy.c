// What looks like PyPy from outside: the names of its C API. Loaded and run by runs_fake_python.
#include <stdlib.h>
#include <string.h>

void* PyPyObject_Malloc(size_t bytes) { return malloc(bytes); }
void PyPyObject_Free(void* block) { free(block); }

// Gives how many blocks it could use.
int Run(void) {
  int used = 0;
  for (int i = 0; i < 900; ++i) {
    char* block = PyPyObject_Malloc(40);
    used += block != NULL && memset(block, 1, 40) != NULL;
    PyPyObject_Free(block);
  }
  return used;
}
