// A thread loads, runs and unloads two plugins in turn, again and again; three others allocate all the while. Each
// unload has every thread look anew at the unwind information of all code on its stack.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

#include "../truth.h"
#include "library_path.h"

static constexpr int kLoads = 300;
static std::atomic<bool> g_loads{true};

static void RunPlugin(const char* name) {
  void* plugin = dlopen(Beside(name).text, RTLD_NOW);  // LINE: loaded any
  REQUIRE(plugin != nullptr);
  reinterpret_cast<void (*)(int)>(dlsym(plugin, "Run"))(1);
  REQUIRE(dlclose(plugin) == 0);
}

static NEVER_INLINE void Allocate(int depth) {
  if (depth > 0) {
    Allocate(depth - 1);
  } else {
    void* block = malloc(24);  // LINE: block any
    Keep(block);
    free(block);
  }
  Keep(&depth);
}

static void* AllocateMeanwhile(void*) {
  for (int i = 0; g_loads; ++i) Allocate(i % 20);
  return nullptr;
}

int main() {
  pthread_t threads[3];
  for (pthread_t& thread : threads) {
    REQUIRE(pthread_create(&thread, nullptr, AllocateMeanwhile, nullptr) == 0);  // LINE: thread any
  }
  for (int i = 0; i < kLoads; ++i) {
    RunPlugin("lib_plugin_one.so");
    RunPlugin("lib_plugin_two.so");
  }
  g_loads = false;
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
