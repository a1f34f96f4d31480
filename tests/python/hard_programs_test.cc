// What hard_programs.py does, and programs that hold an interpreter in odd ways or something that looks like one:
// traced and untraced they print the same and end the same way, in time; their recordings can be read, and make sense.
// A version of CPython that is not here is named by the test it skips.
//
// ALLOCLINE_TEST_SCALE: how many times longer than usual each program runs (./dev soak).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/e2e/unharmed.h"
#include "tests/support/paths.h"
#include "tests/support/pythons.h"
#include "tests/support/record.h"

namespace allocline::testing {
namespace {

using ::testing::HasSubstr;
using Environment = std::map<std::string, std::string>;
using Words = std::vector<std::string>;

const std::string& Script() {
  static const std::string path = SourceDir() + "/tests/python/hard_programs.py";
  return path;
}

std::string Scale() {
  const char* scale = getenv("ALLOCLINE_TEST_SCALE");
  return scale == nullptr ? "1" : scale;
}

int LineOfKeep() {
  std::ifstream file(Script());
  int number = 1;
  for (std::string line; std::getline(file, line); ++number) {
    if (line.ends_with("# keeps")) return number;
  }
  return 0;
}

struct PythonLine {
  std::string file;
  int line = 0;
  int64_t live_bytes = 0;
  uint64_t total_bytes = 0, total_blocks = 0;
};

// What holds most first.
std::vector<PythonLine> LinesOf(const RecordedProcess& process, LineOf line_of = LineOf::kUser) {
  const Profile profile = process.Load();
  std::map<std::pair<std::string, int>, PythonLine> sums;
  for (const Site& site : profile.sites()) {
    const StackTable& stacks = profile.stacks();
    const Location& where = line_of == LineOf::kUser ? stacks.UserLine(site.stack) : stacks.Innermost(site.stack);
    PythonLine& sum = sums[{std::string(where.file), static_cast<int>(where.line)}];
    sum.file = where.file;
    sum.line = static_cast<int>(where.line);
    sum.live_bytes += site.live_bytes;
    sum.total_bytes += site.total_bytes;
    sum.total_blocks += site.total_blocks;
  }
  std::vector<PythonLine> lines;
  for (const auto& [key, line] : sums) lines.push_back(line);
  std::sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.live_bytes > b.live_bytes; });
  return lines;
}

PythonLine LineIn(const RecordedProcess& process, const std::string& file, int line, LineOf line_of = LineOf::kUser) {
  for (const PythonLine& candidate : LinesOf(process, line_of)) {
    if (candidate.file.ends_with(file) && candidate.line == line) return candidate;
  }
  return {};
}

uint32_t StateOf(const RecordedProcess& process) { return process.recording().header().python_state; }

// No site gives back more than was taken from it.
void ExpectSane(const RecordedProcess& process) {
  SCOPED_TRACE(process.file_name());
  const std::vector<SiteCounters> sites = process.recording().Counters();
  for (uint32_t site = 0; site < sites.size(); ++site) {
    if (site == format::kOverflowSite) continue;
    EXPECT_GE(sites[site].live_bytes(), 0) << "site " << site;
    EXPECT_GE(sites[site].live_blocks(), 0) << "site " << site;
  }
  EXPECT_EQ(StateOf(process) & format::kPythonBadLayout, 0);
  process.Load();
}

Recorded RunBothWays(Command command, const Environment& tracing = {}) {
  const Outcome untraced = RunProgram(command);
  command.env.insert(tracing.begin(), tracing.end());
  Recorded run = RecordCommand(command);
  ExpectSame(run.outcome, untraced);
  for (const RecordedProcess& process : run.processes) ExpectSane(process);
  return run;
}

// ---------------------------------------------------------------- hard_programs.py

Environment WithPackage(Environment env) {
  env["PYTHONPATH"] = SourceDir() + "/python";
  return env;
}

Recorded RunHardProgram(const Python& python, const std::string& name, const Environment& env = {},
                        const Environment& tracing = {}) {
  SCOPED_TRACE(fmt::format("{} {}", python.path, name));
  Recorded run = RunBothWays({.argv = {python.path, "-B", "-W", "ignore", Script(), name, Scale()},
                              .env = WithPackage(env),
                              .time_limit = std::chrono::seconds(120)},
                             tracing);
  EXPECT_NE(StateOf(run.main()) & format::kPythonTraced, 0);
  return run;
}

