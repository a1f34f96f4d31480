#include "tests/tools/terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>

namespace allocline::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPatienceMs = 60'000;

}  // namespace

Terminal::Terminal(const std::vector<std::string>& argv) {
  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  pid_ = forkpty(&fd_, nullptr, nullptr, nullptr);
  if (pid_ < 0) throw std::runtime_error("forkpty");
  if (pid_ == 0) {
    execv(pointers[0], pointers.data());
    _exit(127);
  }
}

Terminal::~Terminal() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(fd_);  // hangs up on whatever is left
}

void Terminal::Type(const std::string& keys) const {
  if (write(fd_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) throw std::runtime_error("write");
}

bool Terminal::ReadSome() {
  pollfd end = {.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&end, 1, kPatienceMs) <= 0) return false;
  char buffer[4096];
  const ssize_t got = read(fd_, buffer, sizeof buffer);  // fails with EIO once nobody has the terminal open
  if (got <= 0) return false;
  screen_.append(buffer, static_cast<size_t>(got));
  return true;
}

bool Terminal::WaitFor(const std::string& text) {
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (screen_.find(text) == std::string::npos) {
    if (!ReadSome() || Clock::now() > deadline) return false;
  }
  return true;
}

size_t Terminal::Count(const std::string& text) const {
  size_t count = 0;
  for (size_t at = screen_.find(text); at != std::string::npos; at = screen_.find(text, at + text.size())) ++count;
  return count;
}

int Terminal::WaitForExit() {
  while (ReadSome()) {
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace allocline::testing
