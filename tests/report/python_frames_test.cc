// Frames of Python in a recording, as a report shows them.
#include "report/python_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "report/load_profile.h"
#include "report/statistics.h"
#include "report/traceback.h"
#include "tests/report/recordings.h"
#include "tests/report/traces.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kProgram = 0x555500000000, kLibrary = 0x7f0000000000;

// A code object whose instructions at 0, 2, 4, ... are on the lines 10, 11, 12, ..., and those from 20 on on none.
RecordedCode Code(const std::string& file, const std::string& name) {
  RecordedCode code{.first_line = 9, .line_table_kind = format::LineTableKind::kLineTable, .file = file, .name = name};
  for (int i = 0; i < 10; ++i) code.line_table += std::string("\x02\x01", 2);
  code.line_table += std::string("\x10\x80", 2);
  return code;
}

format::Frame At(uint64_t code, uint64_t offset) {
  return format::MakeVirtualFrame(format::VirtualKind::kPython, format::PythonPayload(code, offset));
}
constexpr format::Frame kPythonDomain = format::MakeVirtualFrame(format::VirtualKind::kDomain, format::kDomainPython);

class PythonFramesTest : public ::testing::Test {
 protected:
  PythonFramesTest() : run_(kProgram, kLibrary), thread_(run_.AddThread("main", 1)) {}

  uint64_t AddCode(const std::string& file, const std::string& name) {
    return run_.builder().AddCode(Code(file, name));
  }
  void Count(const std::vector<format::Frame>& stack) { run_.Count(thread_, stack, {100, 1, 0, 0}); }
  Profile Load() { return LoadProfile(run_.Build(), nullptr, {}).value(); }
  // FILE:LINE FUNCTION [MODULE], most recent first, of the only site.
  std::vector<std::string> Frames() {
    const Profile profile = Load();
    EXPECT_EQ(profile.sites().size(), 1u);
    std::vector<std::string> frames;
    for (LocationId id : profile.stacks().Frames(profile.sites()[0].stack)) {
      const Location& location = profile.stacks().locations()[id];
      frames.push_back(std::string(location.where) + ":" + std::to_string(location.line) + " " +
                       std::string(location.function) + " [" + std::string(location.module) + "]");
    }
    return frames;
  }

  FakeRun run_;
  const size_t thread_;
};

TEST_F(PythonFramesTest, AFrameIsAtTheLineOfItsOwnInstruction) {
  const uint64_t fetch = AddCode("/app/connector.py", "Connector.fetch"), main = AddCode("/app/main.py", "<module>");
  Count({At(fetch, 6), At(main, 0), kPythonDomain});
  EXPECT_THAT(Frames(), ElementsAre("/app/connector.py:13 Connector.fetch [/app/connector.py]",
                                    "/app/main.py:10 <module> [/app/main.py]"));
  EXPECT_EQ(Load().sites()[0].domain, format::kDomainPython);
}

TEST_F(PythonFramesTest, ManyFramesOfOneCodeAreEachAtTheirOwnLine) {
  const uint64_t code = AddCode("/app/connector.py", "f");
  AddCode("/app/other.py", "g");
  for (uint64_t offset : {18, 0, 4, 4, 6, 2}) Count({At(code, offset), kPythonDomain});
  std::vector<uint32_t> lines;
  const Profile profile = Load();
  for (const Site& site : profile.sites()) lines.push_back(profile.stacks().Innermost(site.stack).line);
  EXPECT_THAT(lines, ::testing::UnorderedElementsAre(19, 10, 12, 13, 11));
}

TEST_F(PythonFramesTest, AnInstructionOnNoLineIsOnLineZeroAsForTracemalloc) {
  Count({At(AddCode("/app/connector.py", "f"), 24), kPythonDomain});
  EXPECT_THAT(Frames(), ElementsAre("/app/connector.py:0 f [/app/connector.py]"));
}

