// Private memory for code that cannot call malloc: whole pages, straight from the kernel.
//
// Context: async-signal-safe. Pages come zeroed, are kept out of core dumps, and never become huge pages (our tables
// are sparse: one huge page would cost 2 MiB for a few bytes).
#ifndef ALLOCLINE_BASE_PAGES_H_
#define ALLOCLINE_BASE_PAGES_H_

#include <errno.h>

#include "base/raw_syscall.h"

namespace allocline {

inline constexpr size_t kPage = 4096;
constexpr size_t RoundUpToPage(size_t bytes) { return (bytes + kPage - 1) & ~(kPage - 1); }

// Null when the address space or its limit is used up.
inline void* MapPages(size_t bytes) {
  void* pages = sys::Mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  if (sys::IsError(pages)) return nullptr;
  sys::Madvise(pages, bytes, MADV_NOHUGEPAGE);
  sys::Madvise(pages, bytes, MADV_DONTDUMP);
  return pages;
}

// The same, but a child of fork finds these pages zeroed: how a child made without our atfork handler is noticed.
// `*wiped` is set to false where the system cannot do that (Linux before 4.14, gVisor).
inline void* MapPagesWipedOnFork(size_t bytes, bool* wiped) {
  void* pages = MapPages(bytes);
  if (pages != nullptr && sys::IsError(sys::Madvise(pages, bytes, MADV_WIPEONFORK))) *wiped = false;
  return pages;
}

// Address space only: nothing may be read or written until something is mapped over it.
inline void* ReserveAddresses(size_t bytes) {
  void* range = sys::Mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  return sys::IsError(range) ? nullptr : range;
}

inline void UnmapPages(void* pages, size_t bytes) { sys::Munmap(pages, bytes); }

// Whether the 8 bytes at `address` can be read. rt_sigprocmask with an impossible `how` copies the mask before it looks
// further: EFAULT if it cannot, EINVAL if it can. It changes nothing either way.
inline bool IsReadable(uintptr_t address) {
  return sys::Call(SYS_rt_sigprocmask, ~0L, static_cast<long>(address), 0, 8) == -EINVAL;
}

// Whether the 8 bytes at `address` can be read and hold `value`, for memory that another thread may unmap at any
// moment: a wait on a futex, of no time at all, compares 4 bytes before it waits. EFAULT if they cannot be read, EAGAIN
// if they are others. `address` is a multiple of 4.
inline bool IsReadableAs(uintptr_t address, uint64_t value) {
  constexpr long kWaitPrivate = 128;  // FUTEX_WAIT | FUTEX_PRIVATE_FLAG
  constexpr struct { int64_t seconds, nanoseconds; } kNoTime{};
  for (int half = 0; half < 2; ++half) {
    long result = 0;
    do {
      result =
          sys::Call(SYS_futex, static_cast<long>(address + 4u * half), kWaitPrivate,
                    static_cast<long>(static_cast<uint32_t>(value >> 32 * half)), reinterpret_cast<long>(&kNoTime));
    } while (result == -EINTR);
    if (result != -ETIMEDOUT) return false;
  }
  return true;
}

}  // namespace allocline

#endif  // ALLOCLINE_BASE_PAGES_H_
