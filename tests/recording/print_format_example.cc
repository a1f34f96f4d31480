// Prints the dump that docs/recording-format.md explains, or writes the recording itself to the file given.
#include <cstdio>

#include "tests/recording/format_example.h"

int main(int argc, char** argv) {
  const allocline::RecordingBuilder example = allocline::FormatExample();
  if (argc == 1) {
    fputs(allocline::HexDump(example.Build()).c_str(), stdout);
    return 0;
  }
  const absl::Status status = example.WriteFile(argv[1], /*replace=*/true);
  if (!status.ok()) fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