// A tuple, a str and a bytearray of 200 bytes each row, in two blocks.
constexpr uint64_t kRows = 4000, kBlocksOfRow = 4, kLeastBytesOfRow = 300;

void ExpectKept(const RecordedProcess& process) {
  const PythonLine line = LineIn(process, "hard_programs.py", LineOfKeep());
  EXPECT_GE(line.total_blocks, kRows * kBlocksOfRow) << process.file_name();
  EXPECT_GE(line.total_bytes, kRows * kLeastBytesOfRow) << process.file_name();
}

class HardProgramTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    pythons_ = PythonsOf(GetParam());
    if (pythons_.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
  }
  void RunAll(const Words& names, const Environment& env = {}, const Environment& tracing = {}) {
    for (const Python& python : pythons_) {
      for (const std::string& name : names) RunHardProgram(python, name, env, tracing);
    }
  }
  void RunAllThatKeep(const Words& names, const Environment& env = {}) {
    for (const Python& python : pythons_) {
      for (const std::string& name : names) ExpectKept(RunHardProgram(python, name, env).main());
    }
  }

  std::vector<Python> pythons_;
};

INSTANTIATE_TEST_SUITE_P(Python3, HardProgramTest, ::testing::Range(kFirstPythonMinor, kLastPythonMinor + 1),
                         [](const auto& test) { return fmt::format("_{}", test.param); });

TEST_P(HardProgramTest, CodeWithGarbageForALineTableAndAbsurdNames) { RunAll({"odd_code"}); }

TEST_P(HardProgramTest, WorkersOfEveryStartMethod) {
  for (const Python& python : pythons_) {
    for (const char* method : {"fork", "spawn", "forkserver"}) {
      const Recorded run = RunHardProgram(python, fmt::format("multiprocessing_{}", method));
      // Workers are ended by their parent: but for those that never ran, each has kept its rows.
      EXPECT_GE(run.processes.size(), 3) << method;
      EXPECT_TRUE(std::any_of(run.processes.begin(), run.processes.end(), [&](const RecordedProcess& process) {
        return process.pid() != run.main().pid() &&
               LineIn(process, "hard_programs.py", LineOfKeep()).total_blocks >= kRows * kBlocksOfRow;
      })) << method;
    }
  }
}

TEST_P(HardProgramTest, AnInterpreterReplacesItselfByOthers) {
  for (const Python& python : pythons_) {
    std::string others;
    size_t count = 1;
    for (int minor = kFirstPythonMinor; minor <= kLastPythonMinor; ++minor) {
      for (const Python& other : PythonsOf(minor)) {
        if (count == 3) break;
        others += (others.empty() ? "" : ":") + other.path;
        ++count;
      }
    }
    const Recorded run = RunHardProgram(python, "exec_other", {{"OTHERS", others}});
    EXPECT_EQ(run.processes.size(), count);
    for (const RecordedProcess& process : run.processes) {
      EXPECT_NE(process.recording().header().python_version, 0);
      ExpectKept(process);
    }
  }
}

TEST_P(HardProgramTest, FramesAreNotWhereTheyWere) {
  RunAll({"subinterpreters_in_threads", "generators_over_threads", "greenlets"});
  RunAllThatKeep({"recursion"});
}

TEST_P(HardProgramTest, SignalsAndCallsFromCInterrupt) {
  RunAll({"signals"});
  RunAllThatKeep({"callbacks"});
}

TEST_P(HardProgramTest, TheProgramTracesOrReplacesItsAllocators) {
  RunAllThatKeep({"traces_itself", "sets_allocators"});
  RunAllThatKeep({"traces_itself"}, {{"PYTHONMALLOC", "debug"}, {"PYTHONTRACEMALLOC", "1"}});
}

TEST_P(HardProgramTest, RecordingStartsAndStops) {
  RunAllThatKeep({"starts_and_stops"});
  for (const Python& python : pythons_) {
    ExpectKept(RunHardProgram(python, "starts_and_stops", {}, {{"ALLOCLINE_START", "0"}}).main());
  }
}

