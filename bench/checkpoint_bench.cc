// What does a checkpoint cost a program with many live places, in time and in the recording?
//
// The program runs under the tracer (it starts itself again with it preloaded), holds a block at each of `sites`
// distinct stacks, and between two checkpoints allocates at `changed` of them: 0 is a connector that waits, all of them
// the worst there is. Beside time: what a checkpoint adds to the recording (`bytes`), and what a thousand come to
// (`MB_per_1000`). No checkpoint is left out here, as the tracer does when they have taken a quarter of its budget: the
// budget is made large, and the benchmark fails if one was. They are more than a millisecond apart, so that each reads
// the figures of the process and its container, which one a moment after another does not.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "allocline/allocline.h"
#include "recording/format.h"

namespace allocline {
namespace {

constexpr char kDirectoryVariable[] = "ALLOCLINE_OUTPUT";
constexpr int kBits = 17;  // a stack for each of 2^17 places

// A block with a stack of its own for each place: the bits of its number say which of the two calls lead there.
[[gnu::noinline]] void* AllocateAt(uint32_t place, int bits) {
  void* block;
  if (bits == 0) {
    block = malloc(24);
  } else if ((place & 1) != 0) {
    block = AllocateAt(place >> 1, bits - 1);
    asm volatile("# one" : "+r"(block));  // another call than the one below, and no tail call
  } else {
    block = AllocateAt(place >> 1, bits - 1);
    asm volatile("# zero" : "+r"(block));
  }
  return block;
}

format::FileHeader HeaderOfRecording() {
  format::FileHeader header{};
  const std::string of_us = "." + std::to_string(getpid()) + ".allocline";
  for (const auto& entry : std::filesystem::directory_iterator(getenv(kDirectoryVariable))) {
    if (!entry.path().string().ends_with(of_us)) continue;
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (pread(fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) header = {};
    close(fd);
  }
  return header;
}
uint64_t SnapshotBytes(const format::FileHeader& header) {
  return header.tables[static_cast<size_t>(format::TableKind::kSnapshots)].used;
}

void BM_Checkpoint(benchmark::State& state) {
  const auto sites = static_cast<uint32_t>(state.range(0)), changed = static_cast<uint32_t>(state.range(1));
  static uint32_t made = 0;
  for (; made < sites; ++made) AllocateAt(made, kBits);
  allocline_checkpoint("first", 0);
  const format::FileHeader before = HeaderOfRecording();
  int64_t taken = 0;
  for (auto _ : state) {
    state.PauseTiming();
    usleep(1100);
    for (uint32_t place = 0; place < changed; ++place) free(AllocateAt(place, kBits));
    state.ResumeTiming();
    if (allocline_checkpoint("batch", static_cast<uint64_t>(++taken)) != 0) return state.SkipWithError("refused");
  }
  const format::FileHeader after = HeaderOfRecording();
  if (after.checkpoints - before.checkpoints != static_cast<uint64_t>(taken)) return state.SkipWithError("not traced");
  if (after.checkpoints_left_out != 0) return state.SkipWithError("some were left out: the budget is too small");
  const double bytes = static_cast<double>(SnapshotBytes(after) - SnapshotBytes(before)) / static_cast<double>(taken);
  state.counters["bytes"] = bytes;
  state.counters["MB_per_1000"] = bytes * 1000 / (1 << 20);
}
// So few iterations that the recording stays small.
BENCHMARK(BM_Checkpoint)
    ->ArgNames({"sites", "changed"})
    ->Args({10'000, 0})
    ->Args({10'000, 100})
    ->Args({10'000, 10'000})
    ->Iterations(200)
    ->Unit(benchmark::kMicrosecond);

// In `directory`, which is gone afterwards, under the tracer of this build.
int RunTraced(char** argv) {
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe");
  const std::string tracer = (own.parent_path().parent_path() / "lib/liballocline.so").string();
  std::string directory = (std::filesystem::temp_directory_path() / "checkpoint_bench-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  setenv("LD_PRELOAD", tracer.c_str(), 1);
  setenv(kDirectoryVariable, directory.c_str(), 1);
  setenv("ALLOCLINE_TRACER_MEMORY", "8G", 1);
  execv(own.c_str(), argv);
  perror("checkpoint_bench");
  return 1;
}

}  // namespace
}  // namespace allocline

int main(int argc, char** argv) {
  if (getenv(allocline::kDirectoryVariable) == nullptr) return allocline::RunTraced(argv);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  std::filesystem::remove_all(getenv(allocline::kDirectoryVariable));
  return 0;
}
