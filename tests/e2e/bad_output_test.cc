// The place where a recording should go fails: the program does what it always did, one line on stderr says what is
// wrong, and what was recorded until then can be read.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"

namespace allocline::testing {
namespace {

// 60,000 call stacks, checks its memory, prints nothing.
Outcome RunManyStacks(const std::string& output, std::function<void()> in_child = {}) {
  return RunProgram(
      {.argv = {TrapPath("many_stacks")}, .env = TracingEnvironment(output), .in_child = std::move(in_child)});
}

void ExpectOneLineAbout(const Outcome& outcome, const std::string& what) {
  EXPECT_EQ(outcome.Ending(), "exit 0");
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, IsOneLine());
  EXPECT_THAT(outcome.err, ::testing::StartsWith("allocline: "));
  EXPECT_THAT(outcome.err, ::testing::HasSubstr(what));
}

// A command in a mount namespace of its own; false where that is not allowed.
bool MountsAreAllowed() {
  return geteuid() == 0 && RunProgram({.argv = {"unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"}}).ok();
}
Outcome RunWithMount(const std::string& mount, const TempDir& directory, const std::string& afterwards) {
  Command command = {.argv = {"unshare", "--mount", "sh", "-c",
                              mount + " && { LD_PRELOAD=" + TracerPath() + " " + TrapPath("many_stacks") +
                                  "; code=$?; " + afterwards + "; exit $code; }"}};
  command.env = TracingEnvironment(directory / "disk");
  command.env.erase("LD_PRELOAD");  // only for the program, not for the shell
  std::filesystem::create_directory(directory / "disk");
  return RunProgram(command);
}

// Makes a system call fail in the child: `flag` != 0 restricts that to calls whose argument `argument` has the flag.
std::function<void()> Refuse(unsigned call, int error, unsigned argument = 0, unsigned flag = 0) {
  return [=] {
    const unsigned offset = offsetof(seccomp_data, args) + argument * sizeof(uint64_t);
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
        BPF_JUMP(flag == 0 ? BPF_JMP | BPF_JA : BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {.len = sizeof(rules) / sizeof(rules[0]), .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      _exit(125);
    }
  };
}

TEST(BadOutputTest, ADirectoryThatIsNotThere) {
  ExpectOneLineAbout(RunManyStacks("/nonexistent/directory"), "/nonexistent/directory");
}

TEST(BadOutputTest, AFileInPlaceOfTheDirectory) {
  TempDir directory;
  ExpectOneLineAbout(RunManyStacks(directory.WriteFile("file", "text")), "not a directory");
  EXPECT_EQ(ReadFile(directory / "file"), "text");
}

TEST(BadOutputTest, ADirectoryThatNobodyMayWrite) {
  ExpectOneLineAbout(RunManyStacks("/sys/kernel"), "permission denied");  // not even root
}

TEST(BadOutputTest, AnotherUsersDirectory) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  TempDir directory;  // 0700
  ExpectOneLineAbout(RunManyStacks(directory.path(),
                                   [] {
                                     if (setgid(65534) != 0 || setuid(65534) != 0) _exit(125);
                                   }),
                     "permission denied");
}

TEST(BadOutputTest, AReadOnlyFileSystem) {
  if (!MountsAreAllowed()) GTEST_SKIP() << "this container may not mount";
  TempDir directory;
  ExpectOneLineAbout(RunWithMount("mount -t tmpfs -o ro none \"$ALLOCLINE_OUTPUT\"", directory, ":"), "read-only");
}

TEST(BadOutputTest, ADiskThatFillsUpKeepsWhatWasRecorded) {
  if (!MountsAreAllowed()) GTEST_SKIP() << "this container may not mount";
  for (const char* size : {"128k", "512k", "2m"}) {
    SCOPED_TRACE(size);
    TempDir directory;
    Outcome outcome = RunWithMount("mount -t tmpfs -o size=" + std::string(size) + " none \"$ALLOCLINE_OUTPUT\"",
                                   directory, "cp \"$ALLOCLINE_OUTPUT\"/*.allocline " + directory.path());
    ExpectOneLineAbout(outcome, "no space left");
    ASSERT_EQ(RecordingsIn(directory.path()).size(), 1);
    RecordedProcess process(RecordingsIn(directory.path()).front(), {});
    EXPECT_TRUE(process.recording().header().state & format::kStateDiskFull);
    EXPECT_EQ(process.recording().header().first_errno, ENOSPC);
    EXPECT_EQ(process.recording().live_bytes(), 240000);  // totals go on, with or without a place for the stack
    EXPECT_EQ(process.Total().total_blocks, 60000);
  }
}

TEST(BadOutputTest, ADiskThatIsFullFromTheStart) {
  if (!MountsAreAllowed()) GTEST_SKIP() << "this container may not mount";
  TempDir directory;
  Outcome outcome = RunWithMount("mount -t tmpfs -o size=8k none \"$ALLOCLINE_OUTPUT\"", directory, ":");
  ExpectOneLineAbout(outcome, "no space left");
}

TEST(BadOutputTest, AFileSystemWithoutFallocateIsWrittenInstead) {
  TempDir directory;
  Outcome outcome = RunManyStacks(directory.path(), Refuse(SYS_fallocate, EOPNOTSUPP));
  EXPECT_EQ(outcome.Ending(), "exit 0");
  EXPECT_EQ(outcome.err, "");
  ASSERT_EQ(RecordingsIn(directory.path()).size(), 1);
  EXPECT_EQ(RecordedProcess(RecordingsIn(directory.path()).front(), {}).Total().total_blocks, 60000);
}

TEST(BadOutputTest, WhereNothingCanBeMappedSharedTheProgramRunsUntraced) {
  TempDir directory;
  constexpr unsigned kFlagsArgument = 3;
  ExpectOneLineAbout(RunManyStacks(directory.path(), Refuse(SYS_mmap, ENODEV, kFlagsArgument, MAP_SHARED)), "untraced");
  EXPECT_TRUE(RecordingsIn(directory.path()).empty());  // no file that is no recording is left behind
}

TEST(BadOutputTest, AFileSizeLimitTooSmallForAnyRecordingIsNamed) {
  const TempDir directory;
  ExpectOneLineAbout(RunManyStacks(directory.path(),
                                   [] {
                                     const rlimit limit = {1024, 1024};
                                     setrlimit(RLIMIT_FSIZE, &limit);
                                   }),
                     "ulimit -f");
}

// What we have to say is not worth a program.
TEST(BadOutputTest, AStderrWhoseReaderIsGoneOrDoesNotReadHarmsNobody) {
  const TempDir directory;
  for (const bool reader_is_gone : {true, false}) {
    const Outcome outcome = RunManyStacks("/proc", [reader_is_gone] {
      int ends[2];
      if (pipe(ends) != 0) _exit(120);
      if (reader_is_gone) {
        close(ends[0]);
      } else {
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        char page[4096] = {};
        while (write(ends[1], page, sizeof page) > 0) {
        }
        fcntl(ends[1], F_SETFL, 0);
      }
      dup2(ends[1], 2);
    });
    EXPECT_EQ(outcome.Ending(), "exit 0");
  }
}

// Linux before 4.14 and gVisor: only forks that run our handler are noticed then.
TEST(BadOutputTest, AForkIsNoticedWhereTheKernelDoesNotWipeMemory) {
  constexpr unsigned kAdvice = 2;
  constexpr unsigned kInWipeOnFork = MADV_WIPEONFORK & ~MADV_DONTDUMP;  // a bit it has, and MADV_DONTDUMP has not
  RecordOptions options = {.in_child = Refuse(SYS_madvise, EINVAL, kAdvice, kInWipeOnFork)};
  Recorded run = RecordUnharmed("fork_frees", options);
  EXPECT_THAT(run.main().UserLines(), ::testing::Not(::testing::IsEmpty()));
  EXPECT_EQ(run.processes.size(), RecordUnharmed("fork_frees").processes.size());
}

}  // namespace
}  // namespace allocline::testing
