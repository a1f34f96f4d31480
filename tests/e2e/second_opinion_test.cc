// Real programs at their least convenient: signals, forks in all ways, threads, callbacks, code that comes and goes.
// Each stack is compared with libunwind's, and each process's live blocks with what a library behind us counted.
#include "tests/e2e/second_opinion.h"

#include <string>

#include "tests/e2e/sqlite_script.h"

namespace allocline::testing {
namespace {

#define NEEDS(program) ASSERT_NE(FindProgram(program), "") << program << " is not installed"

TEST(SecondOpinion, PythonWithPoolsOfForkedAndSpawnedProcessesAndCallbacksFromC) {
  const std::string python = "/usr/bin/python3";
  NEEDS(python);
  TempDir directory;
  std::string script = directory.WriteFile("work.py", R"py(
import ctypes, multiprocessing, os, sqlite3, ssl, subprocess, sys, threading

def work(n):
    return sum(len(str(i) * 3) for i in range(n))

def main():
    table = sqlite3.connect(":memory:")
    table.execute("create table t(a, b)")
    table.executemany("insert into t values(?, ?)", ((i, str(i) * 3) for i in range(5000)))
    print(table.execute("select count(*), sum(length(b)) from t").fetchone())
    print(len(ssl.create_default_context().get_ciphers()) > 0)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(work, [200] * 4))
    threads = [threading.Thread(target=work, args=(2000,)) for _ in range(16)]
    [t.start() for t in threads]; [t.join() for t in threads]
    libc = ctypes.CDLL("libc.so.6")
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 1000)(*[i * 7919 % 1009 for i in range(1000)])
    libc.qsort(numbers, 1000, 4, compare(lambda a, b: len(str(a[0]) * 50) * 0 + a[0] - b[0]))
    print(numbers[0], numbers[999])
    print(subprocess.call(["sh", "-c", "exit 3"], preexec_fn=os.setsid, close_fds=True))
    for i in range(4):
        child = os.fork()
        if child == 0:
            kept = [bytearray(1000) for _ in range(i * 1000)]
            os._exit(i)
        print(os.waitpid(child, 0)[1])
    sys.setrecursionlimit(100000)
    down = lambda n: 0 if n == 0 else 1 + down(n - 1)
    print(down(900))

if __name__ == "__main__":
    main()
)py");
  Agreement agreement = RunWithSecondOpinions({.argv = {python, script}});
  EXPECT_GT(agreement.stacks, 100000);
  EXPECT_GE(agreement.processes, 14);
}

