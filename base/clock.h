// Clocks in nanoseconds. No errno; usable inside malloc. CLOCK_MONOTONIC is answered by the vdso, without a system
// call.
#ifndef ALLOCLINE_BASE_CLOCK_H_
#define ALLOCLINE_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace allocline {

inline uint64_t ClockNow(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}
inline uint64_t MonotonicNow() { return ClockNow(CLOCK_MONOTONIC); }
// The same to a few milliseconds, never ahead of it, and cheaper.
inline uint64_t CoarseMonotonicNow() { return ClockNow(CLOCK_MONOTONIC_COARSE); }
// Processor time of the calling thread. A system call.
inline uint64_t ThreadCpuNow() { return ClockNow(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace allocline

#endif  // ALLOCLINE_BASE_CLOCK_H_
