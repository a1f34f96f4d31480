// Runs programs untraced, under allocline and, if it is installed, under heaptrack, and prints what each costs.
// Needs nothing but a build; see docs/performance.md for how to read the tables.
#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "bench/end_to_end/measurements.h"

namespace {

using allocline::bench::Extent;
using allocline::bench::Losses;
using allocline::bench::Tools;
namespace fs = std::filesystem;

std::string FirstExisting(std::initializer_list<const char*> paths) {
  for (const char* path : paths) {
    if (fs::exists(path)) return path;
  }
  return "";
}

Tools FindTools(const std::string& build) {
  Tools tools;
  tools.programs = build + "/bin";
  tools.sources = ALLOCLINE_SOURCE_DIR;
  tools.tracer = build + "/lib/liballocline.so";
  if (!fs::exists(tools.tracer)) allocline::bench::Die("no tracer: " + tools.tracer);
  if (fs::exists(build + "/bin/allocline")) tools.command = build + "/bin/allocline";
  tools.heaptrack_preload = FirstExisting({"/usr/lib/heaptrack/libheaptrack_preload.so"});
  tools.heaptrack_interpreter = FirstExisting({"/usr/lib/heaptrack/libexec/heaptrack_interpret"});
  if (tools.heaptrack_interpreter.empty()) tools.heaptrack_preload.clear();
  const char* parent = getenv("TMPDIR");
  std::string scratch = std::string(parent != nullptr ? parent : "/tmp") + "/allocline-bench.XXXXXX";
  if (mkdtemp(scratch.data()) == nullptr) allocline::bench::Die("cannot make " + scratch);
  tools.scratch = scratch;
  return tools;
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

void PrintMachine(const Tools& tools) {
  utsname names{};
  uname(&names);
  double load = 0;
  getloadavg(&load, 1);
  fmt::print("{} x {}, {} {}, load {:.1f}; heaptrack {}\n\n", sysconf(_SC_NPROCESSORS_ONLN), ProcessorName(),
             names.sysname, names.release, load, tools.heaptrack_preload.empty() ? "not installed" : "installed");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Programs untraced, under allocline and under heaptrack.");
  std::string build = fs::read_symlink("/proc/self/exe").parent_path().parent_path().string();
  std::string what = "all", only;
  bool quick = false;
  int rounds = 0;
  app.add_option("--build", build, "Build directory");
  app.add_option("--what", what, "all, pairs, startup or programs")
      ->check(CLI::IsMember({"all", "pairs", "startup", "programs"}));
  app.add_option("--only", only, "With programs: those whose name contains this");
  app.add_option("--rounds", rounds, "How often each variant is run (5)");
  app.add_flag("--quick", quick, "A fifth of the work, in three rounds");
  CLI11_PARSE(app, argc, argv);

  Extent extent{5, 41, 1.0};
  if (quick) extent = {3, 21, 0.2};
  if (rounds > 0) extent.rounds = rounds;
  const Tools tools = FindTools(build);
  Losses losses;
  PrintMachine(tools);
  if (what == "all" || what == "startup") MeasureStartup(tools, extent, &losses);
  if (what == "all" || what == "pairs") MeasurePairs(tools, extent, &losses);
  if (what == "all" || what == "programs") MeasurePrograms(tools, extent, only, &losses);
  fs::remove_all(tools.scratch);
  if (losses.empty()) {
    fmt::print("Nothing above came out worse than heaptrack.\n");
  } else {
    fmt::print("Behind heaptrack, or over the aim:\n");
    for (const std::string& loss : losses) fmt::print("  {}\n", loss);
  }
  return 0;
}
