// Reading a recording that is written meanwhile, by the tracer's own tables.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "recording/reader.h"
#include "tests/fuzz/check_recording.h"
#include "tests/recording/live_process.h"
#include "tests/support/temp_dir.h"

namespace allocline {
namespace {

using ::testing::IsEmpty;

constexpr int kThreads = 3;

// Every site that counts has the stack it should have, and no less than nothing is live.
void CheckLive(const Recording& recording) {
  const std::vector<SiteCounters> counters = recording.Counters();
  for (SiteId site = format::kOverflowSite + 1; site < counters.size(); ++site) {
    if (!counters[site].any()) continue;
    ASSERT_GE(counters[site].live_bytes(), 0) << "site " << site;
    ASSERT_GE(counters[site].live_blocks(), 0) << "site " << site;
    ASSERT_EQ(LiveProcess::CheckStack(recording.Stack(site)), "") << "site " << site;
  }
  ASSERT_FALSE(counters[format::kOverflowSite].any());
}

TEST(LiveTest, AGrowingRecordingIsReadAtAnyMomentAndNothingIsLiveByLessThanNothing) {
  const testing::TempDir directory;
  LiveProcess process(directory.path(), /*sites=*/4000);
  process.Start(kThreads);
  size_t sites = 0;
  uint64_t allocated = 0;
  for (int moved = 0; moved < 30;) {  // times that the process got on between two looks
    const absl::StatusOr<Recording> recording = Recording::Open(process.path());
    ASSERT_TRUE(recording.ok()) << recording.status();
    ASSERT_THAT(recording->damage(), IsEmpty());
    ASSERT_NO_FATAL_FAILURE(CheckLive(*recording));
    ASSERT_GE(recording->sites().size(), sites) << "sites went away";
    sites = recording->sites().size();
    uint64_t now = 0;
    for (const SiteCounters& counters : recording->Counters()) now += counters.allocated_blocks;
    ASSERT_GE(now, allocated) << "allocations went away";
    moved += now > allocated;
    allocated = now;
  }
}

TEST(LiveTest, OnceItStandsStillItsCountersAreWhatTheThreadsCounted) {
  const testing::TempDir directory;
  std::atomic<int64_t> truth[kThreads] = {};
  LiveProcess process(directory.path(), /*sites=*/500, truth);
  process.Start(kThreads);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  process.Stop();
  const absl::StatusOr<Recording> recording = Recording::Open(process.path());
  ASSERT_TRUE(recording.ok()) << recording.status();
  int64_t live = 0;
  for (const std::atomic<int64_t>& thread : truth) live += thread;
  EXPECT_EQ(recording->live_bytes(), static_cast<uint64_t>(live));
}

// The end of a process takes none of what it counted along: the pages belong to the file.
TEST(LiveTest, AProcessKilledAtAnyMomentLeavesAllItCountedButForWhatWasUnderWay) {
  const testing::TempDir directory;
  auto* truth = static_cast<std::atomic<int64_t>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(truth, MAP_FAILED);
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < kThreads; ++i) truth[i] = 0;
    const pid_t child = fork();
    if (child == 0) {
      LiveProcess process(directory.path(), /*sites=*/5000, truth);
      process.Start(kThreads);
      while (true) pause();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + random() % 30000));
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const std::string path = directory / fmt::format("live.{}.allocline", child);
    if (access(path.c_str(), F_OK) != 0) continue;  // killed before it began
    const absl::StatusOr<Recording> recording = Recording::Open(path);
    if (recording.status().code() == absl::StatusCode::kInvalidArgument) continue;  // or while it did
    ASSERT_TRUE(recording.ok()) << recording.status();
    EXPECT_THAT(recording->damage(), IsEmpty());
    ASSERT_NO_FATAL_FAILURE(CheckLive(*recording));
    int64_t live = 0;
    for (int i = 0; i < kThreads; ++i) live += truth[i];
    EXPECT_NEAR(static_cast<double>(recording->live_bytes()), static_cast<double>(live), kThreads * 1000.0);
  }
  munmap(truth, 4096);
}

// What kubectl cp and tar do: the header first, then all the rest, while the process goes on. Sometimes not to the end.
std::string CopyFrontToBack(const std::string& path, std::mt19937& random) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string copy(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
  if (random() % 2 == 0) copy.resize(random() % (copy.size() + 1));
  const size_t piece = 4096 << random() % 6;
  size_t done = 0;
  while (done < copy.size()) {
    const ssize_t got = pread(fd, copy.data() + done, std::min(piece, copy.size() - done), static_cast<off_t>(done));
    if (got <= 0) break;
    done += static_cast<size_t>(got);
    if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
  }
  close(fd);
  copy.resize(done);
  return copy;
}

TEST(LiveTest, ACopyMadeWhileItsProcessRanIsReadAndWhatItLacksIsSaid) {
  const testing::TempDir directory;
  std::mt19937 random(2);
  uint64_t damaged = 0, unharmed = 0;
  for (int round = 0; round < 2 || damaged < 5; ++round) {
    LiveProcess process(directory.path(), /*sites=*/4000);
    process.Start(kThreads);
    for (int i = 0; i < 10; ++i) {
      const std::string copy = CopyFrontToBack(process.path(), random);
      ASSERT_EQ(CheckRecording(copy), "");
      const absl::StatusOr<Recording> recording = Recording::Parse(copy, "copy");
      ASSERT_EQ(recording.ok(), copy.size() >= format::kHeaderBytes) << recording.status();
      if (!recording.ok()) continue;
      ++(recording->damage().empty() ? unharmed : damaged);
      if (!recording->damage().empty()) continue;
      ASSERT_NO_FATAL_FAILURE(CheckLive(*recording));
    }
  }
  std::cout << damaged << " copies lack something, " << unharmed << " do not\n";
}

}  // namespace
}  // namespace allocline
