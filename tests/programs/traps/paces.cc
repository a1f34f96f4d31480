// Allocates at one of several paces:
//
//   pairs N     N times malloc and free by turns
//   bursts N    N times three of one, then three of the other
//   growth N    N blocks that are kept
#include <stdlib.h>

#include <vector>

#include "../truth.h"

int main(int, char** argv) {
  const char pace = argv[1][0];
  const size_t count = static_cast<size_t>(atol(argv[2])), each = pace == 'p' ? 1 : 3;
  std::vector<void*> blocks(pace == 'g' ? count : each);
  if (pace == 'g') {
    for (void*& block : blocks) Keep(block = malloc(64));
    return 0;
  }
  for (size_t i = 0; i < count; ++i) {
    for (void*& block : blocks) Keep(block = malloc(64));
    for (void* block : blocks) free(block);
  }
}
