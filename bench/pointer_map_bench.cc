// What does it cost to remember a live block and to find it again when it is freed, in time and in bytes per block?
//
// The product's map beside the candidates it was chosen from (pointer_map_candidates/). Blocks are real ones of malloc,
// so the layout is a heap's. A batch frees some of the live blocks, drawn at random, the newest (LIFO) or the oldest
// (FIFO), and then allocates as many again. The two halves are timed apart, each with the call of malloc or free in it:
// the lines of cache that the allocator touches anyway are nobody's cost. What a map adds is the difference to the same
// work without one ("none"), which is run by turns with it. Each run is a process of its own; figures are the 20th
// percentile over batches, then the median over rounds.
//
// Between malloc and the map stands what a tracer does there: 16 words compared, as for a stack of 16 frames.
// "prefetch" asks for the map's line before that. "huge" makes the map's pages huge ones (MADV_COLLAPSE), where it is
// large enough.
//
// Bytes per block: resident memory of the whole process beyond that of "none".
//
//   pointer_map_bench [--quick | LIVE BYTES]     BYTES 0: 16 to 256, mixed
#include <fmt/core.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "bench/pointer_map_candidates/half_word_shadow.h"
#include "bench/pointer_map_candidates/interned_pairs.h"
#include "bench/pointer_map_candidates/trailer.h"
#include "tracer/pointer_map.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace allocline {
namespace {

constexpr uint32_t kSites = 500;
constexpr size_t kBatch = 1000;
constexpr int64_t kNsPerOrder = 150'000'000;

enum Order { kRandom, kLifo, kFifo, kOrders };
constexpr const char* kOrderNames[] = {"random", "LIFO", "FIFO"};

// ---- the candidates, in one shape

struct None {
  static constexpr size_t kMore = 0;
  bool Init() { return true; }
  bool Insert(uintptr_t, Block) { return true; }
  void Prefetch(uintptr_t) {}
};
struct Shadow {
  static constexpr size_t kMore = 0;
  bool Init() { return map.Init(); }
  bool Insert(uintptr_t address, Block block) {
    Block replaced;
    return map.Insert(address, block, &replaced);
  }
  Block Take(uintptr_t address) { return map.Take(address); }
  ShadowMap<4> map;
};
struct HalfWords : bench::HalfWordShadow {
  static constexpr size_t kMore = 0;
};
struct Pairs : bench::InternedPairs {
  static constexpr size_t kMore = 0;
};
struct Trailers : bench::Trailer {
  static constexpr size_t kMore = kBytes;
};
// As the tracer calls it: the usual block inline, the others by a function.
struct Product {
  static constexpr size_t kMore = 0;
  bool Init() { return map.Init({.malloc = malloc, .free = free, .usable_size = malloc_usable_size}) && map.compact(); }
  bool Insert(uintptr_t address, Block block) {
    if (__builtin_expect(map.InsertUsual(address, block.site, block.bytes), 1)) return true;
    Block replaced;
    return map.Insert(address, block, &replaced);
  }
  Block Take(uintptr_t address) {
    Block block;
    const auto take = [&](Block found) {
      block = found;
      return true;
    };
    return __builtin_expect(map.TakeUsual(address, take), 1) ? block : map.Take(address);
  }
  PointerMap map;
};
// What a tracer without any of this would use, by one thread, without the lock it would need.
struct HashMap {
  static constexpr size_t kMore = 0;
  bool Init() { return true; }
  bool Insert(uintptr_t address, Block block) {
    map[address] = block;
    return true;
  }
  Block Take(uintptr_t address) {
    const auto it = map.find(address);
    if (it == map.end()) return {};
    const Block block = it->second;
    map.erase(it);
    return block;
  }
  absl::flat_hash_map<uintptr_t, Block> map;
};

// ---- one run

struct Live {
  void* address;
  uint32_t bytes;
  uint32_t site;
};

struct Case {
  size_t live;
  uint32_t bytes;  // 0: 16 to 256, mixed
};

struct Figures {
  double malloc_ns[kOrders];
  double free_ns[kOrders];
  double resident_bytes;
};

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

double ResidentBytes() {
  std::ifstream smaps("/proc/self/smaps_rollup");
  for (std::string line; std::getline(smaps, line);) {
    unsigned long kib = 0;
    if (sscanf(line.c_str(), "Rss: %lu kB", &kib) == 1) return static_cast<double>(kib) * 1024;
  }
  return 0;
}

// All mappings that were made by MapPages(): they are the map's, there are no others in this process.
void MakePagesHuge() {
  std::vector<std::pair<unsigned long, unsigned long>> ranges;
  std::ifstream smaps("/proc/self/smaps");
  unsigned long start = 0, end = 0;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long a = 0, b = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &a, &b) == 2) {
      start = a, end = b;
    } else if (line.rfind("VmFlags:", 0) == 0 && line.find(" dd") != std::string::npos &&
               line.find(" nh") != std::string::npos) {
      ranges.emplace_back(start, end);
    }
  }
  constexpr unsigned long kHuge = 2 << 20;
  for (const auto& [from, to] : ranges) {
    madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
    for (unsigned long page = (from + kHuge - 1) & ~(kHuge - 1); page + kHuge <= to; page += kHuge) {
      unsigned char touched[kHuge / kPage];
      if (mincore(reinterpret_cast<void*>(page), kHuge, touched) != 0) continue;
      if (std::any_of(touched, std::end(touched), [](unsigned char t) { return (t & 1) != 0; }))
        madvise(reinterpret_cast<void*>(page), kHuge, MADV_COLLAPSE);
    }
  }
}

