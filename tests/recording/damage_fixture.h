// A small recording, a test that damages it, and what is expected of the reader then.
#ifndef ALLOCLINE_TESTS_RECORDING_DAMAGE_FIXTURE_H_
#define ALLOCLINE_TESTS_RECORDING_DAMAGE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recording/builder.h"
#include "recording/reader.h"
#include "tests/recording/raw_recording.h"

namespace allocline {

// Two modules, two threads, two sites of three frames, two snapshots, two code objects, a symbol and a difference.
inline RecordingBuilder Small() {
  RecordingBuilder builder;
  builder.AddModule({.start = 0x1000, .end = 0x2000, .build_id = "id", .path = "/bin/first", .segments = {{0, 1, 2}}});
  builder.AddModule({.start = 0x3000, .end = 0x4000, .path = "/lib/second"});
  const SiteId a = builder.AddSite(std::vector<format::Frame>{0x1010, 0x1020, 0x3030});
  const SiteId b = builder.AddSite(std::vector<format::Frame>{0x1011, 0x1020, 0x3030});
  builder.AddThread({.name = "main", .counters = {{a, {100, 1, 0, 0}}}});
  builder.AddThread({.name = "worker", .counters = {{b, {50, 2, 20, 1}}}});
  builder.AddSnapshot({.label = "first", .growth = {{a, {100, 1, 0, 0}}}});
  builder.AddSnapshot({.label = "second", .growth = {{b, {50, 2, 20, 1}}}});
  builder.AddCode({.line_table_kind = format::LineTableKind::kLnotab, .file = "a.py", .name = "f", .line_table = "ab"});
  builder.AddCode({.line_table_kind = format::LineTableKind::kLnotab, .file = "b.py", .name = "g", .line_table = "cd"});
  builder.AddSymbol({.frame = 0x1010, .level = 4, .locations = {{.function = "f()", .file = "f.cc", .line = 7}}});
  builder.AddDifference({.ours = {0x1010}, .theirs = {0x1010, 0x1020}});
  return builder;
}

class DamageTest : public testing::Test {
 protected:
  DamageTest() : raw_(Small()) {}

  void ExpectRefused(absl::StatusCode code, std::string_view what) { ExpectRefused(raw_, code, what); }
  void ExpectRefused(const RawRecording& raw, absl::StatusCode code, std::string_view what) {
    const absl::Status status = raw.Parse().status();
    EXPECT_EQ(status.code(), code) << status;
    const std::string message(status.message());
    EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("raw.allocline: "), testing::HasSubstr(std::string(what))));
    EXPECT_EQ(message.find('\n'), std::string::npos) << "one line";
    EXPECT_THAT(message, testing::HasSubstr(code == absl::StatusCode::kDataLoss ? "damaged at offset " : ""));
  }
  Recording Read() {
    absl::StatusOr<Recording> recording = raw_.Parse();
    EXPECT_TRUE(recording.ok()) << recording.status();
    return *std::move(recording);
  }
  // The file ends where the extent of `kind` begins: that table and those behind it are gone.
  void CutOffFrom(format::TableKind kind) { raw_.bytes().resize(raw_.extent(kind).file_offset); }

  // Moves a table to the end of the file, which then ends `kept_bytes` into it.
  void MoveToTheEnd(format::TableKind kind, uint64_t kept_bytes) {
    const format::Extent from = raw_.extent(kind);
    raw_.extent(kind).file_offset = raw_.bytes().size();
    raw_.bytes() += raw_.bytes().substr(from.file_offset, kept_bytes);
  }

  RawRecording raw_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_RECORDING_DAMAGE_FIXTURE_H_
