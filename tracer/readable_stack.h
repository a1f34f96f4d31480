// The part of the stack that is known to be readable, so that wrong unwind information ends a stack instead of
// faulting.
//
// The page of the stack pointer is readable: the program is running on it. Pages above it are asked about, once each,
// by a system call that fails with EFAULT instead of faulting; what was found is remembered as one range. A thread that
// moves to another stack (a fiber, a signal stack) starts a new range.
//
// All is forgotten when the program unmaps memory that was asked about (relied_on_memory.h, ForgetReadable()), and
// whenever a stack has led astray: mprotect, shmdt, a file that ends and libc's own munmap tell us nothing. What cannot
// be known: that another thread takes memory away this very moment. Only wrong unwind information can lead there,
// because right information never leads beyond the frames of the running stack.
#ifndef ALLOCLINE_TRACER_READABLE_STACK_H_
#define ALLOCLINE_TRACER_READABLE_STACK_H_

#include <cstdint>

#include "base/pages.h"
#include "tracer/relied_on_memory.h"

namespace allocline {

// Above all frames of the program's first thread: where the kernel put the 16 bytes of AT_RANDOM. 0 if not known.
inline constinit uintptr_t g_main_stack_top = 0;

class ReadableStack {
 public:
  // So many bytes from `stack_pointer` on, where the thread stands, can be read without having been asked about: to the
  // end of the page; on the main stack all to its top. The kernel puts no mapping within 128 MiB below that (mmap_base,
  // arch/x86/mm/mmap.c), so what stands there is the stack, which is one mapping and never shrinks.
  static uintptr_t RoomAbove(uintptr_t stack_pointer) {
    constexpr uintptr_t kSurelyMainStack = 32 << 20;
    const uintptr_t to_top = g_main_stack_top - stack_pointer;
    return to_top < kSurelyMainStack ? to_top : kPage - stack_pointer % kPage;
  }
  // The thread stands at `stack_pointer`: everything asked about from here on lies above it.
  void Enter(uintptr_t stack_pointer) {
    if (__builtin_expect(stack_pointer - low_ < high_ - low_, 1)) return;
    MoveTo(stack_pointer & ~(uintptr_t{kPage} - 1));
  }
  void Forget() { low_ = high_ = 0; }
  // Whether the 8 bytes at `address` can be read.
  bool Covers(uintptr_t address) {
    if (__builtin_expect(address - low_ < high_ - low_, 1)) return address % 8 == 0;
    return address % 8 == 0 && Extend(address);
  }
  // The same for a multiple of 8 above what Enter() was told.
  bool CoversAbove(uintptr_t address) { return __builtin_expect(address < high_, 1) || Extend(address); }

 private:
  // Further than this in one step, and it is not the stack any more.
  static constexpr uintptr_t kLargestFrame = 64 << 20;

  static bool AskFor(uintptr_t page) {
    g_relied_on.Add(page);
    return IsReadable(page);
  }

  __attribute__((noinline)) void MoveTo(uintptr_t page) {
    // Further down the same stack, if all between is readable; else another stack.
    constexpr uintptr_t kLargestStep = 64 * kPage;
    uintptr_t probe = page + kPage;
    g_relied_on.Add(page);
    if (page < low_ && low_ - page <= kLargestStep) {
      while (probe < low_ && AskFor(probe)) probe += kPage;
      if (probe == low_) {
        low_ = page;
        return;
      }
    }
    low_ = page;
    high_ = page + kPage;
  }

  __attribute__((noinline)) bool Extend(uintptr_t address) {
    if (address < low_ || address - high_ > kLargestFrame) return false;
    while (high_ <= address) {
      if (!AskFor(high_)) return false;
      high_ += kPage;
    }
    return true;
  }

  uintptr_t low_ = 0, high_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_READABLE_STACK_H_
