#include "tools/group_watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

namespace allocline {
namespace {

// A group's members get a signal within microseconds of one another, systemd's processes within a fraction of a
// millisecond: we may be the first.
constexpr useconds_t kPatienceUs[] = {0, 500, 3500};

}  // namespace

void GroupWatcher::Start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const UniqueFd input(ends[0]);
  lifeline_ = UniqueFd(ends[1]);
  pid_ = fork();
  if (pid_ != 0) return;

  // Nothing of ours is kept open or busy by it.
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(input.get(), STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
      dup2(null, STDERR_FILENO) < 0 || chdir("/") != 0) {
    _exit(1);
  }
  close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_UNSHARE);
  char name[] = "cat";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  execve("/bin/cat", arguments, environment);
  _exit(1);
}

void GroupWatcher::Stop() {
  lifeline_.reset();
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

bool GroupWatcher::IsPending(int signal) const {
  std::ifstream status(fmt::format("/proc/{}/status", pid_));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("ShdPnd:")) continue;
    const uint64_t pending = strtoull(line.c_str() + 7, nullptr, 16);
    return (pending >> (signal - 1) & 1) != 0;
  }
  return false;
}

bool GroupWatcher::GroupGot(int signal) {
  if (pid_ <= 0) return false;
  for (const useconds_t patience : kPatienceUs) {
    usleep(patience);
    if (!IsPending(signal)) continue;
    // What is pending cannot be taken back: another takes its place.
    Stop();
    Start();
    return true;
  }
  return false;
}

}  // namespace allocline
