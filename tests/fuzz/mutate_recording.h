// Changes a recording as damage or an attacker would: a field here, an end there, and only where something is.
#ifndef ALLOCLINE_TESTS_FUZZ_MUTATE_RECORDING_H_
#define ALLOCLINE_TESTS_FUZZ_MUTATE_RECORDING_H_

#include <cstdint>
#include <string>

namespace allocline {

std::string MutateRecording(std::string bytes, uint64_t seed);

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_FUZZ_MUTATE_RECORDING_H_