TEST_P(HardProgramTest, WhatAccumulatesLeadsInWhatIsLeftOfAProcess) {
  for (const Python& python : pythons_) {
    for (const char* name : {"killed", "leaves"}) {
      const Recorded run = RunHardProgram(python, name);
      const std::vector<PythonLine> lines = LinesOf(run.main());
      EXPECT_THAT(lines.front().file, HasSubstr("hard_programs.py")) << name;
      EXPECT_EQ(lines.front().line, LineOfKeep()) << name;
      EXPECT_GE(lines.front().live_bytes, static_cast<int64_t>(kRows * kLeastBytesOfRow)) << name;
    }
  }
}

TEST_P(HardProgramTest, TheEndOfAThreadAndAnErrorEndTheProcess) { RunAllThatKeep({"exits_in_a_thread"}); }

TEST_P(HardProgramTest, MuchIsDoneWhenTheInterpreterHasBegunToEnd) { RunAllThatKeep({"works_at_exit"}); }

TEST_P(HardProgramTest, InEveryModeOfTheTracer) {
  RunAll({"odd_code", "callbacks"}, {}, {{"ALLOCLINE_SAMPLE", "4K"}});
  RunAll({"odd_code", "callbacks"}, {}, {{"ALLOCLINE_TRACER_MEMORY", "1M"}});
  for (const Python& python : pythons_) {
    for (const char* name : {"callbacks", "generators_over_threads"}) {
      const Recorded run = RunHardProgram(python, name, {}, {{"ALLOCLINE_VERIFY", "1"}});
      EXPECT_GT(run.main().recording().header().verified_stacks, 100) << name;
      EXPECT_EQ(run.main().recording().header().different_stacks, 0) << name;
    }
  }
}

// ---------------------------------------------------------------- interpreters held by C programs

// "" if the interpreter's library is not there for itself.
std::string LibraryOf(const Python& python) {
  const std::filesystem::path prefix = std::filesystem::path(python.path).parent_path().parent_path();
  const std::string path = (prefix / "lib" / fmt::format("libpython3.{}.so.1.0", python.minor)).string();
  return std::filesystem::exists(path) ? path : "";
}

std::vector<std::string> LibrariesOf(int minor) {
  std::vector<std::string> libraries;
  for (const Python& python : PythonsOf(minor)) {
    if (const std::string library = LibraryOf(python); !library.empty()) libraries.push_back(library);
  }
  return libraries;
}

class EmbeddedPythonTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    libraries_ = LibrariesOf(GetParam());
    if (libraries_.empty()) GTEST_SKIP() << "no library of CPython 3." << GetParam() << " on this machine";
  }
  static Recorded Embed(const std::string& how, const Words& libraries) {
    SCOPED_TRACE(fmt::format("{} {}", how, fmt::join(libraries, " ")));
    Command command = {.argv = {TrapPath("embeds_python"), how}};
    command.argv.insert(command.argv.end(), libraries.begin(), libraries.end());
    Recorded run = RunBothWays(command);
    EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
    EXPECT_NE(StateOf(run.main()) & format::kPythonTraced, 0);
    EXPECT_GE(BlocksKept(run), kKeptByARun * RunsOf(how));
    EXPECT_LE(BlocksKept(run), kKeptByARun * RunsOf(how) * 5 / 4);
    return run;
  }
  // By line 3 of the code that the program runs, or native code called from there.
  static uint64_t BlocksKept(const Recorded& run, bool only_pythons = false) {
    const Profile profile = run.main().Load();
    const StackTable& stacks = profile.stacks();
    uint64_t blocks = 0;
    for (const Site& site : profile.sites()) {
      if (only_pythons && site.domain != format::kDomainPython) continue;
      for (const LocationId frame : stacks.Frames(site.stack)) {
        const Location& location = stacks.locations()[frame];
        if (!location.python) continue;
        if (location.file.ends_with("<string>") && location.line == 3) blocks += site.total_blocks;
        break;
      }
    }
    return blocks;
  }
  // How often the code runs in the first interpreter.
  static uint64_t RunsOf(const std::string& how) {
    if (how == "again") return 10;
    if (how == "pool" || how == "maps") return 7;  // one of 8 may have begun before it was noticed
    return how == "wrapped" || how == "replaced" || how == "pooled" ? 6 : how == "two" ? 3 : 2;
  }
  static constexpr uint64_t kKeptByARun = 12000;

  std::vector<std::string> libraries_;
};

