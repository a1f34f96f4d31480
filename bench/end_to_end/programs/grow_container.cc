// Grows a list of many small blocks and then frees them all: what a live heap of millions of blocks costs a tracer,
// in time and in memory of its own. Every allocation has one stack.
//
//   grow_container BLOCKS
#include <stdio.h>
#include <stdlib.h>

#include <cstdint>
#include <list>

#include "bench/end_to_end/programs/at_peak.h"

int main(int argc, char** argv) {
  const uint64_t blocks = argc > 1 ? strtoull(argv[1], nullptr, 10) : 1'000'000;
  uint64_t sum = 0;
  {
    std::list<uint64_t> list;
    for (uint64_t i = 0; i < blocks; ++i) list.push_back(i);
    for (uint64_t value : list) sum += value;
    AtPeak();
  }
  printf("%llu\n", static_cast<unsigned long long>(sum));
}
