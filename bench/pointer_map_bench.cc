// What does it cost to remember a live block and to find it again when it is freed, in time and in bytes per block?
//
// Live blocks are real ones of malloc, 16 to 256 bytes, and what is freed is drawn at random: the worst a program can
// do to a cache. Time is per block taken out and put back. `map_bytes` is the memory the map made resident, per live
// block. Baselines: a shadow that holds sizes (what other allocators than glibc get), and absl::flat_hash_map, used by
// one thread without a lock.
// The compact map reads the size that malloc keeps before the block: a miss of the cache that the free which follows in
// a program then does not have, and which is charged to the map alone here.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <random>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tracer/pointer_map.h"

namespace allocline {
namespace {

constexpr uint32_t kSites = 500;

struct Live {
  uintptr_t address;
  uint32_t bytes;
  uint32_t site;
};

// Blocks of malloc, in random order, freed at the end.
class LiveBlocks {
 public:
  explicit LiveBlocks(size_t count) {
    std::mt19937 random(1);
    blocks_.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t bytes = 16 + static_cast<uint32_t>(random() % 241);
      blocks_.push_back(
          {reinterpret_cast<uintptr_t>(malloc(bytes)), bytes, 1 + static_cast<uint32_t>(random() % kSites)});
    }
    std::shuffle(blocks_.begin(), blocks_.end(), random);
  }
  ~LiveBlocks() {
    for (const Live& block : blocks_) free(reinterpret_cast<void*>(block.address));
  }
  LiveBlocks(const LiveBlocks&) = delete;
  LiveBlocks& operator=(const LiveBlocks&) = delete;

  const std::vector<Live>& all() const { return blocks_; }

 private:
  std::vector<Live> blocks_;
};

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

struct CompactMap {
  bool Init() { return map.Init({.malloc = malloc, .free = free, .usable_size = malloc_usable_size}) && map.compact(); }
  void Insert(const Live& block) {
    Block replaced;
    map.Insert(block.address, {block.site, block.bytes}, &replaced);
  }
  Block Take(uintptr_t address) { return map.Take(address); }
  int64_t Bytes(int64_t resident) const { return resident; }
  PointerMap map;
};

struct ShadowOfSizes {
  bool Init() { return map.Init(); }
  void Insert(const Live& block) {
    Block replaced;
    map.Insert(block.address, {block.site, block.bytes}, &replaced);
  }
  Block Take(uintptr_t address) { return map.Take(address); }
  int64_t Bytes(int64_t resident) const { return resident; }
  ShadowMap<4> map;
};

struct HashMap {
  bool Init() { return true; }
  void Insert(const Live& block) { map[block.address] = {block.site, block.bytes}; }
  Block Take(uintptr_t address) {
    const auto it = map.find(address);
    if (it == map.end()) return {};
    const Block block = it->second;
    map.erase(it);
    return block;
  }
  // A slot and a byte of control each; what is resident cannot be told apart from the rest of the heap.
  int64_t Bytes(int64_t) const { return static_cast<int64_t>(map.capacity() * (sizeof(*map.begin()) + 1)); }
  absl::flat_hash_map<uintptr_t, Block> map;
};

template <typename Map>
void BM_TakeAndInsert(benchmark::State& state) {
  const LiveBlocks live(static_cast<size_t>(state.range(0)));
  const int64_t before = ResidentBytes();
  Map map;
  if (!map.Init()) {
    state.SkipWithError("the map cannot be made");
    return;
  }
  for (const Live& block : live.all()) map.Insert(block);
  const int64_t resident = ResidentBytes() - before;
  size_t next = 0;
  for (auto _ : state) {
    const Live& block = live.all()[next];
    const Block taken = map.Take(block.address);
    if (taken.site != block.site || taken.bytes != block.bytes) {
      state.SkipWithError("another block came out than went in");
      break;
    }
    map.Insert(block);
    if (++next == live.all().size()) next = 0;
  }
  state.counters["map_bytes"] = static_cast<double>(map.Bytes(resident)) / static_cast<double>(live.all().size());
}

#define ALLOCLINE_LIVE ->ArgName("live")->Arg(1'000)->Arg(100'000)->Arg(5'000'000)
BENCHMARK(BM_TakeAndInsert<CompactMap>) ALLOCLINE_LIVE;
BENCHMARK(BM_TakeAndInsert<ShadowOfSizes>) ALLOCLINE_LIVE;
BENCHMARK(BM_TakeAndInsert<HashMap>) ALLOCLINE_LIVE;

}  // namespace
}  // namespace allocline

BENCHMARK_MAIN();
