// What must hold for every file whatsoever that is given to the reader.
#ifndef ALLOCLINE_TESTS_FUZZ_CHECK_RECORDING_H_
#define ALLOCLINE_TESTS_FUZZ_CHECK_RECORDING_H_

#include <string>
#include <string_view>

namespace allocline {

// Reads `bytes` and walks all that was read. Gives "" if they are refused in one line, or read so that every value can
// be used; otherwise what is wrong. If nothing is missing, writing what was read and reading it again gives the same.
std::string CheckRecording(std::string_view bytes);

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_FUZZ_CHECK_RECORDING_H_
