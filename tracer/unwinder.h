// Takes the calling thread's stack: the one interface behind which the ways of unwinding stand.
//
// Context: inside malloc, with the thread's gate closed (see tracer.h): an implementation may allocate through libc,
// and
//          what it allocates is then seen as nested, not recursed into.
#ifndef ALLOCLINE_TRACER_UNWINDER_H_
#define ALLOCLINE_TRACER_UNWINDER_H_

#include <cstdint>

namespace allocline::unwinder {

// Finds what it needs in the process. False: there is no unwinder, and Unwind() gives the caller alone.
bool Init();

// Return addresses from `caller` (a return address on this thread's stack) outward, innermost first, at most `max`.
// Always at least one: `caller`. `scratch` has room for max + kOwnFrames addresses, `*pcs` points into it.
// `*cut` is set if there were, or may have been, more frames than given.
inline constexpr int kOwnFrames = 24;
int Unwind(uintptr_t caller, uintptr_t* scratch, int max, uintptr_t** pcs, bool* cut);

// Code was unloaded, and other code stands at its addresses: forget what was derived from them.
void ForgetCode();

}  // namespace allocline::unwinder

#endif  // ALLOCLINE_TRACER_UNWINDER_H_
