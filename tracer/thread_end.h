// Hears of the end of threads, by a pthread key destructor: it works for C11 threads and for pthreads created behind
// our back alike, needs no hook, and costs nothing while the thread runs.
#ifndef ALLOCLINE_TRACER_THREAD_END_H_
#define ALLOCLINE_TRACER_THREAD_END_H_

#include "tracer/thread_state.h"

namespace allocline {

// Once, before the program's threads exist.
void InitThreadEnd(void (*at_end)(ThreadState*));
// Has `at_end(state)` called when the calling thread runs its key destructors.
void CallAtThreadEnd(ThreadState* state);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_THREAD_END_H_
