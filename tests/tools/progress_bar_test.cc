#include "tools/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <regex>
#include <string>
#include <vector>

namespace allocline {
namespace {

using ::testing::ElementsAre;

// What `draw` leaves on a terminal, which is its standard error.
std::string ScreenOf(void (*draw)()) {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    draw();
    _exit(0);
  }
  std::string screen;
  char buffer[4096];
  for (ssize_t got; (got = read(terminal, buffer, sizeof buffer)) > 0;) screen.append(buffer, static_cast<size_t>(got));
  waitpid(child, nullptr, 0);
  close(terminal);
  return screen;
}

std::vector<int> PercentagesOn(const std::string& screen) {
  std::vector<int> percentages;
  const std::regex percentage("([0-9]+) %");
  for (std::sregex_iterator match(screen.begin(), screen.end(), percentage), end; match != end; ++match) {
    percentages.push_back(std::stoi((*match)[1]));
  }
  return percentages;
}

TEST(ProgressBarTest, OneBarGoesOnOverAllParts) {
  const std::string screen = ScreenOf([] {
    constexpr useconds_t kRedrawUs = 110'000;
    ProgressBar bar("working", [] { return size_t{200}; });
    bar.Update(10, 20);  // too early to be seen
    usleep(1'050'000);
    for (const auto& [done, part] : {std::pair{20, 20}, {20, 40}, {40, 40}, {0, 140}, {70, 140}, {140, 140}}) {
      bar.Update(static_cast<size_t>(done), static_cast<size_t>(part));
      usleep(kRedrawUs);
    }
  });
  EXPECT_THAT(PercentagesOn(screen), ElementsAre(10, 20, 30, 30, 65, 100));
  EXPECT_TRUE(screen.ends_with("\r\033[K")) << "the line is wiped";
}

TEST(ProgressBarTest, ShortWorkIsNotShownAndItsSizeNotAskedFor) {
  const std::string screen = ScreenOf([] {
    ProgressBar bar("working", []() -> size_t { _exit(1); });
    bar.Update(1, 2);
    bar.Update(2, 2);
  });
  EXPECT_EQ(screen, "");
}

}  // namespace
}  // namespace allocline
