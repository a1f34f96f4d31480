// make_shared is one block, shared_ptr(new ...) two.
#include <memory>

#include "truth.h"

struct Thing {
  char bytes[100];
};

int main() {
  auto together = std::make_shared<Thing>();  // LINE: together 120/1
  void* holder = malloc(sizeof(together));    // LINE: holder 16/1
  new (holder) std::shared_ptr<Thing>(together);
  Keep(holder);
  std::shared_ptr<Thing> apart(new Thing);  // LINE: apart 0/0 of 124/2
  std::weak_ptr<Thing> weak = apart;
  apart.reset();
  REQUIRE(weak.expired());
  auto unique = std::make_unique<Thing[]>(Opaque(7));  // LINE: unique 0/0 of 700/1
  Keep(unique.get());
}
