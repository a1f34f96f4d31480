// Installs the build into a prefix of its own and meets it as a stranger would: by find_package, by pkg-config, by
// hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class InstalledPrefixTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Installed elsewhere first and moved: nothing in a prefix may remember where it was.
    Expect(RunProgram({.argv = {"cmake", "--install", BuildDir(), "--prefix", directory_ / "elsewhere"}}));
    std::filesystem::rename(directory_ / "elsewhere", prefix_);
    ASSERT_TRUE(std::filesystem::exists(tracer_)) << tracer_;
  }

  static std::string Expect(const Outcome& outcome) {
    EXPECT_TRUE(outcome.ok()) << outcome.Ending() << "\n" << outcome.out << outcome.err;
    return outcome.out;
  }
  // The program run as it is, and with the installed tracer preloaded.
  std::string Plain(const std::string& program) {
    return Expect(RunProgram({.argv = {program}, .env = {{"ALLOCLINE_OUTPUT", recordings_.path()}}}));
  }
  std::string Preloaded(const std::string& program) {
    return Expect(
        RunProgram({.argv = {program}, .env = {{"ALLOCLINE_OUTPUT", recordings_.path()}, {"LD_PRELOAD", tracer_}}}));
  }
  std::string PkgConfig(const std::string& arguments) {
    return Expect(RunProgram(
        {.argv = {"sh", "-c", "pkg-config " + arguments}, .env = {{"PKG_CONFIG_PATH", prefix_ + "/lib/pkgconfig"}}}));
  }
  std::string Source(const std::string& name) { return SourceDir() + "/tests/packaging/consumer/" + name; }
  size_t CountRecordings() {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(recordings_.path()), {}));
  }

  TempDir directory_, recordings_;
  const std::string prefix_ = directory_ / "prefix";
  const std::string tracer_ = prefix_ + "/lib/liballocline.so";
};

TEST_F(InstalledPrefixTest, HoldsWhatTheReadmeSays) {
  for (const char* file :
       {"bin/allocline", "include/allocline/allocline.h", "include/allocline/allocline.hpp",
        "share/man/man1/allocline.1", "share/man/man1/allocline-run.1", "share/man/man1/allocline-top.1",
        "share/man/man1/allocline-diff.1", "share/man/man1/allocline-growth.1", "share/man/man1/allocline-check.1",
        "share/man/man1/allocline-snapshot.1", "share/man/man1/allocline-info.1", "share/man/man1/allocline-timeline.1",
        "share/allocline/python/allocline/__init__.py", "share/allocline/python/pyproject.toml"}) {
    EXPECT_TRUE(std::filesystem::exists(prefix_ + "/" + file)) << file;
  }
}

TEST_F(InstalledPrefixTest, TheProgramFindsItsTracerAndRecords) {
  Expect(
      RunProgram({.argv = {prefix_ + "/bin/allocline", "run", "-o", recordings_.path(), "--", "/bin/echo", "hello"}}));
  EXPECT_EQ(CountRecordings(), 1);
}

TEST_F(InstalledPrefixTest, PythonFindsThePackageUnderRunAndByPipWithoutNetworkOrSetuptools) {
  const std::string python = FindProgram("python3");
  if (python.empty()) GTEST_SKIP() << "no python3 on this machine";
  const std::string show = "import allocline; print(allocline.__version__, allocline.__file__, allocline.is_tracing())";
  EXPECT_THAT(Expect(RunProgram({.argv = {prefix_ + "/bin/allocline", "run", "-q", "-o", recordings_.path(), "--",
                                          python, "-B", "-c", show}})),
              HasSubstr(prefix_ + "/share/allocline/python/allocline/__init__.py True"));
  if (!RunProgram({.argv = {python, "-m", "pip", "--version"}}).ok()) GTEST_SKIP() << python << " has no pip";
  const std::string target = directory_ / "target";
  Expect(RunProgram({.argv = {python, "-B", "-m", "pip", "install", "--no-index", "--target", target,
                              prefix_ + "/share/allocline/python"},
                     .env = {{"PIP_CONFIG_FILE", "/dev/null"}, {"PIP_DISABLE_PIP_VERSION_CHECK", "1"}}}));
  const std::string installed = Expect(RunProgram({.argv = {python, "-c", show}, .env = {{"PYTHONPATH", target}}}));
  EXPECT_THAT(installed, HasSubstr(target + "/allocline/__init__.py False"));
  // "allocline 0.1.0": one version for the program and the package.
  const std::string version = Expect(RunProgram({.argv = {prefix_ + "/bin/allocline", "--version"}}));
  EXPECT_THAT(version, HasSubstr(installed.substr(0, installed.find(' '))));
}

TEST_F(InstalledPrefixTest, IsFoundByFindPackage) {
  const std::string build = directory_ / "build";
  Expect(RunProgram({.argv = {"cmake", "-G", "Ninja", "-S", Source(""), "-B", build,
                              "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_PREFIX_PATH=" + prefix_},
                     .time_limit = std::chrono::seconds(120)}));
  Expect(RunProgram({.argv = {"cmake", "--build", build}, .time_limit = std::chrono::seconds(300)}));

  EXPECT_THAT(Plain(build + "/plain_c"), HasSubstr("traced: 0"));
  EXPECT_THAT(Plain(build + "/plain_cc"), HasSubstr("traced: 0"));
  EXPECT_EQ(CountRecordings(), 0) << "a program that only includes the header is recorded";
  EXPECT_THAT(Preloaded(build + "/plain_c"), HasSubstr("traced: 1"));
  EXPECT_THAT(Preloaded(build + "/plain_cc"), HasSubstr("traced: 1"));
  EXPECT_EQ(CountRecordings(), 2);
  EXPECT_THAT(Plain(build + "/traced_cc"), HasSubstr("traced: 1"));
  EXPECT_EQ(CountRecordings(), 3);

  for (const auto& [program, label] : {std::pair{"plain_c", "from C"}, {"plain_cc", "from C++"}}) {
    std::string recording;
    for (const auto& entry : std::filesystem::directory_iterator(recordings_.path())) {
      if (entry.path().filename().string().starts_with(std::string(program) + ".")) recording = entry.path();
    }
    EXPECT_THAT(Expect(RunProgram({.argv = {build + "/read_recording", recording + "@" + label}})),
                MatchesRegex(".*program\\.(c|cc):[0-9]+: size=121 KiB, count=1, average=121 KiB\n"));
  }
}

TEST_F(InstalledPrefixTest, IsFoundByPkgConfigFromC) {
  const std::string program = directory_ / "program";
  Expect(RunProgram({.argv = {"sh", "-c",
                              "cc -g " + Source("program.c") + " -o " + program + " " +
                                  PkgConfig("--cflags --libs allocline | tr -d '\\n'")}}));
  EXPECT_THAT(Plain(program), HasSubstr("traced: 0"));
  EXPECT_THAT(Preloaded(program), HasSubstr("traced: 1"));
}

TEST_F(InstalledPrefixTest, LinksTheTracerInByPkgConfigFromCpp) {
  const std::string program = directory_ / "program";
  Expect(RunProgram({.argv = {"sh", "-c",
                              "c++ -std=c++20 -g " + Source("program.cc") + " -o " + program + " -Wl,-rpath," +
                                  prefix_ + "/lib " + PkgConfig("--cflags --libs allocline-tracer | tr -d '\\n'")}}));
  EXPECT_THAT(Plain(program), HasSubstr("traced: 1"));
  EXPECT_EQ(CountRecordings(), 1);
}

}  // namespace
}  // namespace allocline::testing
