// Our place between Python and its allocators.
//
// PyMem_SetAllocator lets anybody wrap the three domains (RAW: malloc, without the GIL; MEM and OBJ: pymalloc, which
// takes from malloc what is larger than 512 bytes), and PyObject_SetArenaAllocator what pymalloc takes its arenas from.
// Both are plain stores that need no interpreter yet, so we are there before its first allocation.
//
//   PyObject_Malloc -> our hook: gate closed to what comes underneath -> pymalloc -> Tracer::OnPythonAlloc
//   PyObject_Free   -> our hook (python_free.cc): record taken out    -> pymalloc
//
// Staying there. PYTHONMALLOC and -X dev replace the allocators when the interpreter is initialised, and we are out. So
// later each domain is asked for blocks of several sizes, and where one does not come by us we wrap again (from a
// pending call, with the GIL). To compare function pointers instead would be wrong: tracemalloc on top of us has others
// there too, and to wrap it again would have it call us, and us it, for ever. What we wrap may still call us: a
// program's pool for small objects that passes larger ones on, or what keeps us to free the blocks from before. So we
// wrap as another layer, which has functions and a next allocator of its own; what comes by two of them is recorded by
// the outer one. An interpreter that is finalized and initialized again has forgotten us too (3.12 and later): the
// question is asked again.
//
// The allocator of a domain is five words that others copy without a lock, PyMem_RawMalloc even without the GIL, while
// we store them. So there is a set of functions for each domain, they take no notice of their context, and we leave the
// context as it was: any mixture of old and new words is a working allocator.
//
// Threads: hooks run on any thread. Installing: once from the constructor or under the tracer's lock, later in pending
//          calls, which Python does not run two of at once.
#ifndef ALLOCLINE_TRACER_PYTHON_HOOKS_H_
#define ALLOCLINE_TRACER_PYTHON_HOOKS_H_

#include <cstdint>

#include "tracer/python_runtime.h"

namespace allocline {

// False if the runtime lacks a function for it. g_python is known.
bool InstallPythonHooks();

// Asks Python to call us back, once, on its main thread and with the GIL, when it can. False: try again; so for a
// thread that does not hold the GIL.
bool SchedulePythonCheck();

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_HOOKS_H_
