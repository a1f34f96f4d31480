// Real programs behave under the tracer as they do without: the same standard output, the same exit code. Every process
// they start leaves a recording that opens without damage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "tests/e2e/sqlite_script.h"
#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

// The test machine has to have what is compared; a run that quietly compares less would be worth nothing.
#define NEEDS(program) ASSERT_NE(FindProgram(program), "") << program << " is not installed"

Recorded ExpectSameOutput(const Command& command) {
  Outcome untraced = RunProgram(command);
  EXPECT_EQ(untraced.Ending(), "exit 0") << untraced.err;
  Recorded run = RecordCommand(command);
  EXPECT_EQ(run.outcome.Ending(), untraced.Ending()) << run.outcome.err;
  EXPECT_TRUE(run.outcome.out == untraced.out) << "stdout differs: " << run.outcome.out.substr(0, 2000);
  EXPECT_EQ(run.outcome.err, untraced.err);
  return run;
}

// How many processes of each program left a recording, by the name in front of the pid in its file name.
std::map<std::string, int> Programs(const Recorded& run) {
  std::map<std::string, int> count;
  for (const RecordedProcess& process : run.processes) {
    std::string name = process.file_name();
    ++count[name.substr(0, name.find("." + std::to_string(process.pid()) + "."))];
  }
  return count;
}

TEST(RealPrograms, Sqlite3WithMoreThanFiveMillionAllocations) {
  NEEDS("sqlite3");
  Recorded run = ExpectSameOutput({.argv = {"sqlite3", ":memory:"}, .input = kSqliteScript});
  EXPECT_GT(run.main().Total().total_blocks, 5000000);
  EXPECT_GT(run.main().recording().peak_bytes(), 30u << 20);  // the table is in memory
}

TEST(RealPrograms, CompilerOfAFileWithManyHeaders) {
  NEEDS("g++");
  TempDir directory;
  std::string source = directory.WriteFile("headers.cc", R"(
      #include <algorithm>
      #include <functional>
      #include <iostream>
      #include <map>
      #include <memory>
      #include <regex>
      #include <string>
      #include <unordered_map>
      #include <vector>
      std::map<std::string, std::vector<int>> index(const std::string& text) {
        std::map<std::string, std::vector<int>> words;
        std::regex word("[a-z]+");
        int position = 0;
        for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) {
          words[i->str()].push_back(position++);
        }
        return words;
      })");
  std::string object = directory / "headers.o";
  Command command = {.argv = {"g++", "-std=c++20", "-O1", "-c", "-o", object, source}};
  Recorded run = ExpectSameOutput(command);
  std::string traced_object = ReadFile(object);
  ASSERT_TRUE(RunProgram(command).ok());
  EXPECT_TRUE(traced_object == ReadFile(object)) << "another object file";
  auto programs = Programs(run);
  EXPECT_EQ(programs["cc1plus"], 1);
  EXPECT_EQ(programs["as"], 1);
  EXPECT_GE(run.processes.size(), 3);
}

TEST(RealPrograms, GitLogOfARepositoryWithManyCommits) {
  NEEDS("git");
  TempDir directory;
  std::string stream;
  for (int i = 1; i <= 400; ++i) {
    std::string body = "line " + std::to_string(i) + "\n" + std::string(static_cast<size_t>(i), 'x') + "\n";
    std::string message = "change " + std::to_string(i) + "\n";
    stream += "commit refs/heads/main\nmark :" + std::to_string(i) + "\n";
    stream += "committer A <a@example.org> " + std::to_string(1700000000 + i) + " +0000\n";
    stream += "data " + std::to_string(message.size()) + "\n" + message;
    if (i > 1) stream += "from :" + std::to_string(i - 1) + "\n";
    stream += "M 644 inline file" + std::to_string(i % 17) + "\n";
    stream += "data " + std::to_string(body.size()) + "\n" + body;
  }
  std::map<std::string, std::string> env = {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}};
  ASSERT_TRUE(RunProgram({.argv = {"git", "init", "-q", "-b", "main", directory.path()}, .env = env}).ok());
  ASSERT_TRUE(
      RunProgram({.argv = {"git", "-C", directory.path(), "fast-import", "--quiet"}, .env = env, .input = stream})
          .ok());
  Recorded run = ExpectSameOutput({.argv = {"git", "-C", directory.path(), "log", "-p", "--stat"}, .env = env});
  EXPECT_GT(std::count(run.outcome.out.begin(), run.outcome.out.end(), '@'), 400);
  EXPECT_GT(run.main().Total().total_blocks, 10000);
}

