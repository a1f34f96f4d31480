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

ProgressBar::ProgressBar(std::string task)
    : task_(std::move(task)), on_terminal_(isatty(STDERR_FILENO) == 1), next_draw_(Clock::now() + kPatience) {}

ProgressBar::~ProgressBar() {
  if (drawn_) fputs("\r\033[K", stderr);
}

void ProgressBar::Update(size_t done, size_t total) {
  if (!on_terminal_ || total == 0) return;
  const Clock::time_point now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + kRedraw;
  drawn_ = true;
  done = std::min(done, total);
  const size_t filled = done * kWidth / total;
  const std::string bar(filled, '#');
  fputs(fmt::format("\r{} [{:<{}}] {:3} %\033[K", task_, bar, kWidth, done * 100 / total).c_str(), stderr);
}

}  // namespace allocline
