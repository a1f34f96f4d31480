// `allocline run` outlives a program that its container ends, and says what held the memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/support/memory_cgroup.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kLimit = 64 << 20;
constexpr int kNotAllowed = 98;

// In a child: mounts that nobody else sees, and what other namespaces are asked for.
void MountsOfOurOwn(int namespaces = 0) {
  if (unshare(CLONE_NEWNS | namespaces) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    _exit(kNotAllowed);
  }
}

class SurvivorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!container_.why_not().empty()) GTEST_SKIP() << container_.why_not();
  }
  // In the container, allocline itself with it.
  Outcome Run(Words options, Words program) {
    Words words = {"run", "-o", directory_.path()};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("--");
    words.insert(words.end(), program.begin(), program.end());
    return RunProgram({.argv = AlloclineWords(words), .in_child = container_.Enters()});
  }
  static std::string Climbs() { return BuildDir() + "/programs/e2e/climbs"; }

  MemoryCgroup container_{kLimit};
  TempDir directory_;
};

TEST_F(SurvivorTest, AProgramThatTheKernelKillsIsReportedByTheLineThatGrew) {
  const Outcome outcome = Run({}, {Climbs(), "grow", "65536"});
  EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  EXPECT_THAT(outcome.err,
              ContainsRegex("^allocline: climbs was killed by the container's OOM killer at 6[34] of 64 MiB; "
                            "live by line:\nclimbs\\.c:[0-9]+: size=[45][0-9]\\.[0-9] MiB, count=[0-9]+, "
                            "average=64\\.0 KiB\n"));
  EXPECT_THAT(outcome.err, HasSubstr("\nrecording: " + directory_.path()));
  EXPECT_EQ(outcome.out, "");
}

// Nothing that the process could see of its container while it filled up.
TEST_F(SurvivorTest, HowFullItWasIsWhatTheKernelCountedWherePagesAreTouchedWithoutAnyCall) {
  const Outcome outcome = Run({}, {Climbs(), "touch", std::to_string(2 * kLimit)});
  EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  EXPECT_THAT(outcome.err, ContainsRegex("^allocline: climbs was killed by the container's OOM killer at 6[34] of 64 "
                                         "MiB; live by line:\nclimbs\\.c:[0-9]+: size=128 MiB, count=1"));
}

TEST_F(SurvivorTest, AWorkerThatIsKilledIsNamedWithWhatEachProcessHeld) {
  const Outcome outcome = Run({}, {"sh", "-c", Climbs() + " grow 65536; exit 3"});
  EXPECT_EQ(ExitCodeOf(outcome), 3) << outcome.err;
  EXPECT_THAT(
      outcome.err,
      ContainsRegex("(^|\n)allocline: (sh|dash) exited with 3 after [0-9.]+ s; climbs \\(pid [0-9]+\\) was killed by "
                    "the container's OOM killer at 6[34] of 64 MiB; live by line:\nclimbs\\.c:"));
  EXPECT_THAT(outcome.err, ContainsRegex("\nby process:\n  process  .*\n  climbs +[0-9]+  killed .*  climbs\\.c:"));
  EXPECT_THAT(outcome.err, ContainsRegex("\n  all 2 "));
}

// The memory of one that left before is not there when another is killed, however much it had.
TEST_F(SurvivorTest, AWorkerThatLeftByUnderscoreExitIsNotTakenForTheOneThatWasKilled) {
  const Outcome outcome = Run({}, {"sh", "-c", Climbs() + " leave 58000000; " + Climbs() + " grow 65536; exit 3"});
  EXPECT_EQ(ExitCodeOf(outcome), 3) << outcome.err;
  const std::string killed = "; climbs \\(pid [0-9]+\\) was killed by the container's OOM killer at 6[34] of 64 MiB; ";
  EXPECT_THAT(outcome.err, ContainsRegex(killed + "live by line:\nclimbs\\.c:[0-9]+: size=[45][0-9]\\.[0-9] MiB"));
  EXPECT_THAT(outcome.err, ContainsRegex("\n  climbs +[0-9]+  exited .*\n"));
  EXPECT_THAT(outcome.err, ContainsRegex("\n  climbs +[0-9]+  killed .*\n"));
}

