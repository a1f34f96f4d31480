// What the standard library makes of code: containers, smart pointers, virtual functions. With small.cc it is the
// program that tests compile in many ways, to compare what we say about its addresses with what others say. Never run.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#define NEVER_INLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

extern volatile int sink;
int Small(int x);

namespace shapes {

template <typename T>
struct Pool {
  ALWAYS_INLINE T* Take(size_t count) { return static_cast<T*>(std::malloc(count * sizeof(T))); }
};

NEVER_INLINE int Transformed(int x) {
  std::vector<int> values = {x, 2, 3};
  std::for_each(values.begin(), values.end(), [&](int& value) { value += sink; });
  std::sort(values.begin(), values.end(), [](int a, int b) { return a % 7 < b % 7; });
  return values[0];
}

NEVER_INLINE int Thrown(int x) {
  if (__builtin_expect(x == 17, 0)) {
    std::string message = "cold " + std::to_string(x);
    throw std::runtime_error(message);
  }
  return x + 1;
}

NEVER_INLINE size_t Containers(int x) {
  std::map<std::string, std::vector<int>> map;
  for (int i = 0; i < x; ++i) map[std::to_string(i)].push_back(i);
  auto shared = std::make_shared<std::vector<std::string>>(static_cast<size_t>(x), "text");
  Pool<double> pool;
  double* block = pool.Take(shared->size());
  sink = block != nullptr;
  std::free(block);
  return map.size() + shared->size();
}

struct Base {
  virtual ~Base() = default;
  virtual int Value(int x) const { return x; }
};
struct Derived : Base {
  explicit Derived(int x) : text(static_cast<size_t>(x), 'x') {}
  int Value(int x) const override { return static_cast<int>(text.size()) + x; }
  std::string text;
};

}  // namespace shapes

int main(int argc, char**) {
  std::unique_ptr<shapes::Base> base = std::make_unique<shapes::Derived>(argc);
  int sum = Small(argc) + shapes::Transformed(argc) + shapes::Thrown(argc) + base->Value(argc);
  sum += static_cast<int>(shapes::Containers(argc));
  std::printf("%d\n", sum);
}
