// Where the kernel keeps the registers of what a signal interrupted: in a ucontext_t, above the return address of the
// handler, which leads to the function that returns from it (struct rt_sigframe, arch/x86/include/asm/sigframe.h).
#ifndef ALLOCLINE_TRACER_SIGNAL_FRAME_H_
#define ALLOCLINE_TRACER_SIGNAL_FRAME_H_

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace allocline {

// Offsets from the stack pointer in that function.
#if defined(__x86_64__)
inline constexpr uintptr_t kInterruptedRbp = offsetof(ucontext_t, uc_mcontext) + 10 * 8;  // REG_RBP, which is no C++
inline constexpr uintptr_t kInterruptedRsp = offsetof(ucontext_t, uc_mcontext) + 15 * 8;
inline constexpr uintptr_t kInterruptedPc = offsetof(ucontext_t, uc_mcontext) + 16 * 8;
static_assert(kInterruptedRbp == 120 && kInterruptedRsp == 160 && kInterruptedPc == 168);
#endif

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SIGNAL_FRAME_H_
