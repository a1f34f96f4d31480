// So many call stacks that a recording must grow many times; the blocks' contents are checked.
#include "many_stacks.h"

#include <string.h>

static unsigned* blocks[60000];

int main(int argc, char** argv) {
  unsigned stacks = argc > 1 ? static_cast<unsigned>(atoi(argv[1])) : 60000;
  REQUIRE(stacks <= 60000);
  WithManyStacks(stacks, [](unsigned number) {
    blocks[number] = static_cast<unsigned*>(malloc(sizeof(unsigned)));  // LINE: stacks 240000/60000
    *blocks[number] = number;
  });
  for (unsigned i = 0; i < stacks; ++i) REQUIRE(*blocks[i] == i);
}
