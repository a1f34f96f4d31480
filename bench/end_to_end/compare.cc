// Runs programs untraced, under allocline and, if it is installed, under heaptrack, and prints what each costs.
// Needs nothing but a build; see docs/performance.md for how to read the tables.
#include <fmt/core.h>
#include <stdio.h>
#include <string.h>
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
using allocline::bench::Scores;
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

std::string Commit(const Tools& tools) {
  const std::string command = "git -C '" + tools.sources + "' describe --always --dirty 2>/dev/null";
  FILE* output = popen(command.c_str(), "r");
  char line[128] = "";
  if (output != nullptr) {
    if (fgets(line, sizeof line, output) != nullptr) line[strcspn(line, "\n")] = '\0';
    pclose(output);
  }
  return line[0] == '\0' ? "unknown" : line;
}

void PrintMachine(const Tools& tools) {
  utsname names{};
  uname(&names);
  double load = 0;
  getloadavg(&load, 1);
  fmt::print("{} x {}, {} {}, load {:.1f}; commit {}; heaptrack {}\n\n", sysconf(_SC_NPROCESSORS_ONLN), ProcessorName(),
             names.sysname, names.release, load, Commit(tools),
             tools.heaptrack_preload.empty() ? "not installed" : "installed");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Programs untraced, under allocline and under heaptrack.");
  std::string build = fs::read_symlink("/proc/self/exe").parent_path().parent_path().string();
  std::string what = "all", only;
  bool quick = false;
  int rounds = 0;
  app.add_option("--build", build, "Build directory");
  app.add_option("--what", what, "One table: startup, pairs, programs, sampled or memory; or all of them")
      ->check(CLI::IsMember({"all", "startup", "pairs", "programs", "sampled", "memory"}));
  app.add_option("--only", only, "With programs and memory: those whose name contains this");
  app.add_option("--rounds", rounds, "How often each variant is run (5)");
  app.add_flag("--quick", quick, "A fifth of the work, in three rounds");
  CLI11_PARSE(app, argc, argv);

  Extent extent{5, 41, 1.0};
  if (quick) extent = {3, 21, 0.2};
  if (rounds > 0) extent.rounds = rounds;
  const Tools tools = FindTools(build);
  Scores scores;
  const auto wanted = [&](const char* table) { return what == "all" || what == table; };
  PrintMachine(tools);
  if (wanted("startup")) MeasureStartup(tools, extent, &scores);
  if (wanted("pairs")) MeasurePairs(tools, extent, &scores);
  if (wanted("programs")) MeasurePrograms(tools, extent, only, &scores);
  if (wanted("sampled")) MeasureSampled(tools, extent, &scores);
  if (wanted("memory")) MeasureMemory(tools, extent, only, &scores);
  fs::remove_all(tools.scratch);
  scores.Print();
  return 0;
}
