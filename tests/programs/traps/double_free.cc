// glibc must notice, say so and abort, as it does without a tracer.
#include "../truth.h"

int main() {
  void* block = malloc(40);
  void* again = Opaque(block);
  free(block);
  free(again);
}
