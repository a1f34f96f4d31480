// Makes the database that the example connectors read: make_source DATABASE [ROWS]
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "examples/connectors/orders_source.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s DATABASE [ROWS]\n", argv[0]);
    return 2;
  }
  try {
    connectors::OrdersSource::Generate(argv[1], argc == 3 ? std::atoll(argv[2]) : 200'000);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}
