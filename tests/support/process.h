// Runs programs for tests: what went in, what came out, and never longer than allowed.
//
// A program gets a process group of its own, and what is left of the group when its leader ends is killed. Its
// standard streams are files in memory, so that a daemon that keeps them open cannot hang a test. Variables named
// ALLOCLINE_* and LD_PRELOAD are not inherited: a test says what it wants.
//
// Threads: each object belongs to one thread.
#ifndef ALLOCLINE_TESTS_SUPPORT_PROCESS_H_
#define ALLOCLINE_TESTS_SUPPORT_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace allocline::testing {

struct Command {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH if it has no slash
  std::map<std::string, std::string> env;  // on top of what is inherited
  std::string directory;                   // where to run; empty: here
  std::string input;                       // standard input
  std::chrono::milliseconds time_limit = std::chrono::seconds(60);
  std::function<void()> in_child;  // between fork and exec: limits, closed descriptors, another user
};

struct Outcome {
  pid_t pid = 0;
  bool timed_out = false;
  int status = 0;  // as from waitpid
  std::string out, err;

  // "exit 0", "signal 6 (Aborted)", "timed out": what two runs of a program must agree on beside their output.
  std::string Ending() const;
  bool ok() const { return !timed_out && status == 0; }
};

// A program running now.
class Process {
 public:
  explicit Process(const Command& command);
  ~Process();  // kills it if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void Signal(int signal) const;
  std::string OutputSoFar() const;
  // True once standard output holds `text`; false when the program ended or the time limit passed before.
  bool WaitForOutput(const std::string& text);
  // Waits for its end, or kills it when its time is over.
  Outcome Wait();

 private:
  bool WaitUntil(std::chrono::steady_clock::time_point deadline);

  Command command_;
  pid_t pid_ = -1;
  int pidfd_ = -1, out_ = -1, err_ = -1;
  std::chrono::steady_clock::time_point deadline_;
  bool reaped_ = false;
};

Outcome RunProgram(const Command& command);

// Full path of a program in PATH, or "" when it is not installed.
std::string FindProgram(const std::string& name);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_PROCESS_H_
