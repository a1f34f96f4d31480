// Allocates on the way up and down stacks of 1 to 4000 frames, through functions that take turns at random: the stack
// grows and shrinks by a few frames at a time, and by thousands.
#include <pthread.h>

#include "../truth.h"

static constexpr int kSteps = 60000;
static int g_steps = 0;
static unsigned g_random = 1;
static int g_from = 0, g_to = 0;  // depths between which it goes for a while

static unsigned Draw() { return g_random = g_random * 1664525u + 1013904223u; }

// A step at this depth. Whether to go on further in; if not, back.
static bool GoesOn(int depth) {
  static bool in = true;
  if (++g_steps % 2000 == 0) {
    g_from = static_cast<int>(Draw() >> 20) % 3500;
    g_to = g_from + 1 + static_cast<int>(Draw() >> 20) % 500;
  }
  if (depth <= g_from) in = true;
  if (depth >= g_to) in = false;
  return in != (Draw() >> 28 == 0);  // now and then the other way
}

static void Allocate() {
  void* block = malloc(16);  // LINE: block any
  Keep(block);
}

using Function = void (*)(int);
extern const Function kFunctions[4];

#define FUNCTION(name, bytes)                   \
  static NEVER_INLINE void name(int depth) {    \
    char frame[bytes];                          \
    Keep(frame);                                \
    while (g_steps < kSteps && GoesOn(depth)) { \
      if (Draw() >> 30 == 0) Allocate();        \
      kFunctions[Draw() >> 30](depth + 1);      \
    }                                           \
    if (Draw() >> 30 == 0) Allocate();          \
    Keep(frame);                                \
  }
FUNCTION(One, 32)
FUNCTION(Two, 64)
FUNCTION(Three, 160)

// With a frame pointer that the way outward depends on.
static NEVER_INLINE void Variable(int depth) {
  char* frame = static_cast<char*>(__builtin_alloca(Draw() >> 28));
  Keep(frame);
  One(depth);
  Keep(frame);
}
const Function kFunctions[4] = {One, Two, Three, Variable};

int main() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, size_t{64} << 20);
  pthread_t thread;
  const auto body = [](void*) -> void* {
    while (g_steps < kSteps) One(1);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, nullptr) == 0);  // LINE: thread any
  pthread_join(thread, nullptr);
}
