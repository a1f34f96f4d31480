// Constructors before main and destructors after it.
#include "truth.h"

struct Holder {
  Holder() : block(malloc(1000)) { Keep(block); }  // LINE: before_main 0/0 of 2000/2
  ~Holder() {
    free(block);
    void* last = malloc(77);  // LINE: after_main 154/2
    Keep(last);
  }
  void* block;
};

static Holder first;
static Holder second;
static void* leaked = malloc(500);  // LINE: leaked 500/1

__attribute__((constructor)) static void Early() {
  void* block = malloc(60);  // LINE: constructor 60/1
  Keep(block);
}

__attribute__((destructor)) static void Late() {
  void* block = malloc(70);  // LINE: destructor 70/1
  Keep(block);
}

static void AtExit() {
  void* block = malloc(80);  // LINE: at_exit 80/1
  Keep(block);
}

int main() {
  Keep(leaked);
  atexit(AtExit);
}
