// A program's recording beside what two others say about it: libunwind about every stack (ALLOCLINE_VERIFY=1), and a
// library behind the tracer that counts blocks (traps/lib_counts_blocks.cc) about what is live in the end.
#ifndef ALLOCLINE_TESTS_E2E_SECOND_OPINION_H_
#define ALLOCLINE_TESTS_E2E_SECOND_OPINION_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/load_profile.h"
#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"

namespace allocline::testing {

// What was live in a process image when it ended, by the count behind us.
struct CountedImage {
  uint64_t start_monotonic_ns = 0;
  int64_t blocks = 0, usable_bytes = 0;
};

inline std::map<int64_t, std::vector<CountedImage>> CountedImages(const std::string& directory) {
  std::map<int64_t, std::vector<CountedImage>> images;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const std::string bytes = ReadFile(file.path());
    int64_t words[4];
    if (bytes.size() != sizeof words) continue;  // the process ended while it made the file
    memcpy(words, bytes.data(), sizeof words);
    images[words[0]].push_back({static_cast<uint64_t>(words[1]), words[2], words[3]});
  }
  return images;
}

// The image a recording is of: of those with its pid the last that began before it. (A forked child's recording is
// opened at its first event.)
inline std::optional<CountedImage> ImageOf(const RecordedProcess& process,
                                           const std::map<int64_t, std::vector<CountedImage>>& images) {
  std::optional<CountedImage> found;
  const auto of_pid = images.find(process.pid());
  if (of_pid == images.end()) return found;
  for (const CountedImage& image : of_pid->second) {
    if (image.start_monotonic_ns > process.recording().header().start_monotonic_ns) continue;
    if (!found || image.start_monotonic_ns > found->start_monotonic_ns) found = image;
  }
  return found;
}

inline void ExpectSameLiveBlocks(const RecordedProcess& process, const CountedImage& image) {
  // Blocks of before the tracer's start are the other's alone: libunwind's, loaded by the tracer, and those it tells
  // of.
  constexpr int64_t kBlocksOfLibunwind = 16;
  const absl::StatusOr<Profile> profile = LoadProfile(process.recording(), nullptr, {});
  ASSERT_TRUE(profile.ok()) << profile.status();
  const auto& drops = process.recording().header().drops;
  const int64_t earlier = static_cast<int64_t>(drops[static_cast<int>(format::DropReason::kBeforeStart)].events);
  // Python's own blocks lie in its arenas or are malloc's, too, so all that is certain is that the malloc's are among
  // those of malloc and Python together.
  int64_t blocks_of_malloc = 0, bytes_of_malloc = 0;
  for (const Site& site : profile->sites()) {
    if (site.domain == format::kDomainPython) continue;
    blocks_of_malloc += site.live_blocks;
    bytes_of_malloc += site.live_bytes;
  }
  EXPECT_LE(blocks_of_malloc, image.blocks) << process.file_name();
  EXPECT_LE(bytes_of_malloc, image.usable_bytes) << process.file_name();
  EXPECT_GE(profile->summary().live_blocks, image.blocks - kBlocksOfLibunwind - earlier) << process.file_name();
}

struct Agreement {
  uint64_t stacks = 0;  // compared with libunwind's
  int processes = 0;    // whose live blocks were compared
};

inline Agreement ExpectAgreement(const std::string& recordings, const std::string& counts) {
  Agreement agreement;
  const auto images = CountedImages(counts);
  for (const std::string& path : RecordingsIn(recordings)) {
    const RecordedProcess process(path, {});
    const format::FileHeader& header = process.recording().header();
    agreement.stacks += header.verified_stacks;
    EXPECT_EQ(header.different_stacks, 0) << process.file_name();
    // The first drop is of before the start; nothing later may be missed.
    for (uint32_t i = 1; i < format::kDropReasons; ++i) EXPECT_EQ(header.drops[i].events, 0) << process.file_name();
    if ((header.state & format::kStateActive) == 0) continue;  // a fork that only lived to exec
    if (const auto image = ImageOf(process, images)) {
      ExpectSameLiveBlocks(process, *image);
      ++agreement.processes;
    }
  }
  return agreement;
}

// Runs the command untraced, and traced under both eyes: its output and ending must be the same, and all must agree.
inline Agreement RunWithSecondOpinions(Command command) {
  command.time_limit =
      std::max<std::chrono::milliseconds>(command.time_limit, std::chrono::minutes(2));  // verifying is slow
  const Outcome untraced = RunProgram(command);
  EXPECT_EQ(untraced.Ending(), "exit 0") << untraced.err;
  TempDir recordings, counts;
  for (const TempDir* directory : {&recordings, &counts}) {  // the command may run as another user
    std::filesystem::permissions(directory->path(), std::filesystem::perms::all);
  }
  command.env["LD_PRELOAD"] = TrapPath("lib_counts_blocks.so");
  command.env["COUNT_BLOCKS_IN"] = counts.path();
  command.env["ALLOCLINE_VERIFY"] = "1";
  command.env = TracingEnvironment(recordings.path(), std::move(command.env));
  const Outcome traced = RunProgram(command);
  EXPECT_EQ(traced.Ending(), untraced.Ending()) << traced.err;
  EXPECT_TRUE(traced.out == untraced.out) << "stdout differs: " << traced.out.substr(0, 2000);
  EXPECT_EQ(traced.err, untraced.err);
  return ExpectAgreement(recordings.path(), counts.path());
}

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_E2E_SECOND_OPINION_H_
