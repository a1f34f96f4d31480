#include "bench/end_to_end/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace allocline::bench {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

Usage WithResources(Usage usage, const rusage& resources) {
  usage.cpu_s = Seconds(resources.ru_utime) + Seconds(resources.ru_stime);
  usage.peak_rss_bytes = static_cast<uint64_t>(resources.ru_maxrss) * 1024;
  return usage;
}

void Redirect(const std::string& path, int flags, int to) {
  const int fd = open(path.empty() ? "/dev/null" : path.c_str(), flags, 0600);
  if (fd < 0 || dup2(fd, to) < 0) _exit(126);
  if (fd != to) close(fd);
}

void GoOn(pid_t pid, int signal) {
  if (ptrace(PTRACE_CONT, pid, nullptr, static_cast<long>(signal)) != 0) Die("a watched process cannot go on");
}

}  // namespace

double MonotonicSeconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Process Process::Start(const Command& command) {
  Process process;
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  fflush(nullptr);
  process.started_s_ = MonotonicSeconds();
  process.pid_ = fork();
  if (process.pid_ < 0) Die("fork failed");
  if (process.pid_ == 0) {
    Redirect(command.input, O_RDONLY, 0);
    Redirect(command.output, O_WRONLY | O_CREAT | O_TRUNC, 1);
    if (command.errors.empty()) {
      dup2(1, 2);
    } else {
      Redirect(command.errors, O_WRONLY, 2);
    }
    for (const auto& [name, value] : command.environment) setenv(name.c_str(), value.c_str(), 1);
    if (command.watched && ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  return process;
}

Usage Process::Wait() {
  Usage usage;
  rusage resources{};
  if (wait4(pid_, &usage.status, 0, &resources) != pid_) Die("wait4 failed");
  usage.wall_s = MonotonicSeconds() - started_s_;
  return WithResources(usage, resources);
}

Usage Process::WaitWatched(const std::function<void(pid_t)>& at_peak, const std::function<void(pid_t)>& at_end) {
  constexpr int kAtEnd = SIGTRAP | PTRACE_EVENT_EXIT << 8;
  int status = 0;
  // The first stop is that of exec.
  if (waitpid(pid_, &status, 0) != pid_ || !WIFSTOPPED(status)) Die("a process cannot be watched (ptrace)");
  if (ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) != 0) Die("ptrace failed");
  GoOn(pid_, 0);
  for (;;) {
    Usage usage;
    rusage resources{};
    if (wait4(pid_, &usage.status, 0, &resources) != pid_) Die("wait4 failed");
    if (!WIFSTOPPED(usage.status)) {
      usage.wall_s = MonotonicSeconds() - started_s_;
      return WithResources(usage, resources);
    }
    if (usage.status >> 8 == kAtEnd) {
      at_end(pid_);
      GoOn(pid_, 0);
    } else if (WSTOPSIG(usage.status) == SIGSTOP) {
      at_peak(pid_);
      GoOn(pid_, 0);
    } else {
      GoOn(pid_, WSTOPSIG(usage.status));
    }
  }
}

void Die(const std::string& message) {
  fprintf(stderr, "compare: %s\n", message.c_str());
  exit(1);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace allocline::bench
