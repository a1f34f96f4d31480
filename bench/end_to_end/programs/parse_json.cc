// Parses a generated JSON text into a tree and drops it: many stacks, many sizes, blocks that live long and blocks that
// live for a moment. What a connector does with a page of its source.
//
//   parse_json MEGABYTES
#include <stdio.h>
#include <stdlib.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/end_to_end/programs/at_peak.h"

namespace {

// Rows as an API returns them: nested objects, arrays, strings longer than a std::string keeps inside itself.
std::string MakeText(size_t bytes) {
  std::string text;
  text.reserve(bytes + 1024);
  text += "[";
  uint64_t random = 1;
  char row[512];
  while (text.size() < bytes) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const unsigned a = static_cast<unsigned>(random >> 33), b = static_cast<unsigned>(random >> 45);
    const int n =
        snprintf(row, sizeof row,
                 "%s{\"id\":%u,\"name\":\"customer number %u of the generated source\",\"score\":%u.%u,\"active\":%s,"
                 "\"address\":{\"street\":\"%u North Long Street Name\",\"city\":\"City %u\",\"zip\":\"%05u\"},"
                 "\"tags\":[\"tag-%u\",\"a longer tag, number %u\",%u,%u,null],\"note\":\"short %u\"}",
                 text.size() > 1 ? "," : "", a, b, b % 1000, a % 100, a % 2 ? "true" : "false", b % 9999, b % 512,
                 b % 100000, a % 64, b % 64, a % 7, b % 7, a % 10);
    text.append(row, static_cast<size_t>(n));
  }
  text += "]";
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t megabytes = argc > 1 ? strtoull(argv[1], nullptr, 10) : 5;
  const std::string text = MakeText(megabytes * 1'000'000);
  const nlohmann::json rows = nlohmann::json::parse(text);
  uint64_t sum = 0;
  for (const auto& row : rows)
    sum += row["tags"].size() + row["address"]["street"].get_ref<const std::string&>().size();
  AtPeak();
  printf("%llu\n", static_cast<unsigned long long>(sum));
}
