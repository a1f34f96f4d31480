// A program on a terminal of its own, and the keys pressed on it: what signals and job control are tested with.
//
// Threads: each object belongs to one thread.
#ifndef ALLOCLINE_TESTS_TOOLS_TERMINAL_H_
#define ALLOCLINE_TESTS_TOOLS_TERMINAL_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace allocline::testing {

class Terminal {
 public:
  // The program leads a session whose controlling terminal this is, as its foreground group.
  explicit Terminal(const std::vector<std::string>& argv);
  ~Terminal();  // kills it if it still runs
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  pid_t pid() const { return pid_; }
  void Type(const std::string& keys) const;
  // Reads until `text` is on the screen; false if the program ends, or ten seconds pass, before.
  bool WaitFor(const std::string& text);
  // How often `text` is on the screen so far.
  size_t Count(const std::string& text) const;
  const std::string& screen() const { return screen_; }
  // Reads to the end; the exit code as a shell gives it.
  int WaitForExit();

 private:
  bool ReadSome();

  pid_t pid_ = -1;
  int fd_ = -1;
  std::string screen_;
};

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_TOOLS_TERMINAL_H_
