// `allocline run` in front of a program: what the program notices of it (nothing), and what it says when it cannot
// trace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/tools/cli.h"
#include "tests/tools/terminal.h"

namespace allocline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class RunTest : public ::testing::Test {
 protected:
  // allocline run -o DIRECTORY `words`
  Outcome Run(const Words& words, const Environment& environment = {}) {
    return Allocline(Join({"run", "-o", directory_.path()}, words), environment);
  }
  // The same, quietly, for a program the test talks to.
  Words RunWords(const Words& words) {
    return AlloclineWords(Join({"run", "-q", "-o", directory_.path(), "--"}, words));
  }
  static Words Join(Words first, const Words& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }
  void Executable(const std::string& name, const std::string& content) {
    chmod(directory_.WriteFile(name, content).c_str(), 0755);
  }
  std::vector<std::string> Recordings() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".allocline")) names.push_back(name);
    }
    return names;
  }

  const std::string obedient_ = CliProgram("obedient");
  TempDir directory_;
};

// ---------------------------------------------------------------- the program's own business

TEST_F(RunTest, TheExitCodeAndStdoutAreTheProgramsOwn) {
  const Outcome outcome = Run({"--", obedient_, "print", "hello", "exit", "9"});
  EXPECT_EQ(ExitCodeOf(outcome), 9);
  EXPECT_EQ(outcome.out, "hello\n");
}

TEST_F(RunTest, ASignalThatEndsTheProgramIs128AndItsNumber) {
  EXPECT_EQ(ExitCodeOf(Run({"--", obedient_, "die", "15"})), 128 + SIGTERM);
  EXPECT_EQ(ExitCodeOf(Run({"--", obedient_, "die", "9"})), 128 + SIGKILL);
}

TEST_F(RunTest, TheProgramsOptionsAreNotTakenForOurs) {
  EXPECT_EQ(Run({"-q", "--", "/bin/echo", "--", "-n", "--json", "top"}).out, "-- -n --json top\n");
  EXPECT_EQ(Run({"-q", "-n", "3", "/bin/echo", "--quiet"}).out, "--quiet\n");
  EXPECT_EQ(Run({"-n3", "-q", "/bin/echo", "x", "--", "y"}).out, "x -- y\n");
  EXPECT_EQ(Run({"--lines=3", "-q", "echo", "run"}).out, "run\n");
}

TEST_F(RunTest, TheProgramSeesTheTracerInFrontOfOtherPreloads) {
  const Outcome outcome = Run({"-q", "--", obedient_, "env", "LD_PRELOAD"}, {{"LD_PRELOAD", "libdl.so.2"}});
  EXPECT_THAT(outcome.out, ContainsRegex("LD_PRELOAD=.*/liballocline.so:libdl.so.2\n"));
}

TEST_F(RunTest, ThePackageForPythonIsFoundBehindWhatTheProgramBrings) {
  const std::string package = BuildDir() + "/share/allocline/python";
  const auto path = [&](const std::string& before) {
    return Run({"-q", "--", obedient_, "env", "PYTHONPATH"}, {{"PYTHONPATH", before}}).out;
  };
  EXPECT_EQ(path(""), "PYTHONPATH=" + package + "\n");
  EXPECT_EQ(path("/srv/lib:/srv/own"), "PYTHONPATH=/srv/lib:/srv/own:" + package + "\n");
  EXPECT_EQ(path(package + ":/srv/own"), "PYTHONPATH=" + package + ":/srv/own\n") << "once is enough";
}

TEST_F(RunTest, RelativeOutputDirectoriesReachTheProgramAbsolute) {
  const Outcome outcome =
      RunProgram({.argv = {CliPath(), "run", "-q", "-o", "sub/dir", obedient_, "env", "ALLOCLINE_OUTPUT"},
                  .directory = directory_.path()});
  EXPECT_EQ(outcome.out, "ALLOCLINE_OUTPUT=" + (directory_ / "sub/dir") + "\n");
  EXPECT_FALSE(fs::is_empty(directory_ / "sub/dir"));
}

