// A vector that grows: every capacity it had was allocated at the line that pushed.
#include <vector>

#include "truth.h"

int main() {
  auto& values = *new std::vector<long>;  // LINE: object 24/1
  Amount growth;
  size_t capacity = 0;
  for (int i = 0; i < 100000; ++i) {
    values.push_back(i);  // LINE: growth
    if (values.capacity() != capacity) {
      if (capacity != 0) growth.Free(capacity * sizeof(long));
      capacity = values.capacity();
      growth.Allocate(capacity * sizeof(long));
    }
  }
  Say("growth", growth);
  auto& reserved = *new std::vector<short>;  // LINE: other_object 24/1
  reserved.reserve(Opaque(1000));            // LINE: reserved 0/0 of 2000/1
  reserved.resize(500);
  reserved.shrink_to_fit();  // LINE: shrunk 1000/1
  Keep(&reserved);
  std::vector<char> local(Opaque(12345));  // LINE: local 0/0 of 12345/1
  Keep(local.data());
}
