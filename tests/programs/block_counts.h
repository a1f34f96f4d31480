// What traps/lib_counts_blocks.cc writes about one process image.
#ifndef ALLOCLINE_TESTS_PROGRAMS_BLOCK_COUNTS_H_
#define ALLOCLINE_TESTS_PROGRAMS_BLOCK_COUNTS_H_

#include <stdint.h>

#include <atomic>

struct BlockCounts {
  int64_t pid;
  uint64_t start_monotonic_ns;
  std::atomic<int64_t> blocks;
  std::atomic<int64_t> bytes;  // usable, so never less than what was asked for
};

#endif  // ALLOCLINE_TESTS_PROGRAMS_BLOCK_COUNTS_H_
