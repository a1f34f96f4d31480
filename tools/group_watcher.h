// Tells a signal that was sent to us alone from one that all of our process group got: the child has had that already.
//
// The kernel does not say whom a signal was meant for. A shell's or a supervisor's `kill -TERM -PGID` looks to us like
// a kill of our own pid, and so does systemd, which signals every process of a service one by one. So a process that
// does nothing stands in the group beside us, with all signals blocked: what is pending there was not for us alone. It
// is a `cat` that reads from a pipe of ours and ends with it; where it cannot be had, every signal counts as ours
// alone. It is not a copy of us, since whoever signals us by the name of our program (pkill, start-stop-daemon) means
// us alone.
//
// Threads: one. To be made while the signals to be told apart are blocked: the watcher inherits that.
#ifndef ALLOCLINE_TOOLS_GROUP_WATCHER_H_
#define ALLOCLINE_TOOLS_GROUP_WATCHER_H_

#include <sys/types.h>

#include "base/unique_fd.h"

namespace allocline {

class GroupWatcher {
 public:
  GroupWatcher() { Start(); }
  ~GroupWatcher() { Stop(); }
  GroupWatcher(const GroupWatcher&) = delete;
  GroupWatcher& operator=(const GroupWatcher&) = delete;

  // Whether the others of our group have got `signal`, which we just got, as well. Each is told once.
  bool GroupGot(int signal);

 private:
  void Start();
  void Stop();
  bool IsPending(int signal) const;

  pid_t pid_ = -1;
  UniqueFd lifeline_;  // its standard input ends when this is closed
};

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_GROUP_WATCHER_H_
