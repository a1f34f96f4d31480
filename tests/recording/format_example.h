// The recording that docs/recording-format.md walks through byte by byte.
#ifndef ALLOCLINE_TESTS_RECORDING_FORMAT_EXAMPLE_H_
#define ALLOCLINE_TESTS_RECORDING_FORMAT_EXAMPLE_H_

#include <string>
#include <string_view>

#include "recording/builder.h"

namespace allocline {

RecordingBuilder FormatExample();

// Sixteen bytes a line, as `hexdump -C` prints them; lines of zeros are left out.
std::string HexDump(std::string_view bytes);

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_RECORDING_FORMAT_EXAMPLE_H_
