#include "report/open_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/report/recordings.h"

namespace allocline {
namespace {

using ::testing::HasSubstr;

class OpenReportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / ("allocline_open_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ / name; }
  std::string Touch(const std::string& name) const {
    std::ofstream(Path(name)) << "x";
    return Path(name);
  }
  void ExpectSpec(const std::string& text, const std::string& path, const std::optional<std::string>& label) {
    RecordingSpec spec = ParseRecordingSpec(text);
    EXPECT_EQ(spec.path, path) << text;
    EXPECT_EQ(spec.label, label) << text;
  }

  std::filesystem::path folder_;
};

TEST_F(OpenReportTest, TheLongestExistingPathBeforeAnAtIsTheRecording) {
  std::string plain = Touch("a.allocline"), with_at = Touch("a@b.allocline");
  ExpectSpec(plain, plain, std::nullopt);
  ExpectSpec(plain + "@after fetch", plain, "after fetch");
  ExpectSpec(plain + "@", plain, "");
  ExpectSpec(plain + "@user@host", plain, "user@host");
  ExpectSpec(with_at, with_at, std::nullopt);
  ExpectSpec(with_at + "@x", with_at, "x");
}

TEST_F(OpenReportTest, IfNothingExistsTheFirstAtSplits) {
  ExpectSpec("/no/such@label@x", "/no/such", "label@x");
  ExpectSpec("/no/such", "/no/such", std::nullopt);
  ExpectSpec("@x", "", "x");
  ExpectSpec("", "", std::nullopt);
  ExpectSpec("4711@x", "4711", "x");
}

TEST_F(OpenReportTest, OneCallOpensARecordingAtALabel) {
  FakeRun run(0x555500000000, 0x7f0000000000);
  size_t thread = run.AddThread("main", 1);
  run.Count(thread, {run.InProgram(0x10)}, {100, 1, 0, 0});
  run.builder().AddSnapshotOfNow({.label = "one"});
  run.Count(thread, {run.InProgram(0x10)}, {11, 1, 0, 0});
  ASSERT_TRUE(run.builder().WriteFile(Path("r.allocline")).ok());

  EXPECT_EQ(OpenReport(Path("r.allocline"), {}).value().profile.summary().live_bytes, 111);
  OpenedReport labelled = OpenReport(Path("r.allocline") + "@one", {}).value();
  EXPECT_EQ(labelled.profile.summary().live_bytes, 100);
  EXPECT_EQ(labelled.recording.header().pid, 4711u);

  absl::Status unknown = OpenReport(Path("r.allocline") + "@two", {}).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("'one'"));
  EXPECT_EQ(OpenReport(Path("none"), {}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace allocline