TEST_F(PythonFramesTest, AFrameThatHasNotBegunIsOnItsFunctionsLine) {
  Count({At(AddCode("/app/connector.py", "f"), format::kNoCodeOffset), kPythonDomain});
  EXPECT_THAT(Frames(), ElementsAre("/app/connector.py:9 f [/app/connector.py]"));
}

TEST_F(PythonFramesTest, TextAndFrozenCodeKeepTheirNames) {
  const uint64_t text = AddCode("<string>", "<module>"), frozen = AddCode("<frozen runpy>", "_run_code");
  Count({At(text, 0), At(frozen, 2), kPythonDomain});
  EXPECT_THAT(Frames(), ElementsAre("<string>:10 <module> [<string>]", "<frozen runpy>:11 _run_code [<frozen runpy>]"));
}

TEST_F(PythonFramesTest, CodeThatIsMissingIsSaidToBe) {
  Count({At(1000, 0), kPythonDomain});
  EXPECT_THAT(Frames(), ElementsAre("[code of Python that is missing]:0  []"));
}

TEST_F(PythonFramesTest, NativeFramesStandInsideTheLineThatCalledThem) {
  const uint64_t pandas = AddCode("/usr/lib/python3/dist-packages/pandas/core/frame.py", "DataFrame.append");
  const uint64_t connector = AddCode("/srv/app/connector.py", "update");
  Count({run_.InLibrary(0x40), At(pandas, 0), At(connector, 2), run_.InProgram(0x10)});
  EXPECT_THAT(Frames(),
              ElementsAre("libdb.so+0x40:0  [/app/libdb.so]",
                          "/usr/lib/python3/dist-packages/pandas/core/frame.py:10 DataFrame.append "
                          "[/usr/lib/python3/dist-packages/pandas]",
                          "/srv/app/connector.py:11 update [/srv/app/connector.py]", "prog+0x10:0  [/app/prog]"));
  const Profile profile = Load();
  EXPECT_EQ(profile.stacks().UserLine(profile.sites()[0].stack).where, "/srv/app/connector.py");
  EXPECT_EQ(profile.sites()[0].domain, format::kDomainMalloc);
}

TEST_F(PythonFramesTest, ARelativeNameIsCompletedWhereThatLeadsToAFile) {
  const std::string directory = ::testing::TempDir() + "allocline_python_" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/connector.py") << "import json\n\n\n\n\n\n\n\n\n  rows.append(row)\n";
  strcpy(run_.builder().header().directory, directory.c_str());
  Count({At(AddCode("./connector.py", "f"), 0), At(AddCode("gone.py", "g"), 0), kPythonDomain});
  EXPECT_THAT(Frames(),
              ElementsAre(directory + "/connector.py:10 f [" + directory + "/connector.py]", "gone.py:10 g [gone.py]"));
  const Profile profile = Load();
  EXPECT_THAT(Traceback(profile.stacks(), profile.sites()[0].stack).Format(),
              ElementsAre("  File \"gone.py\", line 10", "  File \"" + directory + "/connector.py\", line 10",
                          "    rows.append(row)"));
  std::filesystem::remove_all(directory);
}

TEST_F(PythonFramesTest, TheLineGroupsAreWhatTracemallocWouldPrint) {
  const uint64_t code = AddCode("/app/connector.py", "f"), main = AddCode("/app/main.py", "<module>");
  Count({At(code, 0), At(main, 0), kPythonDomain});
  Count({At(code, 0), At(main, 2), kPythonDomain});
  Count({At(main, 4), kPythonDomain});
  const Profile profile = Load();
  EXPECT_THAT(Texts(ComputeStatistics(profile, {.line_of = LineOf::kInnermost}).value()),
              ElementsAre("/app/connector.py:10: size=200 B, count=2, average=100 B",
                          "/app/main.py:12: size=100 B, count=1, average=100 B"));
}

}  // namespace
}  // namespace allocline
