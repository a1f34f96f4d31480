// free() of what no allocator gave: glibc's message and abort.
#include "../truth.h"

int main() {
  alignas(16) char local[64] = {};
  free(Opaque<void*>(local + 16));
}
