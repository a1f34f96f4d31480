// Holds many blocks of one size, written to their last byte: what a heap of such blocks costs a tracer in memory.
//
//   hold_blocks BYTES BLOCKS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cstdint>

#include "bench/end_to_end/programs/at_peak.h"

namespace {

struct Block {
  Block* next;
};

}  // namespace

int main(int argc, char** argv) {
  const size_t bytes = argc > 1 ? strtoull(argv[1], nullptr, 10) : 16;
  const uint64_t blocks = argc > 2 ? strtoull(argv[2], nullptr, 10) : 1'000'000;
  Block* last = nullptr;
  for (uint64_t i = 0; i < blocks; ++i) {
    auto* block = static_cast<Block*>(malloc(bytes < sizeof(Block) ? sizeof(Block) : bytes));
    if (block == nullptr) return 1;
    memset(static_cast<void*>(block), 1, bytes);
    block->next = last;
    last = block;
  }
  AtPeak();
  uint64_t freed = 0;
  for (; last != nullptr; ++freed) {
    Block* next = last->next;
    free(last);
    last = next;
  }
  printf("%llu\n", static_cast<unsigned long long>(freed));
}
