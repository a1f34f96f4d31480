// Traps of limits and descriptors: the program runs on, unharmed, and what could be recorded is readable.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sstream>

#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"

namespace allocline::testing {
namespace {

std::function<void()> Limit(int resource, rlim_t value) {
  return [resource, value] {
    rlimit limit = {value, value};
    setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
  };
}

// A library more is addresses, and start-up, and code of another kind inside malloc.
TEST(LimitTraps, TheTracerNeedsNothingButTheCLibrary) {
  const Outcome outcome = RunProgram({.argv = {"readelf", "-d", TracerPath()}, .env = {{"LC_ALL", "C"}}});
  ASSERT_TRUE(outcome.ok()) << outcome.err;
  std::istringstream lines(outcome.out);
  std::vector<std::string> needed;
  for (std::string line; std::getline(lines, line);) {
    const size_t name = line.find("Shared library: [");
    if (name != line.npos) needed.push_back(line.substr(name + 17));
  }
  EXPECT_THAT(needed,
              ::testing::Each(::testing::AnyOf(::testing::StartsWith("libc.so"), ::testing::StartsWith("ld-linux"))));
  EXPECT_FALSE(needed.empty());
}

TEST(LimitTraps, DescriptorsClosedAtTheStartStayTheProgramsToOpen) {
  Recorded run = RecordExactly("traps/closed_streams", {.in_child = [] {
                                 close(0);
                                 close(1);
                                 close(2);
                               }});
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending();
}

// The program took every descriptor there is for itself: its files are intact, the recording holds what it could.
void ExpectIntactWithoutDescriptors(const std::string& how) {
  Recorded run = Record("traps/takes_all_descriptors", {.args = {how}});
  EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
  EXPECT_THAT(run.outcome.err, IsOneLine());
  EXPECT_EQ(run.main().At("before"), run.truth.at("before"));
  EXPECT_GE(run.main().Total().total_blocks, 20002);
}

TEST(LimitTraps, AProgramThatClosesEveryDescriptorAndUsesThemAllKeepsItsFilesIntact) {
  ExpectIntactWithoutDescriptors("close");
}

TEST(LimitTraps, AProgramThatReplacesEveryDescriptorKeepsItsFilesIntact) { ExpectIntactWithoutDescriptors("dup2"); }

TEST(LimitTraps, ADaemonThatClosesEveryDescriptorIsRecordedToItsEnd) {
  RecordExactly("traps/takes_all_descriptors", {.args = {"closefrom"}});
}

TEST(LimitTraps, AddressSpaceLimitsOf200MiBAndLessLetTheProgramRun) {
  for (rlim_t mebibytes : {200, 100, 64, 32, 16, 8}) {
    SCOPED_TRACE(mebibytes);
    RecordOptions options = {.in_child = Limit(RLIMIT_AS, mebibytes << 20)};
    Outcome untraced = RunUntraced("traps/many_stacks", options);
    ASSERT_TRUE(untraced.ok()) << untraced.Ending();
    Recorded run = Record("traps/many_stacks", options);
    EXPECT_EQ(run.outcome.Ending(), untraced.Ending()) << run.outcome.err;
  }
}

TEST(LimitTraps, Under200MiBOfAddressSpaceTheRecordingIsComplete) {
  Recorded run = RecordUnharmed("traps/many_stacks", {.args = {"4000"}, .in_child = Limit(RLIMIT_AS, 200 << 20)});
  EXPECT_EQ(run.main().At("stacks"), (Amount{16000, 4000, 16000, 4000}));
}

TEST(LimitTraps, WithMoreStacksThanAddressSpaceAllowsTheTotalsStayExact) {
  Recorded run = RecordUnharmed("traps/many_stacks", {.in_child = Limit(RLIMIT_AS, 100 << 20)});
  EXPECT_LT(run.main().At("stacks").total_blocks, 60000);  // or this test shows nothing
  EXPECT_EQ(run.main().Total().total_blocks, 60000);
  EXPECT_EQ(run.main().recording().live_bytes(), 240000);
}

TEST(LimitTraps, WithoutAFreeDescriptorTheProgramRuns) {
  for (rlim_t descriptors : {8, 5, 4}) {
    SCOPED_TRACE(descriptors);
    RecordOptions options = {.in_child = Limit(RLIMIT_NOFILE, descriptors)};
    Outcome untraced = RunUntraced("traps/many_stacks", options);
    ASSERT_TRUE(untraced.ok()) << untraced.Ending();
    EXPECT_EQ(Record("traps/many_stacks", options).outcome.Ending(), untraced.Ending());
  }
}

TEST(LimitTraps, AFileSizeLimitEndsTheRecordingsGrowthAndNotTheProgram) {
  for (rlim_t kibibytes : {0, 4, 64, 256, 1024}) {
    SCOPED_TRACE(kibibytes);
    Recorded run = Record("traps/many_stacks", {.in_child = Limit(RLIMIT_FSIZE, kibibytes << 10)});
    EXPECT_EQ(run.outcome.Ending(), "exit 0");  // and no SIGXFSZ
    // The test's stderr is a file, and so under the limit too.
    if (kibibytes > 0) {
      EXPECT_THAT(run.outcome.err, IsOneLine());
    }
    if (run.processes.empty()) continue;  // too small even for a header
    EXPECT_TRUE(run.main().recording().header().state & (format::kStateDiskFull | format::kStateInMemory));
    EXPECT_GE(run.main().Total().total_bytes, 240000);
  }
}

TEST(LimitTraps, WithoutProcTheProgramIsRecorded) {
  if (geteuid() != 0 || FindProgram("unshare").empty()) GTEST_SKIP() << "needs root to unmount /proc";
  std::string program = TrapPath("many_stacks");
  Command command = {.argv = {"unshare", "--mount", "sh", "-c",
                              "mount -t tmpfs none /proc && LD_PRELOAD=" + TracerPath() + " exec " + program}};
  if (RunProgram({.argv = {"unshare", "--mount", "mount", "-t", "tmpfs", "none", "/proc"}}).status != 0) {
    GTEST_SKIP() << "this container may not mount";
  }
  TempDir directory;
  command.env = TracingEnvironment(directory.path());
  command.env.erase("LD_PRELOAD");  // only the program, not the shell
  Outcome outcome = RunProgram(command);
  EXPECT_TRUE(outcome.ok()) << outcome.Ending() << outcome.err;
  EXPECT_EQ(RecordingsIn(directory.path()).size(), 1);
}

}  // namespace
}  // namespace allocline::testing
