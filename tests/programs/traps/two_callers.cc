// Allocates through the same two functions, called from two lines in turn: all frames coincide but one further out.
// Ends with the exit code it is given.
#include "../truth.h"

NEVER_INLINE void Allocate() {
  void* block = malloc(100);  // LINE: block 0/0 of 10000/100
  Keep(block);
  free(block);
}

NEVER_INLINE void Between() {
  Allocate();
  Keep("no tail call");
}

int main(int, char** arguments) {
  for (int i = 0; i < 50; ++i) {
    Between();
    Between();
  }
  return arguments[1] != nullptr ? atoi(arguments[1]) : 0;
}
