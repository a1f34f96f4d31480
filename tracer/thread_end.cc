#include "tracer/thread_end.h"

#include <errno.h>
#include <pthread.h>

namespace allocline {
namespace {

pthread_key_t g_key;
bool g_have_key = false;
void (*g_at_end)(ThreadState*) = nullptr;

void OnKeyDestroyed(void* state) { g_at_end(static_cast<ThreadState*>(state)); }

}  // namespace

void InitThreadEnd(void (*at_end)(ThreadState*)) {
  g_at_end = at_end;
  g_have_key = pthread_key_create(&g_key, OnKeyDestroyed) == 0;
}

void CallAtThreadEnd(ThreadState* state) {
  if (!g_have_key) return;  // states are then not handed on: the recording grows with the number of threads
  const int saved = errno;
  pthread_setspecific(g_key, state);
  errno = saved;
}

}  // namespace allocline
