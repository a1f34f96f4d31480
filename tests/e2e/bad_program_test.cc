// Programs that cannot be traced, and places and files that cannot be used: the program runs on, and one line says what
// is missing and what to do about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "recording/builder.h"
#include "tests/e2e/ledger.h"
#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr uid_t kNobody = 65534;

void BecomeNobody() {
  if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(125);
}

class BadProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(Recordings());
    for (const std::string& path : {directory_.path(), Recordings()}) chmod(path.c_str(), 0777);
  }
  std::string Recordings() const { return directory_ / "recordings"; }
  std::string CopyOf(const std::string& program) const {
    const std::string copy = directory_ / fs::path(program).filename().string();
    fs::copy_file(program, copy, fs::copy_options::overwrite_existing);
    return copy;
  }
  // `allocline run` as nobody.
  Outcome RunAsNobody(const Words& program) {
    return RunProgram(
        {.argv = Words{CliPath(), "run", "-q", "-o", Recordings(), "--"} + program, .in_child = BecomeNobody});
  }
  TempDir directory_;
};

TEST_F(BadProgramTest, ASetuidProgramKeepsItsRightsAndIsSaidToBeInvisible) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a program set-user-ID";
  const std::string program = CopyOf(FindProgram("id"));
  ASSERT_EQ(chmod(program.c_str(), 04755), 0);
  const Outcome untraced = RunProgram({.argv = {program, "-u"}, .in_child = BecomeNobody});
  if (untraced.out != "0\n") GTEST_SKIP() << "this file system ignores set-user-ID";
  const Outcome outcome = RunAsNobody({program, "-u"});
  EXPECT_EQ(outcome.Ending(), "exit 0");
  EXPECT_EQ(outcome.out, "0\n");
  EXPECT_THAT(outcome.err, AllOf(IsOneLine(), StartsWith("allocline: " + program + " is set-user-ID"),
                                 HasSubstr("trace a copy of it")));
  EXPECT_THAT(RecordingsIn(Recordings()), IsEmpty());
  const Outcome copy = RunAsNobody({FindProgram("id"), "-u"});  // what the line advises
  EXPECT_EQ(copy.err, "");
  EXPECT_EQ(RecordingsIn(Recordings()).size(), 1);
}

TEST_F(BadProgramTest, AProgramWithFileCapabilitiesKeepsThemAndIsSaidToBeInvisible) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give capabilities";
  const std::string program = CopyOf(FindProgram("grep"));
  if (!RunProgram({.argv = {"setcap", "cap_net_raw+ep", program}}).ok()) GTEST_SKIP() << "no file capabilities here";
  const Words words = {program, "CapEff", "/proc/self/status"};
  const Outcome untraced = RunProgram({.argv = words, .in_child = BecomeNobody});
  ASSERT_THAT(untraced.out, HasSubstr("2000"));
  const Outcome outcome = RunAsNobody(words);
  EXPECT_EQ(outcome.Ending(), "exit 0");
  EXPECT_EQ(outcome.out, untraced.out);
  EXPECT_THAT(outcome.err, AllOf(IsOneLine(), HasSubstr("capabilities"), HasSubstr("trace a copy of it")));
  EXPECT_THAT(RecordingsIn(Recordings()), IsEmpty());
}

TEST_F(BadProgramTest, WhereFilesCannotBeMappedSharedTheRecordingLivesInMemory) {
  fs::create_directory(directory_ / "disk");
  Command command{.argv = {E2eProgram("direct_io_mount"), directory_ / "disk", TrapPath("many_stacks")},
                  .env = TracingEnvironment(directory_ / "disk")};
  command.env["PRELOAD"] = command.env["LD_PRELOAD"];
  command.env.erase("LD_PRELOAD");
  const Outcome outcome = RunProgram(command);
  if (outcome.Ending() == "exit 77") GTEST_SKIP() << "no mounts, or no /dev/fuse, here";
  EXPECT_EQ(outcome.Ending(), "exit 0");
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(IsOneLine(), HasSubstr("cannot map files (MAP_SHARED); recording in memory"),
                                 HasSubstr("allocline top PID"), HasSubstr("-o or ALLOCLINE_OUTPUT")));
}

TEST_F(BadProgramTest, ARecordingThatCannotGrowSaysWhatWouldHelp) {
  const Recorded closes = Record("traps/takes_all_descriptors", {.args = {"close"}});
  EXPECT_THAT(closes.outcome.err, AllOf(IsOneLine(), HasSubstr("closed the recording's descriptor"),
                                        HasSubstr("Keep the program from closing descriptors it did not open")));
  const Recorded limited = Record("traps/many_stacks", {.in_child = [] {
                                    const rlimit limit = {1 << 20, 1 << 20};
                                    setrlimit(RLIMIT_FSIZE, &limit);
                                  }});
  EXPECT_THAT(limited.outcome.err, AllOf(IsOneLine(), HasSubstr("ulimit -f"), HasSubstr("Raise the limit")));
}

// ---------------------------------------------------------------- recordings of others

RecordingBuilder ForeignRecording() {
  RecordingBuilder builder;
  format::FileHeader& header = builder.header();
  snprintf(header.host, sizeof header.host, "far-away");
  snprintf(header.program, sizeof header.program, "/opt/elsewhere/connector");
  header.pid = static_cast<uint32_t>(getpid());  // a number that is taken here, by another process
  header.process_start_ticks = 1;
  memset(header.boot_id, 0x5a, sizeof header.boot_id);
  header.machine = 62;
  builder.AddModule({.start = 0x1000, .end = 0x3000, .load_bias = 0x1000, .path = "/opt/elsewhere/connector"});
  RecordedThread thread{.tid = 1, .threads_served = 1, .name = "main"};
  thread.counters.emplace_back(builder.AddSite(std::vector<format::Frame>{0x1234}),
                               SiteCounters{.allocated_bytes = 640, .allocated_blocks = 10});
  builder.AddThread(thread);
  return builder;
}

TEST_F(BadProgramTest, ARecordingOfAnotherMachineIsReadAndNotTakenForAProcessHere) {
  const std::string file = directory_ / "foreign.allocline";
  ASSERT_TRUE(ForeignRecording().WriteFile(file).ok());
  const std::string text = Answer({"top", file});
  EXPECT_THAT(text, StartsWith("connector (pid " + std::to_string(getpid()) + ")\n"));
  EXPECT_THAT(text, HasSubstr("connector+0x233: size=640 B, count=10, average=64 B\n"));
  EXPECT_THAT(text, HasSubstr("/opt/elsewhere/connector: No such file or directory"));
  const Json info = AnswerJson({"info", file});
  EXPECT_EQ(info["host"], "far-away");
  EXPECT_EQ(info["running"], false);
}

TEST_F(BadProgramTest, ANewerRecordingIsRefusedWithWhatToDo) {
  const std::string file = directory_ / "newer.allocline";
  ASSERT_TRUE(ForeignRecording().WriteFile(file).ok());
  std::string bytes = ReadFile(file);
  ++bytes[offsetof(format::FileHeader, major)];
  directory_.WriteFile("newer.allocline", bytes);
  for (const Words& words :
       {Words{"top", file}, {"info", file}, {"diff", file, file}, {"snapshot", file, "--label", "x"}}) {
    const Outcome outcome = Allocline(words);
    EXPECT_EQ(outcome.Ending(), "exit 2") << words[0];
    EXPECT_THAT(outcome.err,
                AllOf(IsOneLine(), StartsWith("allocline: " + file + ": "), HasSubstr("format version 2.")))
        << words[0];
  }
}

}  // namespace
}  // namespace allocline::testing
