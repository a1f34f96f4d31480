// A stranger's C++ program that uses the API.
#include <allocline/allocline.hpp>
#include <cstdio>
#include <memory>

int main() {
  const auto block = std::make_unique<char[]>(123456);
  allocline::TakeSnapshot("from C++");
  std::printf("traced: %d\n", allocline::IsTracing() ? 1 : 0);
  std::printf("block: %d\n", block != nullptr);
}
