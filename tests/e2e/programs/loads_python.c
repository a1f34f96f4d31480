/* Loads each libpython named on the command line, when it runs already, has the first one execute a few lines, and is
 * killed: a plugin host, say. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

static const char kLines[] =
    "def collect(n):\n"
    "    return [bytes(1000) for _ in range(n)]\n"
    "rows = collect(500)\n"
    "print(len(rows), flush=True)\n";

int main(int argc, char** argv) {
  void* first = NULL;
  for (int i = 1; i < argc; ++i) {
    void* library = dlopen(argv[i], RTLD_NOW | (first == NULL ? RTLD_GLOBAL : RTLD_LOCAL));
    if (library == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    if (first == NULL) first = library;
    /* Some code of it that allocates, and is on the stack then. */
    wchar_t* (*decode)(const char*, size_t*) = (wchar_t * (*)(const char*, size_t*)) dlsym(library, "Py_DecodeLocale");
    void (*release)(void*) = (void (*)(void*))dlsym(library, "PyMem_RawFree");
    if (decode == NULL || release == NULL) return 2;
    release(decode("some text", NULL));
  }
  void (*initialize)(int) = (void (*)(int))dlsym(first, "Py_InitializeEx");
  int (*run)(const char*) = (int (*)(const char*))dlsym(first, "PyRun_SimpleString");
  if (initialize == NULL || run == NULL) return 2;
  initialize(0);
  if (run(kLines) != 0) return 3;
  kill(getpid(), SIGKILL);
  return 4;
}
