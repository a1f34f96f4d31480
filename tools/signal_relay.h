// Stands between a terminal (or a supervisor) and a child process as if it were not there.
//
//   a signal sent to us by kill()          is passed on to the child, with its value if it was queued
//   a signal that all our group got        has reached the child already: it is not passed on a second time, be it from
//                                          the terminal, kill -PGID or a supervisor (group_watcher.h)
//   the child stops, as by Ctrl-Z          we stop too, so that the shell sees its job stop
//   we are continued                       so is the child
//
// SIGKILL and SIGSTOP cannot be caught, so they are not passed on: the child outlives us.
//
// Threads: one relay per process, made before any other thread: it blocks signals for the whole process.
#ifndef ALLOCLINE_TOOLS_SIGNAL_RELAY_H_
#define ALLOCLINE_TOOLS_SIGNAL_RELAY_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "tools/group_watcher.h"

namespace allocline {

struct ChildEnd {
  int code = 0;                                                        // its exit code, if it exited
  int signal = 0;                                                      // the signal that ended it, or 0
  int exit_code() const { return signal != 0 ? 128 + signal : code; }  // as shells count
};

class SignalRelay {
 public:
  // From here on signals wait for WaitFor().
  SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

  // To be called in the child, between fork and exec: gives it the signals, and the death of its parent, as we got
  // them.
  void RestoreInChild() const;

  // Called while we wait, at once and whenever we are woken. Gives the nanoseconds after which it wants to be called
  // again. It must not take long: signals wait.
  using Meanwhile = std::function<uint64_t()>;

  // Passes signals on until `child` has ended.
  ChildEnd WaitFor(pid_t child, const Meanwhile& meanwhile = nullptr);

 private:
  // Takes in what happened to the child since the last call.
  std::optional<ChildEnd> Poll(pid_t child);
  bool ShouldStopToo() const;
  // The next signal, if one comes in time.
  std::optional<siginfo_t> NextSignal(const Meanwhile& meanwhile) const;
  void PassOn(const siginfo_t& signal, pid_t child);

  sigset_t relayed_;
  sigset_t original_mask_;
  struct sigaction original_sigchld_;
  int original_parent_death_signal_ = 0;
  int child_stopped_by_ = 0;           // 0: it runs
  bool child_has_news_ = false;        // Poll() saw it stop or go on
  std::optional<GroupWatcher> group_;  // made when the signals are blocked
};

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_SIGNAL_RELAY_H_
