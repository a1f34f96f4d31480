// Milliseconds added to a program that does nothing.
#include <fmt/core.h>

#include "bench/end_to_end/goals.h"
#include "bench/end_to_end/measurements.h"
#include "bench/end_to_end/rounds.h"

namespace allocline::bench {
namespace {

double Milliseconds(const Usage& usage) { return usage.wall_s * 1000; }

Usage Once(const Command& command) {
  Process process = Process::Start(command);
  const Usage usage = process.Wait();
  if (!usage.ok()) Die(command.arguments[0] + " failed with status " + std::to_string(usage.status));
  return usage;
}

}  // namespace

void MeasureStartup(const Tools& tools, const Extent& extent, Scores* scores) {
  if (tools.command.empty()) {
    fmt::print("/bin/true under `allocline run`: not measured, bin/allocline was not built\n\n");
    return;
  }
  Command plain, preloaded, run;
  plain.arguments = {"/bin/true"};
  preloaded.arguments = {"/bin/true"};
  preloaded.environment = {{"LD_PRELOAD", tools.tracer}, {"ALLOCLINE_OUTPUT", tools.scratch}};
  run.arguments = {tools.command, "run", "-o", tools.scratch, "--", "/bin/true"};
  std::vector<double> plain_ms, preload_added_ms, run_added_ms;
  for (int i = 0; i < extent.startup_rounds; ++i) {
    const double without = Milliseconds(Once(plain));
    plain_ms.push_back(without);
    preload_added_ms.push_back(Milliseconds(Once(preloaded)) - without);
    run_added_ms.push_back(Milliseconds(Once(run)) - without);
  }
  const double added = Median(run_added_ms);
  fmt::print(
      "/bin/true takes {:.2f} ms; LD_PRELOAD of the tracer adds {:.2f} ms, `allocline run` adds {:.2f} ms"
      " (wall, median of {} alternating runs)\n\n",
      Median(plain_ms), Median(preload_added_ms), added, extent.startup_rounds);
  scores->AtMost("added by `allocline run` to /bin/true", goals::kStartupMs, added, " ms");
}

}  // namespace allocline::bench
