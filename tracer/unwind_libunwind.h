// Taking a whole stack with libunwind: for frames that no simple row describes, and for checking our own unwinder.
//
// Context: inside malloc, with the thread's gate closed (tracer.h): what libunwind allocates is then not recursed into,
//          and CallIsForLibunwind() tells it from what a signal handler allocates.
#ifndef ALLOCLINE_TRACER_UNWIND_LIBUNWIND_H_
#define ALLOCLINE_TRACER_UNWIND_LIBUNWIND_H_

#include <cstdint>

#include "recording/format.h"
#include "tracer/own_stack.h"

namespace allocline {

// Finds libunwind in the process. False: UnwindByLibunwind() gives the caller alone.
bool InitLibunwind();
// Of a tracer that could not start: a program that is so short of addresses needs those of libunwind itself.
void ReleaseLibunwind();

// Room for the frames of our own that a stack begins with.
inline constexpr int kOwnFrames = 32;

// Return addresses from `caller` (a return address on this thread's stack) outward, innermost first, at most `max`, at
// least one: `caller`. `scratch` has room for max + kOwnFrames addresses; `*pcs` points into it. `*cut` is set if the
// stack is not whole. `careful`: it is not known that what expressions of its frames load is there. Slow.
int UnwindByLibunwind(OwnStack* stack, uintptr_t caller, bool careful, uintptr_t* scratch, int max, uintptr_t** pcs,
                      format::TruncationReason* cut);

// Whether the calling thread's stack, followed outward and through signal frames onto other stacks, has a frame with
// this stack pointer. `*known` is false if that could not be found out. Slow.
bool StackPasses(OwnStack* stack, uintptr_t stack_pointer, bool* known);

// With the gate closed: whether a call of malloc or mmap is libunwind's doing, not the program's. It maps its caches;
// and the first time that a thread uses it, the loader allocates the thread's copy of its thread-local variables.
bool CallIsForLibunwind();

// Other code has come to stand at addresses where code was before: what libunwind remembers of them is wrong.
void LibunwindForgetCode();

// In a forked child. If a thread of the parent was inside libunwind in that instant, its locks may be held for ever
// here, and it is used no more: a stack that only it could take has one frame, and is marked as cut.
void LibunwindAfterFork();

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_UNWIND_LIBUNWIND_H_
