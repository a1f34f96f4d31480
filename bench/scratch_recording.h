// A recording to write to, in a directory that goes away with it.
#ifndef ALLOCLINE_BENCH_SCRATCH_RECORDING_H_
#define ALLOCLINE_BENCH_SCRATCH_RECORDING_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "recording/writer.h"

namespace allocline::bench {

class ScratchRecording {
 public:
  ScratchRecording() {
    std::string name = (std::filesystem::temp_directory_path() / "allocline-bench.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) abort();
    directory_ = name;
    if (!writer_.Open(
            {.directory = directory_.c_str(), .name = "bench", .program = "/bench", .run_id = 0, .flags = 0})) {
      abort();
    }
  }
  ~ScratchRecording() { std::filesystem::remove_all(directory_); }
  ScratchRecording(const ScratchRecording&) = delete;
  ScratchRecording& operator=(const ScratchRecording&) = delete;

  RecordingWriter& writer() { return writer_; }

 private:
  std::string directory_;
  RecordingWriter writer_;
};

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_SCRATCH_RECORDING_H_