TEST_F(RunTest, AScriptWithoutAFirstLineGoesToTheShell) {
  Executable("script", "echo \"$0 $1\"; exit 3\n");
  const Outcome outcome = Run({"-q", directory_ / "script", "word"});
  EXPECT_EQ(outcome.out, directory_ / "script" + " word\n");
  EXPECT_EQ(ExitCodeOf(outcome), 3);
}

// ---------------------------------------------------------------- signals and job control

TEST_F(RunTest, SignalsSentToUsReachTheProgramOnce) {
  Process run({.argv = RunWords({obedient_, "signals"})});
  ASSERT_TRUE(run.WaitForOutput("ready"));
  std::string expected = "ready\n";
  for (int signal : {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGRTMIN + 3, SIGTERM}) {
    run.Signal(signal);
    expected += "got " + std::to_string(signal) + "\n";
    ASSERT_TRUE(run.WaitForOutput(expected)) << run.OutputSoFar();
  }
  const Outcome outcome = run.Wait();
  EXPECT_EQ(outcome.out, expected);
  EXPECT_EQ(ExitCodeOf(outcome), 42);
}

TEST_F(RunTest, AQueuedSignalKeepsItsValue) {
  Process run({.argv = RunWords({obedient_, "signals"})});
  ASSERT_TRUE(run.WaitForOutput("ready"));
  sigqueue(run.pid(), SIGRTMIN, {.sival_int = 4711});
  EXPECT_TRUE(run.WaitForOutput("got " + std::to_string(SIGRTMIN) + " value 4711\n")) << run.OutputSoFar();
}

TEST_F(RunTest, SignalsSentToTheWholeGroupReachTheProgramOnce) {
  Process run({.argv = RunWords({obedient_, "signals"})});  // leads a process group of its own
  ASSERT_TRUE(run.WaitForOutput("ready"));
  std::string expected = "ready\n";
  const auto expect = [&](int signal) {
    expected += "got " + std::to_string(signal) + "\n";
    ASSERT_TRUE(run.WaitForOutput(expected)) << run.OutputSoFar();
  };
  for (int i = 0; i < 10; ++i) {
    kill(-run.pid(), SIGUSR1);
    expect(SIGUSR1);
    run.Signal(SIGUSR2);  // to us alone; what came before it has been seen to by then
    expect(SIGUSR2);
  }
  kill(-run.pid(), SIGTERM);
  const Outcome outcome = run.Wait();
  EXPECT_EQ(outcome.out, expected + "got 15\n");
  EXPECT_EQ(ExitCodeOf(outcome), 42);
}

TEST_F(RunTest, AnAlarmSetBeforeUsReachesTheProgram) {  // as in: perl -e 'alarm 9; exec @ARGV' PROGRAM
  Process run({.argv = RunWords({obedient_, "signals"}), .in_child = [] { alarm(1); }});
  EXPECT_TRUE(run.WaitForOutput("got 14\n")) << run.OutputSoFar();
}

TEST_F(RunTest, CtrlCReachesTheProgramOnceAndWeWaitForIt) {
  Terminal terminal(RunWords({obedient_, "signals"}));
  ASSERT_TRUE(terminal.WaitFor("ready"));
  terminal.Type("\003");  // the terminal signals its whole foreground group
  ASSERT_TRUE(terminal.WaitFor("got 2"));
  kill(terminal.pid(), SIGUSR1);  // handled after whatever came before it
  ASSERT_TRUE(terminal.WaitFor("got 10"));
  EXPECT_EQ(terminal.Count("got 2"), 1) << terminal.screen();
  kill(terminal.pid(), SIGTERM);
  EXPECT_EQ(terminal.WaitForExit(), 42);
}

TEST_F(RunTest, WeStopWithTheProgramAndItIsContinuedWithUs) {
  Terminal shell({"/bin/bash", "--norc", "--noprofile", "-i"});
  std::string command = "PS1='$ '; HISTFILE=; ";
  for (const std::string& word : RunWords({obedient_, "signals"})) command += word + " ";
  shell.Type(command + "\n");
  ASSERT_TRUE(shell.WaitFor("ready\r\n")) << shell.screen();
  shell.Type("\032");  // Ctrl-Z
  ASSERT_TRUE(shell.WaitFor("Stopped")) << shell.screen();
  shell.Type("kill -USR1 %1; fg\n");
  ASSERT_TRUE(shell.WaitFor("got 10\r\n")) << shell.screen();
  shell.Type("\003");
  ASSERT_TRUE(shell.WaitFor("got 2\r\n")) << shell.screen();
  shell.Type("\032");
  ASSERT_TRUE(shell.WaitFor("Stopped")) << shell.screen();
  shell.Type("kill %1; fg; echo code $?; exit\n");
  EXPECT_TRUE(shell.WaitFor("code 42")) << shell.screen();
  EXPECT_EQ(shell.Count("got 2\r\n"), 1) << shell.screen();
  EXPECT_EQ(shell.Count("got 10\r\n"), 1) << shell.screen();
}

