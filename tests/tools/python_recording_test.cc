// The commands over a recording of a Python program, made up so that every figure is known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "recording/builder.h"
#include "tests/tools/cli.h"

namespace allocline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr format::Frame kPythonDomain = format::MakeVirtualFrame(format::VirtualKind::kDomain, format::kDomainPython);
constexpr format::Frame kMmapDomain = format::MakeVirtualFrame(format::VirtualKind::kDomain, format::kDomainMmap);

// connector.py calls pandas, whose extension takes memory natively; both make objects, too.
class PythonRecordingTest : public ::testing::Test {
 protected:
  PythonRecordingTest() {
    directory_.WriteFile("connector.py", "import pandas\nrows = []\nfor i in range(9):\n    rows.append(fetch(i))\n");
    format::FileHeader& header = builder_.header();
    header.pid = 4711;
    header.python_version = 0x030b02f0;
    header.python_state = format::kPythonTraced;
    header.python_arena_bytes = 1 << 20;
    strcpy(header.program, "/usr/bin/python3.11");
    strcpy(header.python_runtime, "/usr/bin/python3.11");
    strcpy(header.directory, directory_.path().c_str());
    builder_.AddModule({.start = 0x1000, .end = 0x2000, .path = "/usr/bin/python3.11"});
    builder_.AddModule({.start = 0x3000, .end = 0x4000, .path = "/v/lib/python3.11/site-packages/pandas/_lib.so"});
    main_ = Code("connector.py", "<module>");
    pandas_ = Code("/v/lib/python3.11/site-packages/pandas/frame.py", "DataFrame.append");
    thread_ =
        builder_.AddThread({.tid = 4711, .threads_served = 1, .name = "python3", .python_small_bytes = 600 << 10});
    Count({At(main_, 3), kPythonDomain}, 1000);
    builder_.AddSnapshotOfNow({.label = "before fetch"});
    Count({At(pandas_, 2), At(main_, 4), kPythonDomain}, 500'000);
    Count({0x3100, At(pandas_, 2), At(main_, 4), 0x1200}, 300'000);
    Count({0x1300, 0x1200}, 100);
    Count({0x3200, At(main_, 4), kMmapDomain}, 4096);
    builder_.AddSnapshotOfNow({.label = "after fetch"});
  }

  // Instruction 2 * N is on line N.
  uint64_t Code(const std::string& file, const std::string& name) {
    std::string table;
    for (int i = 0; i < 10; ++i) table += std::string("\x02\x01", 2);
    return builder_.AddCode({.first_line = -1,
                             .line_table_kind = format::LineTableKind::kLineTable,
                             .file = file,
                             .name = name,
                             .line_table = table});
  }
  static format::Frame At(uint64_t code, uint64_t line) {
    return format::MakeVirtualFrame(format::VirtualKind::kPython, format::PythonPayload(code, 2 * line));
  }
  void Count(const std::vector<format::Frame>& stack, uint64_t bytes) {
    builder_.AddCounters(thread_, builder_.AddSite(stack), {bytes, 1, 0, 0});
  }
  std::string Write() {
    EXPECT_TRUE(builder_.WriteFile(directory_ / "recording", /*replace=*/true).ok());
    return directory_ / "recording";
  }
  std::string Run(Words words) {
    const Outcome outcome = Allocline(std::move(words));
    EXPECT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
    return outcome.out;
  }

  TempDir directory_;
  RecordingBuilder builder_;
  uint64_t main_ = 0, pandas_ = 0;
  size_t thread_ = 0;
};

TEST_F(PythonRecordingTest, WhatPandasHoldsStandsAtTheLineThatCallsIt) {
  const std::string text = Run({"top", Write()});
  EXPECT_THAT(text, HasSubstr("domains:  python 489 KiB, malloc 293 KiB, mmap 4096 B\n"
                              "python:   3.11.2, pymalloc: 1024 KiB in arenas, 600 KiB live in them, 424 KiB slack\n"));
  EXPECT_THAT(text, HasSubstr("\n\nconnector.py:4: size=785 KiB, count=3, average=262 KiB\n"
                              "connector.py:3: size=1000 B, count=1, average=1000 B\n"
                              "python3.11+0x12ff: size=100 B, count=1, average=100 B\n"));
}

TEST_F(PythonRecordingTest, TheInnermostLineIsTracemallocsForWhatItSees) {
  const std::string file = directory_ / "connector.py";
  EXPECT_EQ(Run({"top", Write(), "--innermost", "--domain", "python", "--format", "tracemalloc"}),
            "/v/lib/python3.11/site-packages/pandas/frame.py:2: size=488 KiB, count=1, average=488 KiB\n" + file +
                ":3: size=1000 B, count=1, average=1000 B\n");
  EXPECT_THAT(Run({"top", Write(), "--innermost"}),
              AllOf(HasSubstr("frame.py:2: size=488 KiB"), HasSubstr("_lib.so+0x30ff: size=293 KiB")));
}

TEST_F(PythonRecordingTest, DomainsAreChosenByName) {
  const std::string recording = Write();
  EXPECT_THAT(Run({"top", recording, "--domain", "malloc"}), HasSubstr("\n\nconnector.py:4: size=293 KiB, count=1"));
  EXPECT_THAT(Run({"top", recording, "--domain", "mmap", "--domain", "malloc"}),
              HasSubstr("\n\nconnector.py:4: size=297 KiB, count=2"));
  EXPECT_THAT(Run({"top", recording, "--domain", "python", "--filter", "connector.py:3"}),
              HasSubstr("\n\nconnector.py:3: size=1000 B, count=1, average=1000 B\n"));
  EXPECT_THAT(Run({"top", recording, "--domain", "17"}), HasSubstr("no live blocks"));
  const Outcome outcome = Allocline({"top", recording, "--domain", "heap"});
  EXPECT_EQ(ExitCodeOf(outcome), 1);
  EXPECT_THAT(outcome.err, HasSubstr("--domain \"heap\": expected python, malloc, mmap or a number"));
}

TEST_F(PythonRecordingTest, ATracebackHasPythonAndNativeFramesInTheirOrder) {
  EXPECT_THAT(Run({"top", Write(), "--by", "traceback", "--domain", "malloc", "-n", "1"}),
              HasSubstr("connector.py:4: size=293 KiB, count=1, average=293 KiB\n"
                        "    _lib.so+0x30ff\n"
                        "    DataFrame.append at frame.py:2\n"
                        "  > <module> at connector.py:4\n"
                        "    python3.11+0x11ff\n"));
}

TEST_F(PythonRecordingTest, GroupsByFileFunctionAndModuleNamePython) {
  const std::string recording = Write();
  EXPECT_THAT(Run({"top", recording, "--by", "file"}), HasSubstr("\nconnector.py: size=786 KiB, count=4"));
  EXPECT_THAT(Run({"top", recording, "--by", "function"}),
              HasSubstr("\n<module> [connector.py]: size=786 KiB, count=4"));
  EXPECT_THAT(Run({"top", recording, "--by", "module"}), HasSubstr("\nconnector.py: size=786 KiB, count=4"));
  EXPECT_THAT(Run({"top", recording, "--by", "module", "--innermost", "--domain", "python"}),
              HasSubstr("\npandas: size=488 KiB, count=1"));
  EXPECT_THAT(Run({"top", recording, "--all-frames", "--filter", "module=pandas"}),
              HasSubstr("\n\nconnector.py:4: size=781 KiB, count=2"));
  EXPECT_THAT(Run({"top", recording, "--all-frames", "--filter", "function=DataFrame.*"}),
              HasSubstr("\n\nconnector.py:4: size=781 KiB, count=2"));
}

TEST_F(PythonRecordingTest, FiltersAndTracebacksSeeNoMoreFramesThanAreAskedFor) {
  const std::string recording = Write();
  const Words command = {"top", recording, "--innermost", "--domain", "python", "--frames"};
  const auto with = [&](Words more) {
    more.insert(more.begin(), command.begin(), command.end());
    return Run(more);
  };
  EXPECT_THAT(with({"1", "--all-frames", "--filter", "connector.py"}), Not(HasSubstr("frame.py")));
  EXPECT_THAT(with({"2", "--all-frames", "--filter", "connector.py"}), HasSubstr("frame.py:2: size=488 KiB"));
  EXPECT_THAT(with({"1", "--by", "traceback"}), Not(HasSubstr("at connector.py:4")));
  EXPECT_THAT(with({"2", "--by", "traceback"}), HasSubstr("at connector.py:4"));
  EXPECT_THAT(Run({"top", recording, "--frames", "1"}), HasSubstr("\n\nconnector.py:4: size=785 KiB, count=3"))
      << "the user's line is still that";
  for (const char* bad : {"0", "-1", "65536"}) {
    const Outcome outcome = Allocline({"top", recording, "--frames", bad});
    EXPECT_EQ(ExitCodeOf(outcome), 1);
    EXPECT_THAT(outcome.err, HasSubstr("expected 1 to 65535"));
  }
}

TEST_F(PythonRecordingTest, TheDifferenceOfTwoLabelsIsLedByTheLineThatGrew) {
  const std::string recording = Write();
  EXPECT_THAT(Run({"diff", recording + "@before fetch", recording + "@after fetch"}),
              AllOf(HasSubstr("\n\nconnector.py:4: size=785 KiB (+785 KiB), count=3 (+3), average=262 KiB\n"),
                    HasSubstr("domains:  python 489 KiB (+488 KiB), malloc 293 KiB (+293 KiB), mmap 4096 B (+4096 B)\n"
                              "python:   3.11.2\n")));
}

TEST_F(PythonRecordingTest, InfoTellsOfTheInterpreter) {
  EXPECT_THAT(Run({"info", Write()}),
              HasSubstr("domains:   python 489 KiB in 2 blocks, malloc 293 KiB in 2 blocks, mmap 4096 B in 1 block\n"
                        "python:    3.11.2, pymalloc: 1024 KiB in arenas, 600 KiB live in them, 424 KiB slack\n"
                        "           /usr/bin/python3.11, 2 objects of code seen\n"));
  EXPECT_THAT(Run({"info", Write(), "--json"}), AllOf(HasSubstr("\"version\": \"3.11.2\""), HasSubstr("\"codes\": 2")));
}

TEST_F(PythonRecordingTest, WhyThereIsNoPythonIsToldByBoth) {
  builder_.header().python_state = format::kPythonFreeThreaded;
  const char* why = "of Python 3.11.2 only native lines are recorded: it is built without the GIL";
  EXPECT_THAT(Run({"top", Write()}), HasSubstr(why));
  EXPECT_THAT(Run({"top", Write(), "--json"}), AllOf(HasSubstr(why), HasSubstr("\"free_threaded\"")));
  EXPECT_THAT(Run({"info", Write()}), HasSubstr(why));
}

TEST_F(PythonRecordingTest, ASnapshotThatStandsAloneKeepsItsLinesWhereTheSourcesAreNot) {
  const std::string recording = Write(), copy = directory_ / "copy";
  EXPECT_EQ(Run({"snapshot", recording, "--label", "now", "-o", copy}), copy + "\n");
  std::filesystem::remove(directory_ / "connector.py");
  const std::string file = directory_ / "connector.py";
  EXPECT_THAT(Run({"top", copy, "--full-path"}),
              AllOf(HasSubstr("\n\n" + file + ":4: size=785 KiB, count=3"), HasSubstr("424 KiB slack")));
  EXPECT_THAT(Run({"top", copy, "--by", "traceback", "-n", "1"}), HasSubstr("    DataFrame.append at frame.py:2\n"));

  EXPECT_EQ(Run({"snapshot", recording + "@before fetch", "--label", "early", "-o", copy, "--force"}), copy + "\n");
  EXPECT_THAT(Run({"top", copy}),
              AllOf(HasSubstr("\n\nconnector.py:3: size=1000 B, count=1"), HasSubstr("python:   3.11.2\n")));
}

TEST_F(PythonRecordingTest, NoEscapeOfASourceReachesTheTerminal) {
  const uint64_t evil = Code("/app/\033]0;evil\007.py", "f\033[2J");
  Count({At(evil, 1), kPythonDomain}, 1 << 20);
  for (const char* by : {"line", "file", "function", "module", "traceback"}) {
    EXPECT_THAT(Run({"top", Write(), "--by", by}), AllOf(HasSubstr("\\x1b"), Not(HasSubstr("\033")))) << by;
  }
  EXPECT_THAT(Run({"top", Write(), "--format", "tracemalloc"}), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace allocline::testing
