// Linked so that pages between its segments are mapped to nothing: the loader then knows it as its executable segment.
#include "../truth.h"

int main() {
  void* kept = malloc(100);  // LINE: kept 100/1
  Keep(kept);
}
