// A plugin is loaded, run and unloaded again and again, and in the end another one of the same size: by dlclose, or, as
// inside libc, by a way that no preload sees: "seen" or "unseen" is the first argument. The second is a suffix of the
// plugins' names.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void* g_libc;
static const char* g_suffix = "";

static void RunPlugin(const char* name, int (*close)(void*)) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  if (length <= 0) abort();
  path[length] = '\0';
  snprintf(strrchr(path, '/') + 1, 64, "%s%s.so", name, g_suffix);
  void* library = dlopen(path, RTLD_NOW);
  if (library == nullptr) abort();
  reinterpret_cast<void (*)(int)>(dlsym(library, "Run"))(1);
  if (close(library) != 0) abort();
}

int main(int argc, char** argv) {
  int (*close)(void*) = &dlclose;
  if (argc > 1 && strcmp(argv[1], "unseen") == 0) {
    g_libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    close = reinterpret_cast<int (*)(void*)>(dlsym(g_libc, "dlclose"));
  }
  if (argc > 2) g_suffix = argv[2];
  for (int i = 0; i < 1000; ++i) RunPlugin("lib_plugin_one", close);
  RunPlugin("lib_plugin_two", close);
}