TEST_F(RunTest, AProgramStoppedAndContinuedBySomebodyElseEndsAsUsual) {
  Process run({.argv = RunWords({"/bin/sh", "-c", "echo $$; kill -STOP $$; echo continued; exit 5"})});
  ASSERT_TRUE(run.WaitForOutput("\n"));
  const std::string program = run.OutputSoFar().substr(0, run.OutputSoFar().find('\n'));
  while (ReadFile("/proc/" + program + "/stat").find(") T ") == std::string::npos) usleep(1000);
  kill(std::stoi(program), SIGCONT);
  EXPECT_TRUE(run.WaitForOutput("continued"));
  EXPECT_EQ(ExitCodeOf(run.Wait()), 5);
}

// ---------------------------------------------------------------- the summary

TEST_F(RunTest, TheSummaryNamesPeakLiveBytesLinesAndTheRecording) {
  const Outcome outcome = Run({"--", "/bin/sh", "-c", "exit 4"});
  EXPECT_EQ(ExitCodeOf(outcome), 4);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err,
              AllOf(StartsWith("allocline: sh exited with 4 after "), HasSubstr("peak "), HasSubstr("live "),
                    HasSubstr("size="), ContainsRegex("recording: .*/sh\\.[0-9]+\\.allocline\n")));
}

TEST_F(RunTest, TheSummarySaysWhichSignalEndedTheProgram) {
  EXPECT_THAT(Run({"--", obedient_, "die", "9"}).err,
              StartsWith("allocline: obedient was ended by signal 9 (SIGKILL)"));
}

TEST_F(RunTest, QuietPrintsNothingAndRecordsAllTheSame) {
  EXPECT_THAT(Run({"-q", "--", "/bin/sh", "-c", "true"}).err, IsEmpty());
  EXPECT_EQ(Recordings().size(), 1);
}

TEST_F(RunTest, TheSummaryAsJsonHoldsTheReport) {
  const Outcome outcome = Run({"--json", "--summary", directory_ / "summary.json", "--", "/bin/sh", "-c", "exit 4"});
  EXPECT_THAT(outcome.err, IsEmpty());
  const auto json = nlohmann::json::parse(ReadFile(directory_ / "summary.json"));
  EXPECT_EQ(json["schema"], "allocline.run/1");
  EXPECT_EQ(json["exit_code"], 4);
  ASSERT_EQ(json["processes"].size(), 1);
  EXPECT_TRUE(fs::exists(json["processes"][0]["recording"].get<std::string>()));
  EXPECT_EQ(json["report"]["schema"], "allocline.top/1");
}

TEST_F(RunTest, EachFurtherProcessGetsALineAndForksThatOnlyExecLeaveNothing) {
  const Outcome outcome = Run({"--", "/bin/sh", "-c", "/bin/ls / >/dev/null; /bin/ls / >/dev/null; exit 0"});
  EXPECT_EQ(Recordings().size(), 3) << ::testing::PrintToString(Recordings());
  EXPECT_THAT(outcome.err,
              ContainsRegex("\nalso [a-z]+ \\(pid [0-9]+\\): peak .*\nalso [a-z]+ \\(pid [0-9]+\\): peak "));
}

TEST_F(RunTest, ProgramsThatRanOthersInTheirPlaceAreOneLine) {
  directory_.WriteFile("launcher", "x=$(/bin/sh -c 'a=$(echo 1); exec /bin/echo $a')\ny=`echo $x`\nexec \"$@\"\n");
  const Outcome outcome =
      Run({"--", "/bin/sh", directory_ / "launcher", "/bin/sh", directory_ / "launcher", obedient_});
  EXPECT_THAT(outcome.err,
              ContainsRegex("\nalso echo .*\nalso [a-z]+ .*\nand of programs that ran others in their place: "
                            "[a-z]+ x[0-9]+, peak at most "));
  EXPECT_THAT(outcome.err, Not(ContainsRegex("\nalso [a-z]*sh ")));
}

