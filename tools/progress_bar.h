// A progress line on stderr for work that turns out to be long: it appears after a second, and only on a terminal.
//
// Threads: one. The line is wiped when the bar is destroyed, so that a report or an error begins on a clean one.
#ifndef ALLOCLINE_TOOLS_PROGRESS_BAR_H_
#define ALLOCLINE_TOOLS_PROGRESS_BAR_H_

#include <chrono>
#include <cstddef>
#include <string>

namespace allocline {

class ProgressBar {
 public:
  explicit ProgressBar(std::string task);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Update(size_t done, size_t total);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string task_;
  const bool on_terminal_;
  Clock::time_point next_draw_;
  bool drawn_ = false;
};

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_PROGRESS_BAR_H_
