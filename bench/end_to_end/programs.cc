// Whole programs: wall time, CPU of the profiled process, peak memory, output on disk.
#include <fmt/core.h>
#include <stdlib.h>

#include "bench/end_to_end/measurements.h"
#include "bench/end_to_end/rounds.h"
#include "bench/end_to_end/workload.h"

namespace allocline::bench {
namespace {

double Wall(const Run& run) { return run.work_s != 0 ? run.work_s : run.usage.wall_s; }
double Cpu(const Run& run) { return run.usage.cpu_s; }
double Rss(const Run& run) { return static_cast<double>(run.usage.peak_rss_bytes); }
double RssWithHelpers(const Run& run) {
  return static_cast<double>(run.usage.peak_rss_bytes + run.helpers.peak_rss_bytes);
}
double CpuWithHelpers(const Run& run) { return run.usage.cpu_s + run.helpers.cpu_s; }
double Output(const Run& run) { return static_cast<double>(run.output_bytes); }
double Allocations(const Run& run) { return static_cast<double>(run.allocations); }
double Contexts(const Run& run) { return static_cast<double>(run.contexts); }

std::string Bytes(double bytes) {
  return bytes < 1024 * 1024 ? fmt::format("{:.0f} KiB", bytes / 1024) : fmt::format("{:.1f} MiB", bytes / 1024 / 1024);
}
std::string Ratio(double ratio) { return fmt::format("{:.2f}x", ratio); }

void PrintRow(const char* what, const std::string& wall, const std::string& cpu, const std::string& rss,
              const std::string& output, const std::string& note) {
  fmt::print("  {:<24}{:>9}{:>9}{:>12}{:>12}  {}\n", what, wall, cpu, rss, output, note);
}

void PrintTable(const Rounds& rounds) {
  const std::vector<Run>& plain = rounds.at(Variant::kUntraced);
  const std::vector<Run>& ours = rounds.at(Variant::kAllocline);
  PrintRow(
      "untraced", fmt::format("{:.2f} s", MedianOf(plain, Wall)), fmt::format("{:.2f} s", MedianOf(plain, Cpu)),
      Bytes(MedianOf(plain, Rss)), "",
      fmt::format("{:.2f}M allocations, {:.0f} contexts", MedianOf(ours, Allocations) / 1e6, MedianOf(ours, Contexts)));
  for (const auto& [variant, runs] : rounds) {
    if (variant == Variant::kUntraced) continue;
    std::string note;
    if (variant == Variant::kHeaptrack) {
      note = fmt::format("and helpers: {:.2f} s CPU, {}", MedianOf(runs, CpuWithHelpers) - MedianOf(runs, Cpu),
                         Bytes(MedianOf(runs, RssWithHelpers) - MedianOf(runs, Rss)));
    } else {
      note = fmt::format("{:+.0f} ns CPU per allocation",
                         (MedianOf(runs, Cpu) - MedianOf(plain, Cpu)) / MedianOf(ours, Allocations) * 1e9);
    }
    PrintRow(Name(variant), Ratio(MedianRatio(runs, plain, Wall)), Ratio(MedianRatio(runs, plain, Cpu)),
             Ratio(MedianRatio(runs, plain, Rss)), Bytes(MedianOf(runs, Output)), note);
  }
}

void Compare(const std::string& name, const Rounds& rounds, Scores* scores) {
  const auto found = rounds.find(Variant::kHeaptrack);
  if (found == rounds.end()) return;
  const std::vector<Run>&ours = rounds.at(Variant::kAllocline), &theirs = found->second;
  const double wall = MedianRatio(ours, theirs, Wall), cpu = MedianRatio(ours, theirs, Cpu);
  const double rss = MedianRatio(ours, theirs, Rss), all_rss = MedianRatio(ours, theirs, RssWithHelpers);
  const double output = MedianRatio(ours, theirs, Output);
  PrintRow("allocline / heaptrack", Ratio(wall), Ratio(cpu), Ratio(rss), Ratio(output),
           fmt::format("memory with helpers: {}", Ratio(all_rss)));
  const auto check = [&](const char* what, double ratio) {
    if (ratio > 1) scores->BehindHeaptrack(name + ": " + what, ratio);
  };
  check("wall time", wall);
  check("CPU", cpu);
  check("memory of the profiled process", rss);
  check("output on disk", output);
}

// What the program prints, where that is the time it took per block.
double TimePerBlock(const Run& run) { return strtod(run.text.c_str(), nullptr); }

void Score(const Workload& workload, const Rounds& rounds, Scores* scores) {
  const std::vector<Run>&plain = rounds.at(Variant::kUntraced), &ours = rounds.at(Variant::kAllocline);
  if (workload.cpu_goal != 0) {
    scores->AtMost("CPU, to untraced: " + workload.name, workload.cpu_goal, MedianRatio(ours, plain, Cpu), "x");
  }
  if (workload.throughput_goal == 0) return;
  fmt::print("  {:<24}", "throughput, to untraced");
  for (const auto& [variant, runs] : rounds) {
    if (variant == Variant::kUntraced) continue;
    fmt::print(" {} {}", Name(variant), Ratio(MedianRatio(plain, runs, TimePerBlock)));
  }
  fmt::print(" (untraced: {:.1f} ns per block)\n", MedianOf(plain, TimePerBlock));
  scores->AtLeast("throughput, to untraced: " + workload.name, workload.throughput_goal,
                  MedianRatio(plain, ours, TimePerBlock), "x");
}

}  // namespace

void MeasurePrograms(const Tools& tools, const Extent& extent, const std::string& only, Scores* scores) {
  fmt::print(
      "Whole programs: CPU (user + system) of the profiled process, helpers apart; variants by turns, median of {}\n"
      "rounds; ratios are to the untraced run of the same round.\n\n",
      extent.rounds);
  PrintRow("", "wall", "CPU", "peak RSS", "on disk", "");
  for (const Workload& workload : MakeWorkloads(tools, extent.scale)) {
    if (workload.name.find(only) == std::string::npos) continue;
    fmt::print("{}\n", workload.name);
    if (!workload.missing.empty()) {
      fmt::print("  not run: {}\n", workload.missing);
      continue;
    }
    const Rounds rounds = Alternate(tools.variants(), extent.rounds, [&](Variant variant) {
      return RunAs(variant, workload.command, tools, workload.during);
    });
    PrintTable(rounds);
    Compare(workload.name, rounds, scores);
    Score(workload, rounds, scores);
    fflush(stdout);
  }
  fmt::print("\n");
}

}  // namespace allocline::bench
