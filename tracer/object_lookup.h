// Lets libunwind find the object around an address without a lock.
//
// For a frame it has not seen yet, libunwind walks all loaded objects by dl_iterate_phdr, which takes a lock of the
// loader's, while it holds a lock of its own. A thread that holds the loader's (it is in a callback of dl_iterate_phdr,
// or a signal handler interrupted its dlclose) and allocates comes here for libunwind's: each waits for the other, for
// ever. So libunwind's import of dl_iterate_phdr, and no other's, is bound to a function that asks _dl_find_object,
// which takes no lock, and shows libunwind the one object it looks for.
//
// That function must know which address is looked for. libunwind passes it on as the first word of the callback's data:
// so does 1.6, and whether the one that is here does is tried out before it is relied upon.
#ifndef ALLOCLINE_TRACER_OBJECT_LOOKUP_H_
#define ALLOCLINE_TRACER_OBJECT_LOOKUP_H_

#include "tracer/loaded_object.h"

namespace allocline {

// `try_out` is to make libunwind take the calling thread's stack from a function of ours. Called once, in the
// constructor. False: libunwind goes on with the loader's dl_iterate_phdr.
bool BindObjectLookup(const LoadedObject& libunwind, void (*try_out)());

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_OBJECT_LOOKUP_H_