double Percentile20(std::vector<double> values) {
  const auto p20 = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 5);
  std::nth_element(values.begin(), p20, values.end());
  return *p20;
}

// The unwinder's share, the same for all.
__attribute__((noinline)) bool SameStack(const volatile uintptr_t* words) {
  for (int i = 0; i < 16; ++i) {
    if (__builtin_expect(words[i] != static_cast<uintptr_t>(i), 0)) return false;
  }
  return true;
}

template <typename Map, bool kPrefetch>
class Runner {
 public:
  explicit Runner(const Case& c) : case_(c) {
    for (uintptr_t i = 0; i < 16; ++i) stack_[i] = i;
    if (!map_.Init()) Fail("the map cannot be made");
  }

  Figures Run(bool huge) {
    live_.resize(case_.live);
    for (Live& block : live_) {
      Draw(&block);
      Allocate(&block);
    }
    if (huge) MakePagesHuge();
    // The heap of a program that has been running for a while: neighbours are of different ages.
    Batches(kRandom, case_.live / kBatch + 20, nullptr, nullptr);
    Figures figures{};
    for (const Order order : {kRandom, kLifo, kFifo}) {
      std::vector<double> malloc_ns, free_ns;
      Batches(order, 0, &malloc_ns, &free_ns);
      figures.malloc_ns[order] = Percentile20(malloc_ns);
      figures.free_ns[order] = Percentile20(free_ns);
    }
    figures.resident_bytes = ResidentBytes();
    return figures;
  }

 private:
  [[noreturn]] static void Fail(const char* why) {
    fmt::print(stderr, "pointer_map_bench: {}\n", why);
    _exit(1);
  }

