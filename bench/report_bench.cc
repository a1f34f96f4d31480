// Does the report of a recording with a million stacks stay a matter of seconds, in less than 1 GB?
//
// The recording is made up: SITES distinct stacks, about 24 recorded frames deep (36 with inlined calls), over 100,000
// distinct frames in 2,000 files, their names carried by the recording itself: what symbolize_bench measures stays out.
// A compiler's own recording has such numbers. Beside time: the memory at rest after each step (`MB`, the process's
// resident set, with the recording loaded) and what the step was at most (`peak_MB`).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "recording/builder.h"
#include "report/diff.h"
#include "report/filter.h"
#include "report/load_profile.h"
#include "report/render_text.h"
#include "report/statistics.h"

namespace allocline {
namespace {

constexpr size_t kFrames = 100'000, kFiles = 2'000, kDepth = 24;
constexpr uint64_t kBase = 0x555500000000;

// "VmRSS" or "VmHWM" of this process.
double MegabytesOf(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
  }
  return 0;
}

void ForgetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

RecordedSymbol SymbolOf(uint32_t frame) {
  std::string file = fmt::format("/src/component_{}/module_{}/file_{}.cc", frame % 40, frame % 200, frame % kFiles);
  std::string row = fmt::format("component_{}::Row<component_{}::Key>", frame % 40, frame % 40);
  RecordedSymbol symbol{.level = static_cast<uint32_t>(ResolutionLevel::kLine)};
  if (frame % 2 == 0) {
    symbol.locations.push_back(
        {.function = fmt::format("std::vector<{0}, std::allocator<{0}> >::push_back({0}&&)", row),
         .file = "/usr/include/c++/12/bits/stl_vector.h",
         .line = 1000 + frame % 300,
         .inlined = true});
  }
  symbol.locations.push_back(
      {.function = fmt::format("component_{}::Function_{}({} const&)", frame % 40, frame / 4, row),
       .file = file,
       .line = 1 + frame % 997});
  return symbol;
}

Recording MakeRecording(size_t sites) {
  std::mt19937 random(1);
  RecordingBuilder builder;
  builder.AddModule({.start = kBase,
                     .end = kBase + (kFrames << 6),
                     .load_bias = kBase,
                     .path = "/app/prog",
                     .segments = {{.vaddr = 0, .memory_bytes = kFrames << 6, .file_offset = 0}}});
  auto frame_of = [](uint32_t index) { return kBase + (uint64_t{index} << 6) + 5; };
  for (uint32_t i = 0; i < kFrames; ++i) {
    RecordedSymbol symbol = SymbolOf(i);
    symbol.frame = frame_of(i);
    builder.AddSymbol(symbol);
  }
  size_t thread = builder.AddThread({.tid = 1, .threads_served = 1, .name = "main"});
  // Each stack shares its outer part with the one before, as the stacks of a program do.
  std::vector<format::Frame> stack(kDepth, frame_of(0));
  for (size_t i = 0; i < sites; ++i) {
    size_t changed = std::min<size_t>(kDepth, 1 + std::countr_zero(static_cast<uint32_t>(random()) | 1u << 20));
    for (size_t k = 0; k < changed; ++k) stack[k] = frame_of(random() % kFrames);
    uint64_t blocks = 1 + random() % 9, bytes = blocks * (16 + random() % 500);
    builder.AddCounters(thread, builder.AddSite(stack), {bytes, blocks, bytes / 4, blocks / 4});
  }
  return Recording::Parse(builder.Build(), "made up").value();
}

// One recording per size, and a profile of it, shared by all benchmarks.
const Recording& SharedRecording(size_t sites) {
  static std::unique_ptr<Recording> recording;
  static size_t made = 0;
  if (made != sites) recording = std::make_unique<Recording>(MakeRecording(made = sites));
  return *recording;
}
const Profile& SharedProfile(size_t sites) {
  static std::unique_ptr<Profile> profile;
  static size_t made = 0;
  if (made != sites) {
    profile = nullptr;
    profile = std::make_unique<Profile>(LoadProfile(SharedRecording(made = sites), nullptr, {}).value());
  }
  return *profile;
}

void Measure(benchmark::State& state, const auto& body) {
  ForgetPeak();
  for (auto _ : state) body();
  state.counters["MB"] = MegabytesOf("VmRSS");
  state.counters["peak_MB"] = MegabytesOf("VmHWM");
}

void BM_LoadProfile(benchmark::State& state) {
  size_t sites = static_cast<size_t>(state.range(0));
  const Recording& recording = SharedRecording(sites);
  Measure(state, [&] {
    Profile profile = LoadProfile(recording, nullptr, {}).value();
    if (profile.sites().size() < sites * 9 / 10) state.SkipWithError("sites are missing");
  });
}

void Group(benchmark::State& state, const StatisticsOptions& options, size_t expected) {
  const Profile& profile = SharedProfile(static_cast<size_t>(state.range(0)));
  Measure(state, [&] {
    std::vector<Statistic> statistics = ComputeStatistics(profile, options).value();
    if (statistics.size() < expected) state.SkipWithError("groups are missing");
    benchmark::DoNotOptimize(statistics.data());
  });
}
void BM_GroupByLine(benchmark::State& state) { Group(state, {}, 20'000); }
void BM_GroupByFunction(benchmark::State& state) { Group(state, {.by = GroupBy::kFunction}, 20'000); }
void BM_GroupByLineCumulative(benchmark::State& state) { Group(state, {.cumulative = true}, 20'000); }
void BM_GroupByTraceback(benchmark::State& state) {
  Group(state, {.by = GroupBy::kTraceback}, static_cast<size_t>(state.range(0)) * 9 / 10);
}

void BM_DiffByTraceback(benchmark::State& state) {
  const Profile& profile = SharedProfile(static_cast<size_t>(state.range(0)));
  Profile half = FilterProfile(profile, std::vector<Filter>{FileFilter(true, "*[02468].cc")});
  Measure(state, [&] {
    std::vector<StatisticDiff> diffs = ComputeDiff(profile, half, {.by = GroupBy::kTraceback}).value();
    if (diffs.front().size_diff <= 0) state.SkipWithError("nothing grew");
  });
}

void BM_FilterByFile(benchmark::State& state) {
  const Profile& profile = SharedProfile(static_cast<size_t>(state.range(0)));
  std::vector<Filter> filters = {ParseFilter("file_1*.cc", true).value()};
  Measure(state, [&] {
    if (FilterProfile(profile, filters).sites().empty()) state.SkipWithError("nothing was kept");
  });
}

void BM_RenderTop(benchmark::State& state) {
  const Profile& profile = SharedProfile(static_cast<size_t>(state.range(0)));
  std::vector<Statistic> statistics = ComputeStatistics(profile, {}).value();
  Measure(state, [&] {
    std::string text = RenderHeader(profile, {}) + RenderStatistics(profile, statistics, {});
    benchmark::DoNotOptimize(text.data());
  });
}

#define ALLOCLINE_REPORT_BENCHMARK(name) \
  BENCHMARK(name)->ArgName("sites")->Arg(1'000'000)->Unit(benchmark::kMillisecond)
ALLOCLINE_REPORT_BENCHMARK(BM_LoadProfile);
ALLOCLINE_REPORT_BENCHMARK(BM_GroupByLine);
ALLOCLINE_REPORT_BENCHMARK(BM_GroupByFunction);
ALLOCLINE_REPORT_BENCHMARK(BM_GroupByLineCumulative);
ALLOCLINE_REPORT_BENCHMARK(BM_GroupByTraceback);
ALLOCLINE_REPORT_BENCHMARK(BM_DiffByTraceback);
ALLOCLINE_REPORT_BENCHMARK(BM_FilterByFile);
ALLOCLINE_REPORT_BENCHMARK(BM_RenderTop);

}  // namespace
}  // namespace allocline

BENCHMARK_MAIN();
