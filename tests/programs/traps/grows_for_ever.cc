// One block more from each of two thousand stacks in turn, and again, for ever: all hold the same at any time.
#include "../truth.h"
#include "many_stacks.h"

int main() {
  for (int round = 0;; ++round) {
    WithManyStacks(2000, [](unsigned) {
      void* kept = malloc(100);  // LINE: kept any
      Keep(kept);
    });
    if (round == 150) Print("growing\n", 8);
  }
}
