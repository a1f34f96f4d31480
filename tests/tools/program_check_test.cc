#include "tools/program_check.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tools/cli.h"
#include "tools/command.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Matches a check that lets the tracer be preloaded or not, with a remark that says `what`.
auto Is(bool preload, const std::string& what) {
  return AllOf(Field(&ProgramCheck::preload, preload), Field(&ProgramCheck::remark, HasSubstr(what)));
}
auto IsTraceable() { return AllOf(Field(&ProgramCheck::preload, true), Field(&ProgramCheck::remark, IsEmpty())); }

class ProgramCheckTest : public ::testing::Test {
 protected:
  // A copy of the plain program with some of its bytes changed.
  std::string Patched(const std::function<void(std::string& bytes)>& patch) {
    std::string bytes = ReadFile(CliProgram("plain"));
    patch(bytes);
    return Executable("patched", bytes);
  }
  std::string Executable(const std::string& name, const std::string& content) {
    const std::string path = directory_.WriteFile(name, content);
    chmod(path.c_str(), 0755);
    return path;
  }

  TempDir directory_;
};

TEST_F(ProgramCheckTest, AnOrdinaryProgramIsTraceable) {
  EXPECT_THAT(CheckProgram(CliProgram("plain")), IsTraceable());
  EXPECT_THAT(CheckProgram("/bin/sh"), IsTraceable());
}

TEST_F(ProgramCheckTest, StaticProgramsHaveNoLoaderToPreloadAnything) {
  EXPECT_THAT(CheckProgram(CliProgram("plain_static")), Is(true, "statically linked"));
  EXPECT_THAT(CheckProgram(CliProgram("plain_static_pie")), Is(true, "statically linked"));
}

TEST_F(ProgramCheckTest, TheLoaderItselfIsNoStaticProgram) {
  EXPECT_THAT(CheckProgram("/lib64/ld-linux-x86-64.so.2"), IsTraceable());
}

TEST_F(ProgramCheckTest, AProgramThatExportsMallocIsCalledInsteadOfTheTracer) {
  EXPECT_THAT(CheckProgram(CliProgram("own_malloc")), Is(true, "defines malloc itself"));
}

TEST_F(ProgramCheckTest, AnAllocatorUnderAPrivateNameIsNamed) {
  EXPECT_THAT(CheckProgram(CliProgram("private_allocator")), Is(true, "duckdb_je_malloc"));
  EXPECT_EQ(FindPrivateAllocator(CliProgram("private_allocator")), "duckdb_je_malloc");
  EXPECT_EQ(FindPrivateAllocator(CliProgram("plain")), std::nullopt);
  EXPECT_EQ(FindPrivateAllocator(CliProgram("own_malloc")), std::nullopt);
}

TEST_F(ProgramCheckTest, AnotherLoaderThanGlibcsGetsNoPreload) {
  const std::string musl = Patched([](std::string& bytes) {
    const std::string glibc = "/lib64/ld-linux-x86-64.so.2";
    std::string name = "/lib/ld-musl-x86_64.so.1";
    name.resize(glibc.size());
    bytes.replace(bytes.find(glibc), glibc.size(), name);
  });
  EXPECT_THAT(CheckProgram(musl), Is(false, "/lib/ld-musl-x86_64.so.1"));
}

TEST_F(ProgramCheckTest, AnotherMachineGetsNoPreload) {
  const std::string foreign =
      Patched([](std::string& bytes) { bytes[offsetof(Elf64_Ehdr, e_machine)] = static_cast<char>(EM_RISCV); });
  EXPECT_THAT(CheckProgram(foreign), Is(false, "another machine"));
}

TEST_F(ProgramCheckTest, ASetUserIdProgramOfAnotherUserIsPrivileged) {
  std::string path = "/bin/su";  // root's
  if (geteuid() == 0) {
    path = Patched([](std::string&) {});
    ASSERT_EQ(chown(path.c_str(), getpwnam("nobody")->pw_uid, getegid()), 0);
    ASSERT_EQ(chmod(path.c_str(), 04755), 0);
  }
  EXPECT_THAT(CheckProgram(path), Is(true, "set-user-ID"));
}

TEST_F(ProgramCheckTest, OnesOwnSetUserIdProgramIsNotPrivileged) {
  const std::string path = Patched([](std::string&) {});
  ASSERT_EQ(chmod(path.c_str(), 06755), 0);
  EXPECT_THAT(CheckProgram(path), IsTraceable());
}

TEST_F(ProgramCheckTest, OfAScriptTheInterpreterCounts) {
  Executable("inner", "#! " + CliProgram("plain_static") + " -x\n");
  Executable("outer", "#!" + (directory_ / "inner") + "\n");
  EXPECT_THAT(CheckProgram(directory_ / "outer"), Is(true, "statically linked"));
  Executable("circle", "#!" + (directory_ / "circle") + "\n");
  EXPECT_THAT(CheckProgram(directory_ / "circle"), IsTraceable());
}

TEST_F(ProgramCheckTest, FilesThatAreNoProgramAreLeftToTheKernel) {
  for (const std::string& content : {std::string(), std::string("#!"), std::string("\177ELF"), std::string(64, '\0')}) {
    Executable("file", content);
    EXPECT_THAT(CheckProgram(directory_ / "file"), IsTraceable());
  }
  EXPECT_THAT(CheckProgram(directory_ / "missing"), IsTraceable());
  EXPECT_THAT(CheckProgram(directory_.path()), IsTraceable());
}

TEST_F(ProgramCheckTest, AnElfFileCutAtAnyByteIsHandled) {
  const std::string whole = ReadFile(CliProgram("own_malloc"));
  for (size_t length = 0; length < whole.size(); length += 97) {
    Executable("cut", whole.substr(0, length));
    CheckProgram(directory_ / "cut");  // the sanitizer presets watch
  }
}

TEST_F(ProgramCheckTest, ProgramsAreFoundAsTheShellFindsThem) {
  Executable("tool", "#!/bin/sh\n");
  directory_.WriteFile("data", "");
  setenv("PATH", ("/nonexistent:" + directory_.path() + ":/bin").c_str(), 1);
  EXPECT_EQ(*allocline::FindProgram("tool"), directory_ / "tool");
  EXPECT_EQ(*allocline::FindProgram(directory_ / "tool"), directory_ / "tool");
  EXPECT_EQ(*allocline::FindProgram("sh"), "/bin/sh");
  EXPECT_EQ(allocline::ExitCodeOf(allocline::FindProgram("no-such-tool").status()), ExitCode::kProgramNotFound);
  EXPECT_EQ(allocline::ExitCodeOf(allocline::FindProgram("./no-such-tool").status()), ExitCode::kProgramNotFound);
  EXPECT_EQ(allocline::ExitCodeOf(allocline::FindProgram("").status()), ExitCode::kProgramNotFound);
  EXPECT_EQ(allocline::ExitCodeOf(allocline::FindProgram("data").status()), ExitCode::kCannotExecute);
  EXPECT_EQ(allocline::ExitCodeOf(allocline::FindProgram(directory_ / "data").status()), ExitCode::kCannotExecute);
  EXPECT_EQ(allocline::ExitCodeOf(allocline::FindProgram(directory_.path()).status()), ExitCode::kCannotExecute);
}

}  // namespace
}  // namespace allocline::testing
