// Runs a program and measures it: wall time, its own CPU time, peak resident memory.
//
// A Process is one child, not its children's children: what wait4 says of it covers the children it waited for, and
// none of the programs here has any. Helpers that run beside it are processes of their own and measured apart.
//
// Edges: peak memory is the kernel's ru_maxrss, which begins at what the forking process had: the driver stays small,
// and does what needs memory (reading recordings) in children.
#ifndef ALLOCLINE_BENCH_END_TO_END_PROCESS_H_
#define ALLOCLINE_BENCH_END_TO_END_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace allocline::bench {

struct Command {
  std::vector<std::string> arguments;                            // [0] is looked for in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // set on top of the driver's own
  std::string input;                                             // file for stdin; "" = /dev/null
  std::string output;                                            // file for stdout; "" = /dev/null
  std::string errors;                                            // file for stderr; "" = with stdout
  bool watched = false;                                          // see WaitWatched()
};

struct Usage {
  double wall_s = 0;
  double cpu_s = 0;  // user + system
  uint64_t peak_rss_bytes = 0;
  int status = 0;  // as wait4 gives it

  bool ok() const { return status == 0; }
};

class Process {
 public:
  // Never fails: a program that cannot be run ends with exit code 127.
  static Process Start(const Command& command);

  Usage Wait();
  // Of a watched command: calls at_peak(pid) when the process stops itself (programs/at_peak.h) and at_end(pid) when it
  // is about to end and its memory is still there, then lets it go on. By ptrace, so from the thread that started it.
  Usage WaitWatched(const std::function<void(pid_t)>& at_peak, const std::function<void(pid_t)>& at_end);
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  double started_s_ = 0;
};

// Ends the driver with one line on stderr.
[[noreturn]] void Die(const std::string& message);

std::string ReadFile(const std::string& path);
double MonotonicSeconds();

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_PROCESS_H_
