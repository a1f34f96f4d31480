// A timer whose handler sets it anew, so that signals come at intervals of the program's choice.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRAPS_ONE_SHOT_TIMER_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRAPS_ONE_SHOT_TIMER_H_

#include <signal.h>
#include <sys/time.h>

// Once, from now; the handler asks for the next, so that the program gets on between two. 0: no more.
static inline void SetTimer(unsigned microseconds) {
  itimerval once = {{0, 0}, {0, static_cast<suseconds_t>(microseconds)}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

static inline void HandleTimer(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
}

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRAPS_ONE_SHOT_TIMER_H_
