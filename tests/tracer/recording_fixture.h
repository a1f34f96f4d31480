// A recording being written in a directory of its own, and what a reader makes of it.
#ifndef ALLOCLINE_TESTS_TRACER_RECORDING_FIXTURE_H_
#define ALLOCLINE_TESTS_TRACER_RECORDING_FIXTURE_H_

#include <gtest/gtest.h>

#include <deque>
#include <stdexcept>
#include <string>

#include "recording/reader.h"
#include "recording/writer.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {

// The writer lives as long as the process: it has no end of its own, nor has the one in a traced process.
class WrittenRecording {
 public:
  WrittenRecording() {
    if (!writer().Open(identity())) {
      throw std::runtime_error("no recording can be opened");
    }
  }

  RecordingWriter::Identity identity() const {
    return {
        .directory = directory_.path().c_str(), .name = "program", .program = "/a/program", .run_id = 0, .flags = 0};
  }
  RecordingWriter& writer() { return *writer_; }
  const TempDir& directory() const { return directory_; }

  Recording Read() const {
    auto recording = Recording::Open(writer_->path());
    if (!recording.ok()) throw std::runtime_error(recording.status().ToString());
    if (!recording->damage().empty()) throw std::runtime_error(recording->damage().front());
    return *std::move(recording);
  }

 private:
  static RecordingWriter* NewWriter() {
    static std::deque<RecordingWriter> all;
    return &all.emplace_back();
  }

  TempDir directory_;
  RecordingWriter* writer_ = NewWriter();
};

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_TRACER_RECORDING_FIXTURE_H_
