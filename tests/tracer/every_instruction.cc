#include "tests/tracer/every_instruction.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace allocline::testing {
namespace {

// What addr2line takes.
std::string Describe(const Point& point) {
  Dl_info object{};
  dladdr(reinterpret_cast<void*>(point.instruction), &object);
  return fmt::format("{}+{:#x}, visit {}", object.dli_fname == nullptr ? "?" : object.dli_fname,
                     point.instruction - reinterpret_cast<uintptr_t>(object.dli_fbase), point.visit);
}

struct Child {
  bool interrupted = false;
  std::vector<Point> points;  // of the trial without a point
};

Child RunInChild(const std::function<Child()>& trial, const std::string& what) {
  constexpr int kFailed = 1, kInterrupted = 2;
  Child result;
  int out[2];
  if (pipe(out) != 0) ADD_FAILURE() << "no pipe";
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // for a trial that waits for itself
    const Child done = trial();
    fflush(nullptr);
    for (const Point& point : done.points) {
      if (write(out[1], &point, sizeof point) != sizeof point) _exit(kFailed);
    }
    _exit(::testing::Test::HasFailure() ? kFailed : done.interrupted ? kInterrupted : 0);
  }
  close(out[1]);
  for (Point point{}; read(out[0], &point, sizeof point) == sizeof point;) result.points.push_back(point);
  close(out[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0) << "the signal that ended the trial " << what;
  EXPECT_NE(WEXITSTATUS(status), kFailed) << what;
  result.interrupted = WEXITSTATUS(status) == kInterrupted;
  return result;
}

}  // namespace

bool AtInstruction::Interrupt(const std::function<void()>& action, const std::function<void()>& interrupt) {
  if (point_) {
    interrupted_ = InterruptAt(
        *point_, [&] { action(); }, [&] { interrupt(); });
  } else {
    trace_ = std::make_unique<Trace>();
    RecordTrace([&] { action(); }, trace_.get());
    EXPECT_LT(trace_->count, Trace::kMost) << "too much to look at";
  }
  return interrupted_;
}

void ForEachInstruction(const std::function<void(AtInstruction&)>& trial) {
  if (::testing::Test::HasFailure()) return;  // a child could not tell its own failures from those before
#if !defined(__x86_64__)
  GTEST_SKIP() << "no single steps on this processor";
#endif
  const Child uninterrupted = RunInChild(
      [&] {
        Child child;
        AtInstruction at;
        trial(at);
        ForEachPoint(*at.trace_, [&](Point point) { child.points.push_back(point); });
        return child;
      },
      "uninterrupted");
  int interrupted = 0;
  for (const Point& point : uninterrupted.points) {
    if (::testing::Test::HasFailure()) return;
    interrupted += RunInChild(
                       [&] {
                         AtInstruction at;
                         at.point_ = point;
                         trial(at);
                         return Child{.interrupted = at.interrupted_};
                       },
                       "interrupted at " + Describe(point))
                       .interrupted;
  }
  EXPECT_GT(interrupted, 10) << "hardly anything was interrupted: this test tests nothing";
}

}  // namespace allocline::testing