TEST(RealPrograms, PythonWithThreadsAndSubprocesses) {
  const std::string python = "/usr/bin/python3";  // the distribution's: others may be scripts around it
  NEEDS(python);
  Recorded run = ExpectSameOutput({.argv = {python, "-c", R"(
import collections, json, re, subprocess, sys, threading, zlib
rows = [{"id": i, "name": "row %d" % i, "tags": [str(j) for j in range(i % 7)]} for i in range(20000)]
text = json.dumps(rows)
print(len(text), zlib.crc32(zlib.compress(text.encode())), len(json.loads(text)))
counts = collections.Counter(re.findall(r"\d\d", text))
print(sorted(counts.items())[:10])
totals = [0] * 4
def work(i):
    totals[i] = sum(len("%d" % j) for j in range(100000))
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(totals, subprocess.check_output(["tr", "a-z", "A-Z"], input=b"from a child\n"))
)"}});
  EXPECT_EQ(Programs(run)["tr"], 1);
  EXPECT_GT(run.main().Total().total_blocks, 10000);
}

TEST(RealPrograms, XzWithTwoThreadsBothWays) {
  NEEDS("xz");
  TempDir directory;
  std::string text;
  for (uint64_t i = 0, x = 1; i < 500000; ++i, x = x * 6364136223846793005u + 1442695040888963407u) {
    text += "line " + std::to_string(x >> 50) + "\n";
  }
  std::string file = directory.WriteFile("text", text);
  Recorded packing = ExpectSameOutput({.argv = {"xz", "-3", "-T2", "--block-size=1MiB", "-c", file}});
  EXPECT_GE(packing.main().recording().threads().size(), 3);
  std::string packed = directory.WriteFile("text.xz", packing.outcome.out);
  EXPECT_TRUE(ExpectSameOutput({.argv = {"xz", "-dc", packed}}).outcome.out == text);
}

TEST(RealPrograms, ShellPipelines) {
  Recorded run = ExpectSameOutput({.argv = {"bash", "-c", R"(
      set -o pipefail
      for i in 1 2 3 4 5 6 7 8; do
        seq 1 2000 | sed "s/$/-$i/" | sort -r | awk '{ n += length($0) } END { print n }' || exit 1
      done
      (exit 3); echo "status $?"
      ls / | head -1 > /dev/null
      find /usr/include/linux -name 'a*.h' | sort | xargs wc -l | tail -1)"}});
  auto programs = Programs(run);
  EXPECT_EQ(programs["sed"], 8);
  EXPECT_EQ(programs["seq"], 8);
  EXPECT_GE(programs["sort"], 9);
}

TEST(RealPrograms, AProgramThatForksAndExecs) {
  // The wait statuses of children that exit, die by a signal, and cannot be executed.
  Recorded run = ExpectSameOutput({.argv = {"/usr/bin/perl", "-e", R"(
      $| = 1;
      for my $code (0, 7) {
        my $child = fork() // die;
        if ($child == 0) { exec "sh", "-c", "exit $code" or die }
        waitpid($child, 0);
        print "exited ", $? >> 8, "\n";
      }
      my $child = fork() // die;
      if ($child == 0) { kill 9, $$; sleep 10 }
      waitpid($child, 0);
      print "killed by ", $? & 127, "\n";
      print "system: ", system("/nonexistent/program 2>/dev/null") >> 8, "\n";
      print "output: ", `echo from a child`;)"}});
  EXPECT_GE(run.processes.size(), 6);
}

}  // namespace
}  // namespace allocline::testing
