// One allocating function, several callers; recursion; a call through a pointer; a lambda; a virtual function.
#include "truth.h"

static NEVER_INLINE void* Take(size_t bytes) {
  void* block = malloc(bytes);  // LINE: take 5550/1011
  Keep(block);
  return block;
}

static NEVER_INLINE void Recurse(int depth) {
  if (depth > 0) Recurse(depth - 1);
  void* block = malloc(8);  // LINE: recursion 808/101
  Keep(block);
}

struct Base {
  virtual ~Base() = default;
  virtual void Run() = 0;
};
struct Derived final : Base {
  void Run() override {
    void* block = malloc(31);  // LINE: method 31/1
    Keep(block);
  }
};

int main() {
  for (int i = 0; i < 1000; ++i) Keep(Take(5));
  for (int i = 0; i < 10; ++i) Keep(Take(50));
  auto* take = Opaque(&Take);
  Keep(take(50));
  Recurse(100);
  auto lambda = [](int bytes) NEVER_INLINE {
    void* block = malloc(static_cast<size_t>(bytes));  // LINE: lambda 17/1
    Keep(block);
  };
  lambda(17);
  Derived derived;
  Opaque<Base*>(&derived)->Run();
}
