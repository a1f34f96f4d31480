// Ends by abort().
#include "truth.h"

int main() {
  void* kept = malloc(321);  // LINE: kept 321/1
  Keep(kept);
  abort();
}
