// An allocator inlined into its callers at -O2: its line and its callers' are in the stack either way.
#include <memory>

#include "truth.h"

template <typename T>
struct Pool {
  __attribute__((always_inline)) T* Take(size_t count) {
    T* block = static_cast<T*>(malloc(count * sizeof(T)));  // LINE: pool 1640/2
    Keep(block);
    return block;
  }
};

// One whose frames are std:: by name has no line of the user's: its callers have.
static NEVER_INLINE void Fill() {
  std::allocator<long> standard;
  long* block = standard.allocate(Opaque(30));  // LINE: standard 240/1
  Keep(block);
}

int main() {
  Pool<int> ints;
  Pool<double> doubles;
  Keep(ints.Take(10));
  Keep(doubles.Take(200));
  Fill();
}
