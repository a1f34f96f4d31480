// CLOCK_MONOTONIC in nanoseconds. Answered by the vdso: no system call, no errno; usable inside malloc.
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

}  // namespace allocline

#endif  // ALLOCLINE_BASE_CLOCK_H_
