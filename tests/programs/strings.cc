// A short string allocates nothing, a long one its length and a NUL, wherever in libstdc++ that happens.
#include <string>

#include "truth.h"

int main() {
  auto& small = *new std::string;  // LINE: object 32/1
  small.assign(Opaque(15), 'x');
  Keep(&small);
  auto& large = *new std::string(Opaque<size_t>(100), 'y');  // LINE: large 133/2
  Keep(&large);
  std::string grown;
  Amount growth;
  size_t capacity = grown.capacity();
  for (int i = 0; i < 5000; ++i) {
    grown.push_back('z');  // LINE: growth
    if (grown.capacity() != capacity) {
      if (capacity != 15) growth.Free(capacity + 1);
      capacity = grown.capacity();
      growth.Allocate(capacity + 1);
    }
  }
  growth.Free(capacity + 1);
  Say("growth", growth);
  std::string joined = grown + small;  // LINE: joined any
  Keep(&joined);
}