INSTANTIATE_TEST_SUITE_P(Python3, EmbeddedPythonTest, ::testing::Range(kFirstPythonMinor, kLastPythonMinor + 1),
                         [](const auto& test) { return fmt::format("_{}", test.param); });

TEST_P(EmbeddedPythonTest, LoadedByTheProgram) {
  for (const std::string& library : libraries_) {
    for (const char* how : {"local", "global"}) {
      const Recorded run = Embed(how, {library});
      // The loader allocates the thread state of 3.12 and later when we first look at it: no signal handler does.
      EXPECT_EQ(run.main().recording().header().nested_events, 0) << how;
    }
  }
}

TEST_P(EmbeddedPythonTest, InitialisedAndFinalisedAgainAndAgain) {
  for (const std::string& library : libraries_) Embed("again", {library});
}

TEST_P(EmbeddedPythonTest, WithAllocatorsOfTheProgramBelowAndAboveOurs) {
  for (const std::string& library : libraries_) {
    for (const char* how : {"own_allocators", "wrapped"}) Embed(how, {library});
  }
}

TEST_P(EmbeddedPythonTest, WithAllocatorsThatTheProgramPutsInPlaceInTheMiddle) {
  for (const std::string& library : libraries_) {
    for (const char* how : {"replaced", "pooled"}) {
      const Recorded run = Embed(how, {library});
      SCOPED_TRACE(fmt::format("{} {}", how, library));
      // Until that is noticed the blocks are those of malloc. At the end they are Python's again.
      EXPECT_NE(StateOf(run.main()) & format::kPythonHooksReplaced, 0);
      const Outcome top = RunProgram({.argv = {CliPath(), "top", run.main().recording().path()}});
      EXPECT_THAT(top.out, HasSubstr("Python's allocators were replaced"));
      EXPECT_GE(BlocksKept(run, /*only_pythons=*/true), kKeptByARun * 3);
    }
  }
}

TEST_P(EmbeddedPythonTest, WithAPoolOfTheProgramThatLetsNothingThroughToMalloc) {
  for (const std::string& library : libraries_) {
    for (const char* how : {"pool", "maps"}) {
      const Recorded run = Embed(how, {library});
      SCOPED_TRACE(fmt::format("{} {}", how, library));
      EXPECT_NE(StateOf(run.main()) & format::kPythonHooksReplaced, 0);
      EXPECT_GE(BlocksKept(run, /*only_pythons=*/true), kKeptByARun * RunsOf(how));
    }
  }
}

TEST_P(EmbeddedPythonTest, CodesThatDieUnderHeadersOfAnAllocatorOnTopKeepTheirLines) {
  for (const std::string& library : libraries_) {
    for (const char* how : {"debug_hooks", "headed"}) {
      SCOPED_TRACE(fmt::format("{} {}", how, library));
      const Recorded run = RunBothWays({.argv = {TrapPath("embeds_python"), how, library}});
      EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending() << run.outcome.err;
      for (int i = 0; i < 7; ++i) {
        const PythonLine line = LineIn(run.main(), fmt::format("<generated {}>", i), i + 1);
        EXPECT_GE(line.total_bytes, 40 * (1000 + 1000 * i)) << i;
        EXPECT_LE(line.total_bytes, 40 * (1500 + 1000 * i)) << i;
      }
    }
  }
}

TEST_P(EmbeddedPythonTest, OfTwoInOneProcessTheFirstHasLines) {
  const int other_minor = GetParam() == 11 ? 10 : 11;
  const std::vector<std::string> others = LibrariesOf(other_minor);
  if (others.empty()) GTEST_SKIP() << "no library of CPython 3." << other_minor << " on this machine";
  for (const std::string& library : libraries_) {
    Command command = {.argv = {TrapPath("embeds_python"), "two", library, others.front()}};
    const Outcome untraced = RunProgram(command);
    Recorded run = RecordCommand(command);
    EXPECT_EQ(run.outcome.Ending(), untraced.Ending());
    EXPECT_EQ(run.outcome.out, untraced.out);
    EXPECT_THAT(run.outcome.err, IsOneLine());
    EXPECT_THAT(run.outcome.err, HasSubstr("allocline: a second Python was loaded"));
    ExpectSane(run.main());
    EXPECT_EQ(StateOf(run.main()), format::kPythonTraced | format::kPythonSecondRuntime);
    EXPECT_GE(BlocksKept(run), kKeptByARun * 3);
  }
}

