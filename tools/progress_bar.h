// A progress line on stderr for work that turns out to be long: it appears after a second, and only on a terminal.
//
// The work comes in parts, whose sizes are known one by one; the bar is one over all of them, and never goes back.
//
// Threads: one. The line is wiped when the bar is destroyed, so that a report or an error begins on a clean one.
#ifndef ALLOCLINE_TOOLS_PROGRESS_BAR_H_
#define ALLOCLINE_TOOLS_PROGRESS_BAR_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace allocline {

class ProgressBar {
 public:
  // `count_total` gives the size of the whole work; it is asked once, and only if the bar appears.
  ProgressBar(std::string task, std::function<size_t()> count_total);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` of the `total` of the present part; a part ends with the one call in which they are equal.
  void Update(size_t done, size_t total);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string task_;
  const std::function<size_t()> count_total_;
  size_t total_ = 0, finished_parts_ = 0;
  const bool on_terminal_;
  Clock::time_point next_draw_;
  bool drawn_ = false;
};

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_PROGRESS_BAR_H_