TEST_F(RunTest, OtherRunsInTheSameDirectoryAreNotOurs) {
  Run({"-q", "--", obedient_});
  const Outcome outcome = Run({"--", obedient_});
  EXPECT_THAT(outcome.err, Not(HasSubstr("\nalso ")));
  EXPECT_EQ(Recordings().size(), 2);
}

// ---------------------------------------------------------------- a running process, from outside

TEST_F(RunTest, ARunningProcessIsReadWithoutPtraceAndWithoutASignal) {
  Process run({.argv = RunWords({"/bin/sh", "-c", "echo $$; sleep 30; true"})});
  ASSERT_TRUE(run.WaitForOutput("\n"));
  const std::string pid = run.OutputSoFar().substr(0, run.OutputSoFar().find('\n'));
  for (const Words& words : {Words{"top", pid}, Words{"snapshot", pid, "--label", "now"}}) {
    const std::string log = directory_ / "strace";
    const Outcome outcome = RunProgram({.argv = Join({"strace", "-f", "-o", log}, AlloclineWords(words))});
    EXPECT_EQ(ExitCodeOf(outcome), 0) << outcome.err;
    const std::string calls = ReadFile(log);
    EXPECT_THAT(calls, HasSubstr("/proc/" + pid + "/maps"));
    for (const char* call : {" ptrace(", " kill(", "tgkill(", "process_vm_readv(", "pidfd_"}) {
      EXPECT_THAT(calls, Not(HasSubstr(call))) << words[0];
    }
  }
}

// ---------------------------------------------------------------- what cannot be traced runs all the same

TEST_F(RunTest, AMissingProgramIs127AndOneLine) {
  const Outcome outcome = Run({"--", "no-such-program-at-all"});
  EXPECT_EQ(ExitCodeOf(outcome), 127);
  EXPECT_EQ(outcome.err, "allocline: no-such-program-at-all: there is no such program in PATH\n");
}

TEST_F(RunTest, AFileThatCannotBeExecutedIs126AndOneLine) {
  directory_.WriteFile("data", "text");
  const Outcome outcome = Run({"--", directory_ / "data"});
  EXPECT_EQ(ExitCodeOf(outcome), 126);
  EXPECT_EQ(outcome.err, "allocline: " + (directory_ / "data") + ": Permission denied\n");
}

TEST_F(RunTest, AMissingInterpreterIs127AndSaysSo) {
  Executable("script", "#!/no/such/interpreter\n");
  const Outcome outcome = Run({"--", directory_ / "script"});
  EXPECT_EQ(ExitCodeOf(outcome), 127);
  EXPECT_THAT(outcome.err, HasSubstr("the interpreter it asks for is missing"));
  EXPECT_EQ(CountLines(outcome.err), 1);
}

TEST_F(RunTest, NoProgramOrABadOptionIs125) {
  EXPECT_EQ(ExitCodeOf(Run({})), 125);
  EXPECT_EQ(ExitCodeOf(Run({"--no-such-option", "x"})), 125);
  EXPECT_EQ(ExitCodeOf(Run({"--map", "nonsense", "/bin/true"})), 125);
  EXPECT_EQ(CountLines(Run({"--no-such-option", "x"}).err), 1);
}

TEST_F(RunTest, StaticProgramsRunAndAreSaidToBeInvisible) {
  for (const char* name : {"plain_static", "plain_static_pie"}) {
    const Outcome outcome = Run({"--", CliProgram(name)});
    EXPECT_EQ(ExitCodeOf(outcome), 7);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("statically linked"), HasSubstr("left no recording")));
    EXPECT_EQ(CountLines(outcome.err), 2);
  }
}

