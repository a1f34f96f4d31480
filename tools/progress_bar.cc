#include "tools/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace allocline {
namespace {

constexpr std::chrono::milliseconds kPatience(1000), kRedraw(100);
constexpr size_t kWidth = 40;

}  // namespace

ProgressBar::ProgressBar(std::string task, std::function<size_t()> count_total)
    : task_(std::move(task)),
      count_total_(std::move(count_total)),
      on_terminal_(isatty(STDERR_FILENO) == 1),
      next_draw_(Clock::now() + kPatience) {}

ProgressBar::~ProgressBar() {
  if (drawn_) fputs("\r\033[K", stderr);
}

void ProgressBar::Update(size_t done, size_t total) {
  if (!on_terminal_) return;
  const size_t done_in_all = finished_parts_ + done;
  if (done == total) finished_parts_ = done_in_all;
  const Clock::time_point now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + kRedraw;
  if (!drawn_) total_ = std::max<size_t>(count_total_(), 1);
  drawn_ = true;
  const size_t shown = std::min(done_in_all, total_);
  const size_t filled = shown * kWidth / total_;
  const std::string bar(filled, '#');
  fputs(fmt::format("\r{} [{:<{}}] {:3} %\033[K", task_, bar, kWidth, shown * 100 / total_).c_str(), stderr);
}

}  // namespace allocline