TEST(SecondOpinion, PerlThatForksUnderAStormOfAlarms) {
  Agreement agreement = RunWithSecondOpinions({.argv = {"/usr/bin/perl", "-MPOSIX", "-MTime::HiRes=ualarm", "-e", R"(
      $| = 1;
      my ($alarms, %held) = (0);
      $SIG{ALRM} = sub { my @built = map { "alarm $_" } 1 .. 20; ++$alarms };
      ualarm(500, 500);
      for my $round (1 .. 10) {
        push @{$held{$round % 3}}, map { "row $_ " x ($_ % 5) } 1 .. 5000;
        my $child = fork() // die;
        if ($child == 0) { my @own = (1 .. 5000); POSIX::_exit($round) }
        1 while waitpid($child, 0) < 0;
        print $? >> 8, "\n";
        delete $held{0} if $round == 6;
      }
      ualarm(0);
      print scalar(map { @$_ } values %held), " ", $alarms > 0 ? "alarms" : "none", "\n";)"}});
  EXPECT_GT(agreement.stacks, 50000);
  EXPECT_EQ(agreement.processes, 11);
}

TEST(SecondOpinion, GitPackingWithThreadsAndCloning) {
  NEEDS("git");
  TempDir directory;
  std::map<std::string, std::string> env = {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}};
  std::string stream;
  for (int i = 1; i <= 300; ++i) {
    std::string body = "line " + std::to_string(i) + "\n" + std::string(static_cast<size_t>(i * 7), 'x') + "\n";
    stream += "commit refs/heads/main\ncommitter A <a@example.org> " + std::to_string(1700000000 + i) +
              " +0000\ndata 1\nc\nM 644 inline file" + std::to_string(i % 23) + "\ndata " +
              std::to_string(body.size()) + "\n" + body + "\n";
  }
  std::string origin = directory / "origin";
  ASSERT_TRUE(RunProgram({.argv = {"git", "init", "-q", "-b", "main", origin}, .env = env}).ok());
  ASSERT_TRUE(RunProgram({.argv = {"git", "-C", origin, "fast-import", "--quiet"}, .env = env, .input = stream}).ok());
  Agreement agreement = RunWithSecondOpinions({.argv = {"sh", "-c", R"(
      rm -rf copy && git clone -q --no-local origin copy 2>&1 && cd copy &&
      git -c pack.threads=4 repack -adfq --window=50 && git gc -q --aggressive && git fsck 2>&1 &&
      git -c core.preloadIndex=true -c index.threads=4 status --short && git -c grep.threads=8 grep -c line main &&
      git log -p --stat | cksum)"},
                                               .env = env,
                                               .directory = directory.path()});
  EXPECT_GT(agreement.stacks, 20000);
  EXPECT_GE(agreement.processes, 15);
}

TEST(SecondOpinion, TheCompilerDriverWithItsAssemblerLinkerAndLinkTimeOptimizer) {
  NEEDS("g++");
  TempDir directory;
  for (int i = 0; i < 4; ++i) {
    std::string name = std::to_string(i);
    directory.WriteFile("part" + name + ".cc", "#include <map>\n#include <string>\nint Part" + name +
                                                   "(const std::string& s) { std::map<std::string, int> m; "
                                                   "for (char c : s) ++m[std::string(1, c)]; "
                                                   "return int(m.size()) * " +
                                                   name + "; }\n");
  }
  directory.WriteFile("main.cc", R"(
      #include <cstdio>
      #include <string>
      int Part0(const std::string&), Part1(const std::string&), Part2(const std::string&), Part3(const std::string&);
      int main() { printf("%d\n", Part0("a") + Part1("ab") + Part2("abc") + Part3("abcd")); })");
  Agreement agreement = RunWithSecondOpinions({.argv = {"sh", "-c", R"(
      g++ -O1 -flto=2 -pipe -o parts main.cc part0.cc part1.cc part2.cc part3.cc && ./parts)"},
                                               .directory = directory.path()});
  EXPECT_GT(agreement.stacks, 500000);
  EXPECT_GE(agreement.processes, 15);
}

// Millions of stacks each: the programs that the costs of tracing are measured with.

TEST(SecondOpinion, AParserOf50MegabytesOfJson) {
  Agreement agreement = RunWithSecondOpinions({.argv = {BuildDir() + "/programs/e2e/parses_json", "50"}});
  EXPECT_GT(agreement.stacks, 5'000'000);
  EXPECT_EQ(agreement.processes, 1);
}

TEST(SecondOpinion, Sqlite3WithMoreThanFiveMillionAllocations) {
  NEEDS("sqlite3");
  Agreement agreement = RunWithSecondOpinions({.argv = {"sqlite3", ":memory:"}, .input = kSqliteScript});
  EXPECT_GT(agreement.stacks, 5'000'000);
  EXPECT_EQ(agreement.processes, 1);
}

TEST(SecondOpinion, LibrariesOfLibcThatComeAndGo) {
  Agreement agreement = RunWithSecondOpinions({.argv = {TrapPath("loads_and_unloads")}});
  EXPECT_GT(agreement.stacks, 5000);
  EXPECT_EQ(agreement.processes, 1);
}

TEST(SecondOpinion, ShellsWithSubshellsPipesAndJobs) {
  NEEDS("bash");
  Agreement agreement = RunWithSecondOpinions({.argv = {"bash", "-c", R"(
      set -o pipefail
      declare -A held
      for i in {1..20}; do
        held[$i]=$(for j in {1..50}; do echo "$i-$j"; done | tac | head -n 3 | tr '\n' ' ')
        (local_only=$(seq 200); exit $((i % 4))) || held[$i]+="failed $?"
      done
      for i in {1..20}; do echo "${held[$i]}"; done
      for i in 1 2 3 4; do { seq 500 | sort -rn | tail -1 >/dev/null; } & done; wait
      exec 3< <(seq 5); cat <&3; mapfile -t lines < <(seq 1000); echo "${#lines[@]}")"}});
  EXPECT_GT(agreement.stacks, 10000);
  EXPECT_GE(agreement.processes, 60);
}

}  // namespace
}  // namespace allocline::testing