  uint32_t Random() {
    return static_cast<uint32_t>((random_ = random_ * 6364136223846793005u + 1442695040888963407u) >> 33);
  }
  void Draw(Live* block) {
    block->bytes = case_.bytes != 0 ? case_.bytes : 16 + Random() % 241;
    block->site = 1 + Random() % kSites;
  }
  inline __attribute__((always_inline)) void Allocate(Live* block) {
    block->address = malloc(block->bytes + Map::kMore);
    if constexpr (kPrefetch) map_.Prefetch(reinterpret_cast<uintptr_t>(block->address));
    *static_cast<volatile uint32_t*>(block->address) = block->site;  // a program writes to what it gets
    if (__builtin_expect(!SameStack(stack_), 0)) Fail("the stack changed");
    if (!map_.Insert(reinterpret_cast<uintptr_t>(block->address), {block->site, block->bytes})) Fail("the map is full");
  }
  inline __attribute__((always_inline)) void Free(const Live& block, uint64_t* wrong) {
    if constexpr (!std::is_same_v<Map, None>) {
      const Block taken = map_.Take(reinterpret_cast<uintptr_t>(block.address));
      *wrong |= (taken.site ^ block.site) | (taken.bytes ^ block.bytes);
    }
    free(block.address);
  }

  // Which block is the i-th to go. The array is a ring for FIFO, a stack for LIFO.
  size_t Victim(Order order, size_t i) {
    switch (order) {
      case kRandom:
        return Random() % case_.live;
      case kLifo:
        return case_.live - 1 - i;
      default:
        return (oldest_ + i) % case_.live;
    }
  }

  void Batches(Order order, size_t batches, std::vector<double>* malloc_ns, std::vector<double>* free_ns) {
    const size_t size = std::min(kBatch, case_.live / 2);
    std::vector<size_t> victims(size);
    std::vector<Live> going(size);
    const int64_t end = Now() + kNsPerOrder;
    for (size_t batch = 0; batches != 0 ? batch < batches : Now() < end || batch < 50; ++batch) {
      // Outside the time: who goes, without touching the blocks themselves.
      for (size_t i = 0; i < size; ++i) {
        do victims[i] = Victim(order, i);
        while (live_[victims[i]].address == nullptr);
        going[i] = live_[victims[i]];
        live_[victims[i]].address = nullptr;
      }
      uint64_t wrong = 0;
      const int64_t begin = Now();
      for (const Live& block : going) Free(block, &wrong);
      const int64_t freed = Now();
      if (wrong != 0) Fail("another block came out than went in");
      for (Live& block : going) Draw(&block);
      const int64_t drawn = Now();
      for (Live& block : going) Allocate(&block);
      const int64_t allocated = Now();
      // LIFO: the newest is at the end again; FIFO: it is where the oldest was.
      for (size_t i = 0; i < size; ++i) live_[victims[i]] = going[order == kLifo ? size - 1 - i : i];
      if (order == kFifo) oldest_ = (oldest_ + size) % case_.live;
      if (malloc_ns == nullptr) continue;
      free_ns->push_back(static_cast<double>(freed - begin) / static_cast<double>(size));
      malloc_ns->push_back(static_cast<double>(allocated - drawn) / static_cast<double>(size));
    }
  }

  Case case_;
  uintptr_t stack_[16];
  uint64_t random_ = 1;
  size_t oldest_ = 0;
  Map map_;
  std::vector<Live> live_;
};

// In a process of its own: a fresh heap, and all memory is given back.
template <typename Map, bool kPrefetch, bool kHuge>
Figures RunApart(const Case& c) {
  int channel[2];
  if (pipe(channel) != 0) exit(1);
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    static Runner<Map, kPrefetch> runner(c);
    const Figures figures = runner.Run(kHuge);
    _exit(write(channel[1], &figures, sizeof figures) == static_cast<ssize_t>(sizeof figures) ? 0 : 1);
  }
  close(channel[1]);
  Figures figures{};
  const ssize_t n = read(channel[0], &figures, sizeof figures);
  close(channel[0]);
  waitpid(child, nullptr, 0);
  if (n != static_cast<ssize_t>(sizeof figures)) {
    fmt::print(stderr, "pointer_map_bench: a run failed\n");
    exit(1);
  }
  return figures;
}