TEST_F(SurvivorTest, TheLogHasItAsSevereMessages) {
  const Outcome outcome = Run({"--log", "json", "-n", "1"}, {Climbs(), "grow", "65536"});
  EXPECT_EQ(ExitCodeOf(outcome), 137);
  std::istringstream lines(outcome.err);
  std::string line;
  int messages = 0;
  while (std::getline(lines, line)) {
    const nlohmann::json message = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(message.is_object()) << line;
    EXPECT_EQ(message["message-origin"], "sdk_connector");
    const std::string text = message["message"];
    if (text.starts_with("allocline: limit-")) continue;  // said on the way
    EXPECT_EQ(message["level"], "SEVERE");
    if (messages == 0) {
      EXPECT_THAT(text, HasSubstr("climbs was killed by the container's OOM killer at "));
    }
    if (messages == 1) {
      EXPECT_THAT(text, ContainsRegex("^climbs\\.c:[0-9]+: size="));
    }
    ++messages;
  }
  EXPECT_GE(messages, 3);
}

TEST_F(SurvivorTest, JsonTellsWhatTheContainerDid) {
  const Outcome outcome = Run({"--json"}, {Climbs(), "grow", "65536"});
  const nlohmann::json document = nlohmann::json::parse(outcome.err, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(document.is_object()) << outcome.err;
  EXPECT_EQ(document["container"]["deed"], "killed");
  EXPECT_EQ(document["container"]["limit_bytes"], kLimit);
  EXPECT_EQ(document["container"]["pid"], document["processes"][0]["pid"]);
}

// Naming lines takes some 20 MiB; of a recording of many checkpoints reading it may take more than there is.
TEST_F(SurvivorTest, HowItEndedIsSaidEvenWhereMemoryDoesNotSufficeToReadTheRecording) {
  container_.SetLimit(12 << 20);
  const Outcome outcome = Run({}, {Climbs(), "grow", "65536"});
  EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("climbs was killed by the container's OOM killer at 1"));
  EXPECT_THAT(outcome.err,
              ContainsRegex("(\nrecording: |`allocline top` reads the recordings in )" + directory_.path()));
}

TEST_F(SurvivorTest, AKillFromElsewhereIsNotTheContainers) {
  const Outcome outcome = Run({}, {"sh", "-c", "kill -9 $$"});
  EXPECT_EQ(ExitCodeOf(outcome), 137);
  EXPECT_THAT(outcome.err, HasSubstr("was ended by signal 9 (SIGKILL)"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("OOM")));
}

// As container runtimes have it: the group is the root of what can be seen.
TEST_F(SurvivorTest, InACgroupNamespaceItIsTheContainerToo) {
  const auto in_child = [enter = container_.Enters()] {
    enter();
    MountsOfOurOwn(CLONE_NEWCGROUP);
    const char* const where = "/sys/fs/cgroup/memory";
    if (umount2(where, MNT_DETACH) != 0 || mount("none", where, "cgroup", 0, "memory") != 0) _exit(kNotAllowed);
  };
  const Outcome outcome =
      RunProgram({.argv = AlloclineWords({"run", "-o", directory_.path(), "--", Climbs(), "grow", "65536"}),
                  .in_child = in_child});
  if (ExitCodeOf(outcome) == kNotAllowed) GTEST_SKIP() << "may not make a namespace";
  EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("climbs was killed by the container's OOM killer at 6"));
  EXPECT_THAT(outcome.err, ContainsRegex("\nmemory: .* of 64\\.0 MiB\n"));
}

TEST(SurvivorElsewhereTest, WithoutAnyCgroupMountedAGivenLimitIsOfTheProcess) {
  const TempDir directory;
  const auto in_child = [] {
    MountsOfOurOwn();
    if (umount2("/sys/fs/cgroup", MNT_DETACH) != 0) _exit(kNotAllowed);
  };
  const Outcome outcome = RunProgram({.argv = AlloclineWords({"run", "-o", directory.path(), "--limit", "32M", "--",
                                                              BuildDir() + "/programs/e2e/climbs", "grow", "65536"}),
                                      .in_child = in_child});
  if (ExitCodeOf(outcome) == kNotAllowed) GTEST_SKIP() << "may not make a namespace";
  EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("climbs was ended by --limit at 3"));
  EXPECT_THAT(outcome.err, ContainsRegex("\nmemory: .*, container not known\n"));
}

TEST(SurvivorElsewhereTest, AGivenLimitEndsTheProgramAnywhere) {
  const TempDir directory;
  const Outcome outcome = Allocline(
      {"run", "-o", directory.path(), "--limit", "64M", "--", BuildDir() + "/programs/e2e/climbs", "grow", "65536"});
  EXPECT_EQ(ExitCodeOf(outcome), 137) << outcome.err;
  EXPECT_THAT(outcome.err,
              ContainsRegex("^allocline: climbs was ended by --limit at 6[0-9] of 64 MiB; live by line:\nclimbs\\.c:"));
}

}  // namespace
}  // namespace allocline::testing
