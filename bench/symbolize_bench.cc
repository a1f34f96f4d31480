// How much CPU and memory does it take to symbolize a big binary? Distinct addresses drawn evenly from the function
// bodies of ceph-mds (7 MB; its debug file: 183 MB of DWARF 5 in zlib-compressed sections, 118 units), all in one call,
// with all inlined calls, names demangled. The limits we hold ourselves to: 100,000 addresses in 3 s, 10,000 in 1.5 s.
// Counters: `to_line` is the share of the addresses that got a file and line, `frames` the locations per address with
// inlined calls expanded, `peak_MB` the most memory that was resident.
//
// ALLOCLINE_BENCH_BINARY=PATH takes another binary.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "symbolize/debug_file_finder.h"
#include "symbolize/elf_file.h"
#include "symbolize/symbolizer.h"

namespace allocline {
namespace {

constexpr char kDefaultBinary[] = "/usr/bin/ceph-mds";
constexpr char kInstall[] = "apt-get install --no-install-recommends ceph-mds ceph-mds-dbg";
constexpr uint32_t kSeed = 20240229;

std::string Binary() {
  const char* path = std::getenv("ALLOCLINE_BENCH_BINARY");
  return path == nullptr ? kDefaultBinary : path;
}

struct Function {
  uint64_t begin, bytes;
};

// Functions of the binary, from its symbol table or its debug file's. Empty: `problem` says why.
std::vector<Function> Functions(const std::string& path, std::string* problem) {
  absl::StatusOr<std::unique_ptr<ElfFile>> binary = ElfFile::Open(path);
  if (!binary.ok()) {
    *problem = fmt::format("{}; install it: {}", std::string(binary.status().message()), kInstall);
    return {};
  }
  FoundFile debug;
  if (!(*binary)->HasSection(".debug_info")) {
    debug = DebugFileFinder({}).FindFor(**binary);
    if (debug.file == nullptr) {
      *problem = fmt::format("{}: no debug file; install it: {}", path, kInstall);
      return {};
    }
  }
  std::vector<Function> functions;
  ElfFile& with_symbols = debug.file == nullptr ? **binary : *debug.file;
  with_symbols.ForEachCodeSymbol(ElfFile::SymbolTableKind::kSymtab, [&](const ElfSymbol& symbol) {
    if (symbol.type == STT_FUNC && symbol.size > 0) functions.push_back({symbol.address, symbol.size});
  });
  if (functions.empty()) *problem = fmt::format("{}: no function symbols", path);
  return functions;
}

// `count` distinct addresses, every byte of every function equally likely.
std::vector<uint64_t> Sample(std::vector<Function> functions, size_t count) {
  std::sort(functions.begin(), functions.end(), [](const Function& a, const Function& b) { return a.begin < b.begin; });
  std::vector<uint64_t> bytes;
  uint64_t end = 0;  // aliases share their bytes
  for (const Function& function : functions) {
    for (uint64_t a = std::max(end, function.begin); a < function.begin + function.bytes; ++a) bytes.push_back(a);
    end = std::max(end, function.begin + function.bytes);
  }
  std::mt19937 random(kSeed);
  std::vector<uint64_t> sample;
  std::sample(bytes.begin(), bytes.end(), std::back_inserter(sample), count, random);
  std::shuffle(sample.begin(), sample.end(), random);
  return sample;
}

// The kernel's high-water mark of our resident memory, started afresh by ResetPeak().
void ResetPeak() { std::ofstream("/proc/self/clear_refs") << 5; }
double PeakMegabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes / 1024;
  }
  return 0;
}

void BM_Symbolize(benchmark::State& state) {
  const std::string path = Binary();
  std::string problem;
  std::vector<uint64_t> addresses;
  {
    std::vector<Function> functions = Functions(path, &problem);
    if (problem.empty()) addresses = Sample(std::move(functions), static_cast<size_t>(state.range(0)));
  }
  if (!problem.empty()) {
    state.SkipWithError(problem.c_str());
    return;
  }
  size_t lines = 0, locations = 0;
  ResetPeak();
  for (auto _ : state) {
    Symbolizer symbolizer({});
    std::vector<ResolvedAddress> resolved = symbolizer.Resolve({.path = path}, addresses);
    lines = locations = 0;
    for (const ResolvedAddress& address : resolved) {
      lines += address.level == ResolutionLevel::kLine;
      locations += address.locations.size();
    }
  }
  if (lines == 0) state.SkipWithError("no address was resolved to a line: the work was not done");
  state.counters["to_line"] = static_cast<double>(lines) / static_cast<double>(addresses.size());
  state.counters["frames"] = static_cast<double>(locations) / static_cast<double>(addresses.size());
  state.counters["peak_MB"] = PeakMegabytes();
}
BENCHMARK(BM_Symbolize)
    ->ArgName("addresses")
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(100000)
    ->MeasureProcessCPUTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace allocline

BENCHMARK_MAIN();