TEST_F(RunTest, ProgramsWithTheirOwnAllocatorRunAndAreSaidToBeInvisible) {
  const Outcome own = Run({"-q", "--", CliProgram("own_malloc")});
  EXPECT_EQ(ExitCodeOf(own), 7);
  EXPECT_THAT(own.err, HasSubstr("defines malloc itself"));
  const Outcome carried = Run({"-q", "--", CliProgram("private_allocator")});
  EXPECT_EQ(ExitCodeOf(carried), 7);
  EXPECT_THAT(carried.err, HasSubstr("duckdb_je_malloc"));
}

TEST_F(RunTest, AnUnwritableOutputDirectoryIsReplacedAndNamed) {
  directory_.WriteFile("file", "");
  const std::string unwritable = directory_ / "file";  // not even root can create files in a file
  fs::create_directory(directory_ / "tmp");
  const Outcome outcome =
      Allocline({"run", "-o", unwritable, "--", obedient_, "exit", "6"}, {{"TMPDIR", (directory_ / "tmp")}});
  EXPECT_EQ(ExitCodeOf(outcome), 6);
  EXPECT_THAT(outcome.err, StartsWith("allocline: cannot write to " + unwritable + ": Not a directory; recording to " +
                                      (directory_ / "tmp/allocline-")));
  EXPECT_THAT(outcome.err, ContainsRegex("recording: .*/tmp/allocline-....../obedient.[0-9]+.allocline\n"));
}

TEST_F(RunTest, WithNowhereToWriteTheProgramStillRuns) {
  directory_.WriteFile("file", "");
  const Outcome outcome = Allocline({"run", "-o", directory_ / "file", "--", obedient_, "exit", "6"},
                                    {{"TMPDIR", (directory_ / "missing")}});
  EXPECT_EQ(ExitCodeOf(outcome), 6);
  EXPECT_THAT(outcome.err, HasSubstr("recordings stay in memory"));
}

TEST_F(RunTest, WithoutATracerTheProgramRunsAndOneLineSaysSo) {
  const Outcome missing =
      Run({"-q", "--", obedient_, "print", "hi", "exit", "6"}, {{"ALLOCLINE_LIBRARY", "/no/such.so"}});
  EXPECT_EQ(ExitCodeOf(missing), 6);
  EXPECT_EQ(missing.out, "hi\n");
  EXPECT_EQ(missing.err,
            "allocline: ALLOCLINE_LIBRARY is /no/such.so: No such file or directory; the program runs untraced\n");
  directory_.WriteFile("with space.so", "");
  const Outcome spaced =
      Run({"-q", "--", obedient_, "exit", "6"}, {{"ALLOCLINE_LIBRARY", (directory_ / "with space.so")}});
  EXPECT_EQ(ExitCodeOf(spaced), 6);
  EXPECT_THAT(spaced.err, AllOf(HasSubstr("cannot stand in LD_PRELOAD"), HasSubstr("runs untraced")));
  EXPECT_EQ(CountLines(spaced.err), 1);
  EXPECT_THAT(Recordings(), IsEmpty());
}

TEST_F(RunTest, AnInstallationWithoutItsLibraryStillRunsPrograms) {
  fs::create_directories(directory_ / "bin");
  const std::string lonely = directory_ / "bin/allocline";
  fs::copy_file(CliPath(), lonely);
  const Outcome outcome = RunProgram({.argv = {lonely, "run", "-o", directory_.path(), "--", obedient_, "exit", "6"}});
  EXPECT_EQ(ExitCodeOf(outcome), 6);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("allocline: liballocline.so is neither in " + (directory_ / "lib")),
                                 HasSubstr("left no recording")));
}

TEST_F(RunTest, ClosedStandardStreamsAndIgnoredSigchldChangeNothing) {
  const Words words = AlloclineWords({"run", "-o", directory_.path(), "--", obedient_, "print", "x", "exit", "8"});
  EXPECT_EQ(ExitCodeOf(RunProgram({.argv = words, .in_child = [] { close(2); }})), 8);
  EXPECT_EQ(ExitCodeOf(RunProgram({.argv = words, .in_child = [] { close_range(0, 2, 0); }})), 8);
  EXPECT_EQ(ExitCodeOf(RunProgram({.argv = words, .in_child = [] { signal(SIGCHLD, SIG_IGN); }})), 8);
}

}  // namespace
}  // namespace allocline::testing
