// Prints, for each call of operator new, the addresses on the stack. The test resolves them, and the first location in
// this file must be the line with the marker of the case. Built without -pie, so that an address means itself.
#include <execinfo.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

static const char* current_case;

__attribute__((noinline)) void* operator new(size_t bytes) {
  if (current_case != nullptr) {
    void* stack[64];
    int depth = backtrace(stack, 64);
    std::printf("%s", current_case);
    for (int i = 1; i < depth; ++i) std::printf(" %p", stack[i]);
    std::printf("\n");
    current_case = nullptr;
  }
  void* block = std::malloc(bytes == 0 ? 1 : bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }

volatile int one = 1;
void* volatile kept;  // a block put here cannot be optimized away

struct Row {
  explicit Row(int id) : id(id) {}
  int id;
  double values[6] = {};
};

__attribute__((noinline)) static void Vector() {
  std::vector<Row> rows;
  current_case = "vector";
  rows.emplace_back(one);  // CASE: vector
  std::printf("# %zu\n", rows.size());
}

__attribute__((noinline)) static void Map() {
  std::map<int, std::string> map;
  current_case = "map";
  map[int{one}] = "x";  // CASE: map
  std::printf("# %zu\n", map.size());
}

__attribute__((noinline)) static void String() {
  std::string text = "short";
  current_case = "string";
  text += std::string(static_cast<size_t>(100 * one), 'x');  // CASE: string
  current_case = nullptr;
  std::printf("# %zu\n", text.size());
}

__attribute__((noinline)) static void Shared() {
  current_case = "shared";
  auto row = std::make_shared<Row>(one);  // CASE: shared
  std::printf("# %d\n", row->id);
}

template <typename T>
struct Holder {
  inline __attribute__((always_inline)) T* Make(int id) { return new T(id); }  // CASE: holder
};

__attribute__((noinline)) static void Inlined() {
  Holder<Row> holder;
  current_case = "holder";
  std::unique_ptr<Row> row(holder.Make(one));
  kept = row.get();
  std::printf("# %d\n", row->id);
}

__attribute__((noinline)) static void Lambda() {
  std::vector<int> ids = {1, 2, 3};
  std::vector<std::unique_ptr<Row>> rows(3);
  std::transform(ids.begin(), ids.end(), rows.begin(), [](int id) {
    if (id == 2) current_case = "lambda";
    return std::make_unique<Row>(id);  // CASE: lambda
  });
  std::printf("# %zu\n", rows.size());
}

__attribute__((noinline)) static void Function() {
  int captured[20] = {one};
  current_case = "function";
  std::function<int()> function = [captured] { return captured[0]; };  // CASE: function
  kept = &function;
  std::printf("# %d\n", function());
}

__attribute__((noinline)) static void Resize() {
  std::vector<std::string> texts;
  current_case = "resize";
  texts.resize(static_cast<size_t>(10 * one));  // CASE: resize
  std::printf("# %zu\n", texts.size());
}

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  void* warm_up[4];
  backtrace(warm_up, 4);  // loads libgcc, which allocates
  Vector();
  Map();
  String();
  Shared();
  Inlined();
  Lambda();
  Function();
  Resize();
}
