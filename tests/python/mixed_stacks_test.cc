// Where the frames of Python stand in the stacks of native memory, on every CPython of this machine; and an interpreter
// that a program loads when it runs already.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

using ::testing::ElementsAre;
using Words = std::vector<std::string>;

class MixedStacksTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    pythons_ = PythonsOf(GetParam());
    if (pythons_.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
  }
  std::vector<Python> pythons_;
};

INSTANTIATE_TEST_SUITE_P(Python3, MixedStacksTest, ::testing::Range(kFirstPythonMinor, kLastPythonMinor + 1),
                         [](const auto& test) { return fmt::format("_{}", test.param); });

// The stack of the one site that holds so many bytes, outermost first: the function of a frame of Python, "native" for
// any number of native ones.
Words StackOf(const Profile& profile, uint64_t bytes) {
  for (const Site& site : profile.sites()) {
    if (site.live_bytes != static_cast<int64_t>(bytes)) continue;
    Words words;
    for (const LocationId id : profile.stacks().Frames(site.stack)) {
      const Location& location = profile.stacks().locations()[id];
      std::string word = location.python ? std::string(location.function) : "native";
      if (words.empty() || word != "native" || words.front() != word) words.insert(words.begin(), std::move(word));
    }
    return words;
  }
  return {};
}

// Plain names up to 3.10, qualified ones since.
std::string Plain(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}
Words PythonOf(const Words& stack) {
  Words python;
  for (const std::string& word : stack) {
    if (word != "native") python.push_back(Plain(word));
  }
  return python;
}

TEST_P(MixedStacksTest, FramesOfPythonStandAmongTheNativeOnesThatCallThem) {
  for (const Python& python : pythons_) {
    SCOPED_TRACE(python.path);
    Recorded run = RecordCommand({.argv = {python.path, "-B", SourceDir() + "/tests/python/mixed_stacks.py"}});
    ASSERT_EQ(run.outcome.out, "1\n") << run.outcome.err;
    const Profile profile = run.main().Load();

    const Words nested = StackOf(profile, 7'000'001);
    Words outer = PythonOf(nested);
    ASSERT_GE(outer.size(), 7u);
    EXPECT_THAT(Words(outer.end() - 5, outer.end()),
                ElementsAre("replacement", "by_key", "numbers", "__init__", "leaf"));
    EXPECT_EQ(outer[0], "<module>");
    EXPECT_EQ(outer[1], "nested");
    // ctypes stands further in than all Python; C stands between re and replacement(), and between that and by_key().
    EXPECT_EQ(nested.back(), "native");
    for (size_t i = 1; i < nested.size(); ++i) {
      if (nested[i] == "replacement" || nested[i] == "by_key") {
        EXPECT_EQ(nested[i - 1], "native") << nested[i];
      }
    }
    EXPECT_EQ(nested.front(), "native");  // main

    const Words in_thread = PythonOf(StackOf(profile, 7'000'003));
    ASSERT_GE(in_thread.size(), 3u);
    EXPECT_THAT(Words(in_thread.end() - 2, in_thread.end()), ElementsAre("in_thread", "leaf"));
    EXPECT_EQ(in_thread[0], "_bootstrap");

    Words deep = {"<module>"};
    deep.insert(deep.end(), 51, "deep");
    deep.push_back("leaf");
    EXPECT_EQ(PythonOf(StackOf(profile, 7'000'005)), deep);

    EXPECT_THAT(PythonOf(StackOf(profile, 7'000'007)), ElementsAre("<module>", "<module>", "leaf"));
  }
}

TEST_P(MixedStacksTest, AStackThatIsComeBackToIsNotTakenForWhatWasMetMeanwhile) {
  for (const Python& python : pythons_) {
    SCOPED_TRACE(python.path);
    Recorded run = RecordCommand({.argv = {python.path, "-B", SourceDir() + "/tests/python/to_and_fro.py"}});
    ASSERT_EQ(run.outcome.out, "36120\n") << run.outcome.err;
    const Profile profile = run.main().Load();
    int64_t blocks_inside = 0, bytes_inside = 0;
    for (const Site& site : profile.sites()) {
      const auto frames = profile.stacks().Frames(site.stack);
      if (std::begin(frames) == std::end(frames)) continue;
      const Location& innermost = profile.stacks().locations()[*std::begin(frames)];
      if (!innermost.python || innermost.function != "inside") continue;
      blocks_inside += site.live_blocks;
      bytes_inside += site.live_bytes;
    }
    EXPECT_EQ(blocks_inside, 80);
    EXPECT_EQ(bytes_inside, 80 * (33 + 1200));
  }
}

// Empty: this one has none.
std::string SharedLibraryOf(const Python& python) {
  const Outcome asked = RunProgram({.argv = {python.path, "-c",
                                             "import sysconfig as s; v = s.get_config_var\n"
                                             "print('%s/%s' % (v('LIBDIR'), v('INSTSONAME')), end='')"}});
  return std::filesystem::exists(asked.out) && asked.out.find(".so") != std::string::npos ? asked.out : "";
}

TEST_P(MixedStacksTest, AnInterpreterThatIsLoadedLaterIsTraced) {
  for (const Python& python : pythons_) {
    const std::string library = SharedLibraryOf(python);
    if (library.empty()) {
      fmt::print("skipped: {} has no shared library\n", python.path);
      continue;
    }
    SCOPED_TRACE(library);
    const std::string home = std::filesystem::path(python.path).parent_path().parent_path().string();
    Recorded run =
        RecordCommand({.argv = {BuildDir() + "/programs/e2e/loads_python", library}, .env = {{"PYTHONHOME", home}}});
    ASSERT_EQ(run.outcome.out, "500\n") << run.outcome.err;
    EXPECT_EQ(run.outcome.err, "");
    EXPECT_EQ(run.main().recording().header().python_state, format::kPythonTraced);
    const Profile profile = run.main().Load();
    bool found = false;
    for (const Site& site : profile.sites()) {
      if (site.live_bytes < 500 * 1033) continue;  // bytes objects of 1000, and the list of them
      const Words names = PythonOf(StackOf(profile, static_cast<uint64_t>(site.live_bytes)));
      found =
          found || (site.live_blocks >= 500 && names.size() >= 2 && names[0] == "<module>" && names[1] == "collect");
    }
    EXPECT_TRUE(found);
  }
}

TEST(SecondInterpreterTest, IsRefusedWithOneLineAndRunsOn) {
  Words libraries;
  std::string home;
  for (int minor = kFirstPythonMinor; minor <= kLastPythonMinor; ++minor) {
    for (const Python& python : PythonsOf(minor)) {
      const std::string library = SharedLibraryOf(python);
      if (library.empty()) continue;
      if (libraries.empty()) home = std::filesystem::path(python.path).parent_path().parent_path();
      libraries.push_back(library);
      break;
    }
  }
  if (libraries.size() < 2) GTEST_SKIP() << "no two shared libraries of CPython on this machine";
  Recorded run = RecordCommand(
      {.argv = {BuildDir() + "/programs/e2e/loads_python", libraries[0], libraries[1]}, .env = {{"PYTHONHOME", home}}});
  EXPECT_EQ(run.outcome.out, "500\n");
  EXPECT_EQ(run.outcome.err, "allocline: a second Python was loaded: of it only native frames are recorded.\n");
  EXPECT_EQ(run.main().recording().header().python_state, format::kPythonTraced | format::kPythonSecondRuntime);
}

}  // namespace
}  // namespace allocline::testing