struct Candidate {
  const char* name;
  Figures (*run)(const Case&);
};
constexpr Candidate kCandidates[] = {
    {"none", RunApart<None, false, false>},
    {"(a) 8 B / 16 B shadow", RunApart<Shadow, false, false>},
    {"(b) 4 B / 16 B shadow", RunApart<HalfWords, false, false>},
    {"(b) and prefetch", RunApart<HalfWords, true, false>},
    {"(c) 4 B / 32 B, interned", RunApart<Pairs, false, false>},
    {"(d) trailer, 1 B / 32 B", RunApart<Trailers, false, false>},
    {"(e) 2 B / 32 B: the product", RunApart<Product, false, false>},
    {"(e) and huge pages", RunApart<Product, false, true>},
    {"absl::flat_hash_map", RunApart<HashMap, false, false>},
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Compare(const Case& c, int rounds) {
  constexpr size_t kCount = std::size(kCandidates);
  std::vector<std::vector<Figures>> runs(kCount);
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < kCount; ++i) {
      const size_t which = (i + static_cast<size_t>(round)) % kCount;
      runs[which].push_back(kCandidates[which].run(c));
    }
  }
  fmt::print("{} live blocks of {} bytes\n", c.live, c.bytes == 0 ? "16 to 256" : std::to_string(c.bytes));
  const auto median = [&](size_t i, const std::function<double(const Figures&, const Figures&)>& value) {
    std::vector<double> values;
    for (size_t round = 0; round < runs[i].size(); ++round) values.push_back(value(runs[i][round], runs[0][round]));
    return Median(values);
  };
  for (size_t i = 0; i < kCount; ++i) {
    fmt::print("  {:<30}", kCandidates[i].name);
    for (const Order order : {kRandom, kLifo, kFifo}) {
      fmt::print(
          "{:>9.1f}{:>8.1f}",
          median(i, [&](const Figures& own,
                        const Figures& none) { return own.malloc_ns[order] - (i == 0 ? 0 : none.malloc_ns[order]); }),
          median(i, [&](const Figures& own, const Figures& none) {
            return own.free_ns[order] - (i == 0 ? 0 : none.free_ns[order]);
          }));
    }
    if (i != 0)
      fmt::print("{:>10.2f}", median(i, [&](const Figures& own, const Figures& none) {
                   return (own.resident_bytes - none.resident_bytes) / static_cast<double>(c.live);
                 }));
    fmt::print("\n");
  }
  fflush(stdout);
}

}  // namespace
}  // namespace allocline

int main(int argc, char** argv) {
  using allocline::Case;
  const bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
  if (argc > 3 || (argc == 2 && !quick)) {
    fmt::print(stderr, "usage: pointer_map_bench [--quick | LIVE BYTES]\n");
    return 2;
  }
  fmt::print(
      "Nanoseconds per block on the malloc side and on the free side, by the order in which blocks are freed:\n"
      "of \"none\" in all, of the others what they add to it. Bytes of memory per live block.\n\n");
  fmt::print("  {:<30}", "");
  for (const char* order : allocline::kOrderNames) fmt::print("{:>9}{:>8}", order, "");
  fmt::print("\n  {:<30}", "");
  for (int i = 0; i < 3; ++i) fmt::print("{:>9}{:>8}", "malloc", "free");
  fmt::print("{:>10}\n", "bytes");
  if (argc == 3) {
    allocline::Compare({strtoull(argv[1], nullptr, 10), static_cast<uint32_t>(strtoul(argv[2], nullptr, 10))}, 5);
    return 0;
  }
  for (const size_t live : {size_t{10'000}, size_t{1'000'000}, size_t{10'000'000}}) {
    if (quick && live > 1'000'000) continue;
    for (const uint32_t bytes : {16u, 24u, 128u, 0u}) {
      if (quick && (bytes == 24 || bytes == 128)) continue;
      allocline::Compare({live, bytes}, quick || live > 1'000'000 ? 1 : 3);
    }
  }
}
