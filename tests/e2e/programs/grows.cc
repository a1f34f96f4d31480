// Follows a shape of tests/report/shapes.h with real blocks, all of one line, and takes a checkpoint at each of its
// steps. `grows NAME SEED`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "allocline/allocline.h"
#include "tests/report/shapes.h"

using allocline::testing::kShapeBlock;
using allocline::testing::ShapeStep;

// The compiler can neither leave the allocation out nor call it as the last thing of a function.
__attribute__((noinline)) static void* Take(size_t bytes) {
  void* block = malloc(bytes);  // LINE: held
  asm volatile("" : "+r"(block));
  return block;
}

static std::vector<void*> held;

static void Hold(size_t blocks, size_t bytes) {
  while (held.size() < blocks) held.push_back(Take(bytes));
  for (; held.size() > blocks; held.pop_back()) free(held.back());
}

static void Follow(const ShapeStep& step) {
  const size_t before = held.size();
  Hold(before + static_cast<size_t>(step.tooth / kShapeBlock), static_cast<size_t>(kShapeBlock));
  Hold(before, static_cast<size_t>(kShapeBlock));
  for (double rest = step.turnover; rest > 0; rest -= kShapeBlock) free(Take(static_cast<size_t>(kShapeBlock)));

  const size_t blocks = static_cast<size_t>(step.live / kShapeBlock);
  if (!step.one_block) return Hold(blocks, static_cast<size_t>(kShapeBlock));
  static size_t size = 0;
  if (size == blocks) return;
  size = blocks;
  Hold(0, 0);
  if (blocks > 0) Hold(1, blocks * static_cast<size_t>(kShapeBlock));
}

int main(int argc, char** argv) {
  for (const allocline::testing::Shape& shape : allocline::testing::kShapes) {
    if (argc != 3 || shape.name != argv[1]) continue;
    allocline::testing::Dice dice(strtoull(argv[2], nullptr, 10), shape.name);
    const allocline::testing::ShapeSteps steps = shape.draw(dice);
    const allocline_api* api = allocline_find();
    if (api == nullptr) return 2;
    held.reserve(1 << 16);
    uint64_t rows = 0;
    for (const ShapeStep& step : steps) {
      Follow(step);
      rows += 1000;
      api->take_snapshot("batch", rows);
    }
    return 0;
  }
  fprintf(stderr, "usage: grows SHAPE SEED\n");
  return 1;
}
