// Stops the process where it holds most, if the driver asked for that, so that its memory can be looked at.
#ifndef ALLOCLINE_BENCH_END_TO_END_PROGRAMS_AT_PEAK_H_
#define ALLOCLINE_BENCH_END_TO_END_PROGRAMS_AT_PEAK_H_

#include <signal.h>
#include <stdlib.h>

inline void AtPeak() {
  if (getenv("ALLOCLINE_BENCH_STOP_AT_PEAK") != nullptr) raise(SIGSTOP);
}

#endif  // ALLOCLINE_BENCH_END_TO_END_PROGRAMS_AT_PEAK_H_
