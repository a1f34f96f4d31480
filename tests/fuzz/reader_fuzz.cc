// libFuzzer target: whatever bytes there are, the reader reads them or refuses them, and what it read can be used.
// Inputs are packed (packed_bytes.h); the mutator changes fields of the recording behind them.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/fuzz/check_recording.h"
#include "tests/fuzz/mutate_recording.h"
#include "tests/fuzz/packed_bytes.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes = allocline::Unpack({reinterpret_cast<const char*>(data), size});
  // A copy of exactly this size: a read behind its end is seen.
  auto* exact = static_cast<char*>(malloc(bytes.size() == 0 ? 1 : bytes.size()));
  memcpy(exact, bytes.data(), bytes.size());
  const std::string wrong = allocline::CheckRecording(std::string_view(exact, bytes.size()));
  free(exact);
  if (wrong.empty()) return 0;
  fprintf(stderr, "the reader: %s\n", wrong.c_str());
  abort();
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string mutated = allocline::Pack(
      allocline::MutateRecording(allocline::Unpack({reinterpret_cast<const char*>(data), size}), seed / 4));
  if (mutated.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  memcpy(data, mutated.data(), mutated.size());
  return mutated.size();
}
