// Where the frames of Python stand in the stacks of native memory, on every CPython of this machine; and an interpreter
// that a program loads when it runs already.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"
#include "tests/support/record.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

using ::testing::AnyOf;
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

// What deep_stacks.py leaves: of a stack of so many frames all are kept, or of a deeper one the innermost.
class DeepRecursion {
 public:
  DeepRecursion(const Python& python, uint64_t depth)
      : run_(RecordCommand({.argv = {python.path, "-B", Script(), std::to_string(depth)}})),
        is_native_whole_(python.minor >= 11),  // before, each frame of Python has native ones
        depth_(depth) {
    EXPECT_EQ(run_.outcome.out, "at the bottom\n") << run_.outcome.err;
    const uint32_t line = LineThatHolds();
    const Profile profile = run_.main().Load();
    for (const Site& site : profile.sites()) Add(profile.stacks(), site, line);
    const Words native = StackOf(profile, 7'000'001);
    if (native.size() > 5) innermost_of_native_.assign(native.end() - 5, native.end());
  }
  void ExpectWhole() const {
    ExpectBlocks();
    EXPECT_GT(most_dives_, depth_ - 20);
    EXPECT_EQ(cut_, 0u);
    EXPECT_EQ(native_.dives, depth_);
    EXPECT_EQ(native_.is_cut, !is_native_whole_);
    ExpectNativeBlock();
  }
  void ExpectCut() const {
    ExpectBlocks();
    EXPECT_GT(cut_, 0u);
    EXPECT_GE(fewest_of_cut_, 1000u);
    EXPECT_GE(most_dives_, 2000u) << "what was less deep is whole";
    EXPECT_GE(native_.dives, 1000u);
    EXPECT_TRUE(native_.is_cut);
    ExpectNativeBlock();
  }

 private:
  static constexpr uint64_t kBlock = 633;  // of bytes(600)
  struct Stack {
    size_t dives = 0;  // frames of dive()
    bool is_cut = false;
  };

  static std::string Script() { return SourceDir() + "/tests/python/deep_stacks.py"; }
  static uint32_t LineThatHolds() {
    std::istringstream lines(ReadFile(Script()));
    uint32_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      if (line.find("bytes(600)") != std::string::npos) return number;
    }
    return 0;
  }
  static Stack StackAt(const StackTable& stacks, const Site& site) {
    Stack stack;
    for (const LocationId id : stacks.Frames(site.stack)) {
      const Location& location = stacks.locations()[id];
      stack.dives += location.python && location.function.ends_with("dive") ? 1 : 0;
      stack.is_cut = location.where == "[callers unknown: more than 1000 frames]";  // the outermost counts
    }
    return stack;
  }

  void Add(const StackTable& stacks, const Site& site, uint32_t line) {
    if (site.live_bytes == 7'000'001) native_ = StackAt(stacks, site);
    const Location& innermost = stacks.Innermost(site.stack);
    if (innermost.line != line || !innermost.function.ends_with("dive")) return;
    blocks_ += site.total_blocks;
    live_bytes_ += static_cast<uint64_t>(site.live_bytes);
    if (++sites_ % 8 != 0) return;  // they are long
    const Stack stack = StackAt(stacks, site);
    most_dives_ = std::max(most_dives_, stack.dives);
    if (!stack.is_cut) return;
    ++cut_;
    fewest_of_cut_ = std::min(fewest_of_cut_, stack.dives);
  }
  // The first frames of a code take some more, up to 3.10.
  void ExpectBlocks() const {
    EXPECT_GE(blocks_, 2 * depth_);
    EXPECT_LE(blocks_, 2 * depth_ + 4);
    EXPECT_GE(live_bytes_, depth_ * kBlock);
    EXPECT_LE(live_bytes_, depth_ * kBlock + 4000);
  }
  // C stands further in than all Python, and between two calls of it.
  void ExpectNativeBlock() const {
    Words innermost;
    for (const std::string& word : innermost_of_native_) innermost.push_back(Plain(word));
    EXPECT_THAT(innermost, AnyOf(ElementsAre("dive", "bottom", "native", "hold", "native"),
                                 ElementsAre("native", "bottom", "native", "hold", "native")));
  }

  Recorded run_;
  const bool is_native_whole_;
  const uint64_t depth_;
  uint64_t sites_ = 0, blocks_ = 0, live_bytes_ = 0;
  size_t most_dives_ = 0, cut_ = 0, fewest_of_cut_ = ~size_t{0};
  Stack native_;
  Words innermost_of_native_;
};

TEST_P(MixedStacksTest, OfADeepRecursionTheInnermostFramesAreKept) {
  for (const Python& python : pythons_) {
    SCOPED_TRACE(python.path);
    DeepRecursion(python, 1900).ExpectWhole();
    DeepRecursion(python, 5000).ExpectCut();
    DeepRecursion(python, 20000).ExpectCut();
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