// ---------------------------------------------------------------- what only looks like an interpreter

struct Fake {
  std::string name, version, frames;
  uint32_t state;
  std::string said;  // on standard error, in one line
  std::string library = "lib_fake_python.so";
  friend std::ostream& operator<<(std::ostream& out, const Fake& fake) { return out << fake.name; }
};

class FakePythonTest : public ::testing::TestWithParam<Fake> {};

INSTANTIATE_TEST_SUITE_P(
    All, FakePythonTest,
    ::testing::Values(
        Fake{"UnknownMinor", "3.99.0 (main)", "", format::kPythonUnknownVersion, "Python 3.99 cannot be read"},
        Fake{"Old", "3.7.16", "", format::kPythonUnknownVersion, "Python 3.7 cannot be read"},
        Fake{"VeryOld", "2.7.18", "", format::kPythonUnknownVersion, "Python 2.7 cannot be read"},
        Fake{"FreeThreaded", "3.13.0 experimental free-threading build", "", format::kPythonFreeThreaded,
             "Python 3.13, a build without the GIL, cannot be read"},
        Fake{"OtherOffsets", "3.14.0", "", format::kPythonBadLayout, "Python 3.14 is not built as others"},
        Fake{"NoVersion", "no number", "", format::kPythonUnknownVersion,
             "this Python, which does not tell its version, cannot be read"},
        Fake{"NoText", "null", "", format::kPythonUnknownVersion,
             "this Python, which does not tell its version, cannot be read"},
        Fake{"PyPy", "", "", format::kPythonIsPyPy, "PyPy cannot be read (CPython 3.8", "lib_fake_pypy.so"}),
    [](const auto& test) { return test.param.name; });

void ExpectNativeLinesOnly(const Fake& fake) {
  const RecordOptions options = {.args = {fake.library},
                                 .env = {{"FAKE_VERSION", fake.version}, {"FAKE_FRAMES", fake.frames}}};
  const Outcome untraced = RunUntraced("traps/runs_fake_python", options);
  const Recorded run = Record("traps/runs_fake_python", options);
  EXPECT_EQ(run.outcome.Ending(), untraced.Ending());
  EXPECT_EQ(run.outcome.out, untraced.out);
  EXPECT_THAT(run.outcome.err, IsOneLine());
  EXPECT_THAT(run.outcome.err, HasSubstr(fake.said));
  EXPECT_EQ(StateOf(run.main()) & ~format::kPythonTraced, fake.state);
  EXPECT_EQ(run.main().At("held"), run.truth.at("held"));
  const Outcome info = RunProgram({.argv = {CliPath(), "info", run.main().recording().path()}});
  EXPECT_THAT(info.out, HasSubstr("python:"));
  EXPECT_THAT(info.out, HasSubstr("only native lines are recorded"));
}

TEST_P(FakePythonTest, IsRefusedInOneLineAndNativeLinesGoOn) { ExpectNativeLinesOnly(GetParam()); }

TEST(FakePythonFramesTest, ThatAreNoneAreLookedAtWithCareAndRefused) {
  for (const char* version : {"3.8.1", "3.9.1", "3.10.1", "3.11.1", "3.12.1", "3.13.0"}) {
    for (const char* frames : {"small", "wild", "text", "endless", "objects"}) {
      SCOPED_TRACE(fmt::format("{} {}", version, frames));
      const RecordOptions options = {.env = {{"FAKE_VERSION", version}, {"FAKE_FRAMES", frames}}};
      const Recorded run = Record("traps/runs_fake_python", options);
      EXPECT_TRUE(run.outcome.ok()) << run.outcome.Ending();
      EXPECT_THAT(run.outcome.err, IsOneLine());
      EXPECT_THAT(run.outcome.err, HasSubstr("is not built as others of that version"));
      EXPECT_EQ(StateOf(run.main()), format::kPythonTraced | format::kPythonBadLayout);
      EXPECT_EQ(run.main().At("held"), run.truth.at("held"));
    }
  }
}

}  // namespace
}  // namespace allocline::testing
