#include "tests/support/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>

namespace allocline::testing {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

int MemoryFile(const char* name, std::string_view text = "") {
  int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) Fail("memfd_create");
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0) Fail("write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  lseek(fd, 0, SEEK_SET);
  // Clear of 0-2, so that the dup2 calls in the child never meet themselves.
  int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  close(fd);
  return high;
}

std::string Contents(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) Fail("fstat");
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t got = 0;
  while (got < text.size()) {
    ssize_t n = pread(fd, text.data() + got, text.size() - got, static_cast<off_t>(got));
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  text.resize(got);
  return text;
}

std::vector<std::string> EnvironmentFor(const Command& command) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text = *entry;
    std::string name(text.substr(0, text.find('=')));
    if (name.starts_with("ALLOCLINE_") || name == "LD_PRELOAD" || command.env.contains(name)) continue;
    result.emplace_back(text);
  }
  for (const auto& [name, value] : command.env) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::string Outcome::Ending() const {
  if (timed_out) return "timed out";
  if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exit {}", WEXITSTATUS(status));
}

Process::Process(const Command& command) : command_(command), deadline_(Clock::now() + command.time_limit) {
  std::string program = FindProgram(command.argv.at(0));
  std::vector<std::string> environment = EnvironmentFor(command);
  std::vector<char*> argv = Pointers(command.argv), envp = Pointers(environment);
  int in = MemoryFile("stdin", command.input);
  out_ = MemoryFile("stdout");
  err_ = MemoryFile("stderr");
  pid_ = fork();
  if (pid_ < 0) Fail("fork");
  if (pid_ == 0) {
    setpgid(0, 0);
    dup2(in, 0);
    dup2(out_, 1);
    dup2(err_, 2);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);  // what the test runner leaves open is not the program's
    if (!command.directory.empty() && chdir(command.directory.c_str()) != 0) _exit(126);
    if (command.in_child) command.in_child();
    execve(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  setpgid(pid_, pid_);  // also here: whoever comes first
  close(in);
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) Fail("pidfd_open");
}

Process::~Process() {
  if (!reaped_) {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    int status;
    waitpid(pid_, &status, 0);
  }
  close(pidfd_);
  close(out_);
  close(err_);
}

bool Process::WaitUntil(Clock::time_point deadline) {
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd ended = {.fd = pidfd_, .events = POLLIN, .revents = 0};
    int n = poll(&ended, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (n > 0) return true;
    if (n == 0) return false;
    if (errno != EINTR) Fail("poll");
  }
}

bool Process::running() { return !reaped_ && !WaitUntil(Clock::now()); }

void Process::Signal(int signal) const {
  if (!reaped_) kill(pid_, signal);
}

std::string Process::OutputSoFar() const { return Contents(out_); }

bool Process::WaitForOutput(const std::string& text) {
  for (;;) {
    bool alive = running();  // asked first: what it wrote before its end counts
    if (Contents(out_).find(text) != std::string::npos) return true;
    if (!alive || Clock::now() > deadline_) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Outcome Process::Wait() {
  Outcome outcome = {.pid = pid_};
  outcome.timed_out = !WaitUntil(deadline_);
  // While the leader is not reaped its pid, and so the group's id, cannot be anyone else's.
  kill(-pid_, SIGKILL);
  if (waitpid(pid_, &outcome.status, 0) != pid_) Fail("waitpid");
  reaped_ = true;
  outcome.out = Contents(out_);
  outcome.err = Contents(err_);
  return outcome;
}

Outcome RunProgram(const Command& command) { return Process(command).Wait(); }

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  const char* variable = getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/usr/bin:/bin";
  for (;;) {
    size_t colon = path.find(':');
    std::string candidate = fmt::format("{}/{}", path.substr(0, colon), name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    if (colon == std::string_view::npos) break;
    path.remove_prefix(colon + 1);
  }
  for (const char* directory : {"/usr/sbin", "/sbin"}) {
    std::string candidate = fmt::format("{}/{}", directory, name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

}  // namespace allocline::testing
