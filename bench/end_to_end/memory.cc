#include "bench/end_to_end/memory.h"

#include <fmt/core.h>
#include <stdio.h>
#include <string.h>

#include <fstream>
#include <optional>
#include <string>

#include "bench/end_to_end/measurements.h"
#include "bench/end_to_end/workload.h"

namespace allocline::bench {
namespace {

constexpr double kMiB = 1024.0 * 1024;

// One mapping, as smaps tells it: a line with its range and name, lines with figures, the flags at the end.
struct Mapping {
  uint64_t start = 0, end = 0;
  std::string name;  // "" if anonymous
  uint64_t resident = 0;
  std::string flags;

  bool HasFlag(const char* flag) const { return flags.find(std::string(" ") + flag) != std::string::npos; }
  bool IsOfLibrary() const {
    for (const char* library : {"/liballocline.so", "/libunwind.so", "/liblzma.so"}) {
      if (name.find(library) != std::string::npos) return true;
    }
    return false;
  }
  bool IsRecording() const { return name.find(".allocline") != std::string::npos && !IsOfLibrary(); }
  bool IsOfTracer() const { return name.empty() && HasFlag("dd") && HasFlag("nh"); }
};

void Add(const Mapping& mapping, bool follows_library, Residency* sum) {
  if (mapping.IsRecording()) {
    sum->recording += mapping.resident;
  } else if (mapping.IsOfTracer()) {
    (mapping.HasFlag("rr") ? sum->pointer_map : sum->tables) += mapping.resident;
  } else if (mapping.IsOfLibrary() || (mapping.name.empty() && follows_library)) {
    sum->library += mapping.resident;
  } else if (mapping.name.empty() || mapping.name == "[heap]") {
    sum->heap += mapping.resident;
  }
}

std::optional<Mapping> ParseRange(const std::string& line) {
  Mapping mapping;
  unsigned long start = 0, end = 0;
  int name = 0;
  if (sscanf(line.c_str(), "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &name) != 2) return std::nullopt;
  mapping.start = start;
  mapping.end = end;
  if (name > 0 && static_cast<size_t>(name) < line.size()) mapping.name = line.substr(static_cast<size_t>(name));
  return mapping;
}

}  // namespace

Residency ResidencyOf(pid_t pid) {
  Residency sum;
  Mapping mapping;
  uint64_t end_of_library = 0;
  std::ifstream smaps(fmt::format("/proc/{}/smaps", pid));
  for (std::string line; std::getline(smaps, line);) {
    unsigned long kib = 0;
    if (const auto range = ParseRange(line)) {
      mapping = *range;
    } else if (sscanf(line.c_str(), "Rss: %lu kB", &kib) == 1) {
      mapping.resident = uint64_t{kib} * 1024;
    } else if (line.rfind("VmFlags:", 0) == 0) {  // the last line of a mapping
      mapping.flags = line;
      // Zeroed data of a library lies right behind its file.
      Add(mapping, mapping.start == end_of_library, &sum);
      if (mapping.IsOfLibrary()) end_of_library = mapping.end;
    }
  }
  return sum;
}

namespace {

void PrintRow(const std::string& what, const Residency& memory, const std::string& file) {
  const auto mib = [](uint64_t bytes) { return fmt::format("{:.2f}", static_cast<double>(bytes) / kMiB); };
  fmt::print("{:<44}{:>8}{:>11}{:>9}{:>9}{:>9}{:>10}{:>10}{:>8}\n", what, file, mib(memory.recording),
             mib(memory.tables), mib(memory.library), mib(memory.tracer()), mib(memory.pointer_map), mib(memory.heap),
             memory.heap == 0 ? ""
                              : fmt::format("{:.1f} %", static_cast<double>(memory.pointer_map * 100) /
                                                            static_cast<double>(memory.heap)));
}

Workload HoldBlocks(const Tools& tools, size_t bytes, double scale) {
  Workload w;
  w.name = fmt::format("a heap of {}-byte blocks", bytes);
  w.command.arguments = {tools.programs + "/hold_blocks", std::to_string(bytes), fmt::format("{:.0f}", 2e6 * scale)};
  w.map_share_goal = bytes == 16 ? goals::kMapShare16 : goals::kMapShare128;
  return w;
}

Workload Pairs(const Tools& tools, const char* depth, const char* threads, const char* paths) {
  Workload w;
  w.name = fmt::format("pairs at depth {}{}{}", depth, *paths == 'o' ? "" : fmt::format(", {} stacks", paths),
                       *threads == '2' ? ", two threads" : "");
  w.command.arguments = {tools.programs + "/pair_loop", depth, threads, paths, "2000"};
  return w;
}

}  // namespace

void MeasureMemory(const Tools& tools, const Extent& extent, const std::string& only, Scores* scores) {
  fmt::print(
      "Memory of the traced process in MiB: resident pages by /proc/PID/smaps, at its end, and where it holds most.\n"
      "tracer = recording (mapped pages) + tables + library (with libunwind); the pointer map apart, and as a share "
      "of\n"
      "the resident heap. 'file' is the recording on disk.\n\n");
  fmt::print("{:<44}{:>8}{:>11}{:>9}{:>9}{:>9}{:>10}{:>10}{:>8}\n", "", "file", "recording", "tables", "library",
             "tracer", "ptr. map", "heap", "map");
  std::vector<Workload> workloads = MakeWorkloads(tools, extent.scale);
  for (const size_t bytes : {size_t{16}, size_t{128}}) workloads.push_back(HoldBlocks(tools, bytes, extent.scale));
  workloads.push_back(Pairs(tools, "64", "1", "one"));
  workloads.push_back(Pairs(tools, "64", "1", "256"));
  workloads.push_back(Pairs(tools, "16", "2", "256"));
  for (const Workload& workload : workloads) {
    if (workload.name.find(only) == std::string::npos || !workload.missing.empty()) continue;
    std::optional<Residency> peak;
    Residency end;
    const uint64_t file = RunWatched(
        workload.command, tools, workload.during, [&](pid_t pid) { peak = ResidencyOf(pid); },
        [&](pid_t pid) { end = ResidencyOf(pid); });
    const double file_mib = static_cast<double>(file) / kMiB, tracer_mib = static_cast<double>(end.tracer()) / kMiB;
    PrintRow(workload.name, end, fmt::format("{:.2f}", file_mib));
    if (peak) {
      PrintRow("  where it holds most", *peak, "");
      const double share = static_cast<double>(peak->pointer_map) / static_cast<double>(peak->heap);
      if (workload.map_share_goal != 0)
        scores->AtMost("pointer map, of the heap: " + workload.name, workload.map_share_goal, share, "%");
    }
    scores->AtMost("tracer's RSS, pointer map apart: " + workload.name, workload.tracer_mib_goal, tracer_mib, " MiB");
    if (workload.recording_mib_goal != 0)
      scores->AtMost("recording file: " + workload.name, workload.recording_mib_goal, file_mib, " MiB");
    fflush(stdout);
  }
  fmt::print("\n");
}

}  // namespace allocline::bench
