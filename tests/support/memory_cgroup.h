// A memory cgroup (version 1) with a limit, below that of the test: a container whose kernel really kills.
#ifndef ALLOCLINE_TESTS_SUPPORT_MEMORY_CGROUP_H_
#define ALLOCLINE_TESTS_SUPPORT_MEMORY_CGROUP_H_

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

#include "base/cgroup.h"

namespace allocline::testing {

class MemoryCgroup {
 public:
  // `name`: of one beside others of this test.
  explicit MemoryCgroup(uint64_t limit, const std::string& name = "") {
    const Cgroup own = FindCgroup(0);
    if (own.version != CgroupVersion::kV1) {
      why_not_ = "needs a memory cgroup of version 1";
      return;
    }
    directory_ = std::string(own.directory) + "/allocline-test-" + std::to_string(getpid()) + name;
    if (mkdir(directory_.c_str(), 0755) != 0) {
      why_not_ = "needs to make a cgroup: " + directory_ + ": " + strerror(errno);
      directory_.clear();
      return;
    }
    SetLimit(limit);
  }
  ~MemoryCgroup() {
    if (!directory_.empty()) rmdir(directory_.c_str());
  }
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  // Empty where there is one.
  const std::string& why_not() const { return why_not_; }
  const std::string& directory() const { return directory_; }
  void SetLimit(uint64_t limit) const { std::ofstream(directory_ + "/memory.limit_in_bytes") << limit; }
  // Moves a process of any group.
  void Take(pid_t pid) const { std::ofstream(directory_ + "/cgroup.procs") << pid; }
  // For Command::in_child.
  std::function<void()> Enters() const {
    return [procs = directory_ + "/cgroup.procs"] {
      const int fd = open(procs.c_str(), O_WRONLY | O_CLOEXEC);
      if (fd < 0 || write(fd, "0", 1) != 1) _exit(99);
      close(fd);
    };
  }

 private:
  std::string directory_;
  std::string why_not_;
};

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_MEMORY_CGROUP_H_
