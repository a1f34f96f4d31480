// A running, traced program (traps/publishes_truth.cc) that tells all the time what it has live.
#ifndef ALLOCLINE_TESTS_E2E_PUBLISHING_PROGRAM_H_
#define ALLOCLINE_TESTS_E2E_PUBLISHING_PROGRAM_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/programs/traps/published_truth.h"
#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {

class PublishingProgram {
 public:
  // Recordings go to `directory`. `in_child` as in Command. `settings`: more of the environment.
  PublishingProgram(const TempDir& directory, unsigned seed, std::function<void()> in_child = {},
                    const std::map<std::string, std::string>& settings = {}) {
    std::string file = directory.WriteFile("truth", std::string(sizeof(PublishedTruth), '\0'));
    chmod(file.c_str(), 0666);
    int fd = open(file.c_str(), O_RDWR | O_CLOEXEC);
    void* pages = mmap(nullptr, sizeof(PublishedTruth), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (pages == MAP_FAILED) throw std::runtime_error("cannot map the truth");
    truth_ = static_cast<PublishedTruth*>(pages);
    std::map<std::string, std::string> environment = TracingEnvironment(directory.path());
    environment.insert(settings.begin(), settings.end());
    process_ = std::make_unique<Process>(Command{.argv = {TrapPath("publishes_truth"), file, std::to_string(seed)},
                                                 .env = std::move(environment),
                                                 .in_child = std::move(in_child)});
  }
  ~PublishingProgram() {
    process_.reset();
    munmap(truth_, sizeof(PublishedTruth));
  }

  pid_t pid() const { return process_->pid(); }
  uint64_t operations() const {
    uint64_t sum = 0;
    for (const ThreadTruth& thread : truth_->threads) sum += thread.operations.load();
    return sum;
  }
  int64_t live_bytes() const {
    int64_t sum = 0;
    for (const ThreadTruth& thread : truth_->threads) sum += thread.live_bytes.load();
    return sum;
  }
  // False when the program ended, or ten seconds passed, before.
  bool WaitForOperations(uint64_t count) {
    for (int i = 0; i < 10000; ++i) {
      if (operations() >= count) return true;
      if (!process_->running()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  Outcome Kill() {
    process_->Signal(SIGKILL);
    return process_->Wait();
  }

 private:
  PublishedTruth* truth_;
  std::unique_ptr<Process> process_;
};

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_E2E_PUBLISHING_PROGRAM_H_
