// The big programs people really run: too much to install for every test run, so `./dev soak` does. As everywhere:
// the same output and ending as untraced, each stack as libunwind takes it, live blocks as counted behind us.
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <string>

#include "tests/e2e/second_opinion.h"

namespace allocline::testing {
namespace {

#define NEEDS(program) ASSERT_NE(FindProgram(program), "") << program << " is not installed"

TEST(SoakPrograms, NodeWithWorkersCompiledCodeAndChildren) {
  NEEDS("node");
  TempDir directory;
  const std::string script = directory.WriteFile("work.js", R"js(
const { Worker, isMainThread, parentPort } = require('worker_threads');
const zlib = require('zlib'), crypto = require('crypto'), child = require('child_process');
if (!isMainThread) {
  let sum = 0;
  for (let i = 0; i < 1e5; i++) sum += JSON.stringify({ i, a: [i, i + 1] }).length;
  parentPort.postMessage(sum);
} else (async () => {
  console.log(await Promise.all([1, 2, 3, 4].map(() => new Promise((resolve, reject) => {
    const worker = new Worker(__filename); worker.on('message', resolve); worker.on('error', reject);
  }))));
  const text = Buffer.alloc(3e6, 'hello');
  console.log(zlib.gunzipSync(zlib.gzipSync(text)).equals(text));
  console.log(await Promise.all([1, 2, 3].map((i) => new Promise((resolve) =>
    crypto.pbkdf2('p', 's' + i, 2000, 32, 'sha256', (error, key) => resolve(key.toString('hex')))))));
  console.log(child.execSync('echo from a child; node -e "console.log(1 + 1)"').toString());
  const held = new Map();
  for (let i = 0; i < 2e5; i++) held.set('k' + i, { i });
  let found = 0;
  for (let i = 0; i < 2000; i++) found += new RegExp('a' + i + '+b?').test('xxa' + i) ? 1 : 0;
  console.log(held.size, found);
})();
)js");
  Agreement agreement = RunWithSecondOpinions({.argv = {"node", script}});
  EXPECT_GT(agreement.stacks, 500000);
  EXPECT_GE(agreement.processes, 3);
}

TEST(SoakPrograms, JavaCatchesItsSegmentationFaultsAndOverflowsAsItDoesUntraced) {
  NEEDS("java");
  TempDir directory;
  const std::string source = directory.WriteFile("Work.java", R"java(
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
public class Work {
  static int down(int n) { return n == 0 ? 0 : 1 + down(n - 1); }
  public static void main(String[] arguments) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(8);
    List<Future<Integer>> results = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      int k = i;
      results.add(pool.submit(() -> {
        Map<String, Integer> counts = new HashMap<>();
        for (int j = 0; j < 50000; j++) counts.merge("k" + (j * k % 1000), 1, Integer::sum);
        return counts.size();
      }));
    }
    for (Future<Integer> result : results) System.out.println(result.get());
    pool.shutdown();
    int caught = 0;
    String nothing = null;
    for (int i = 0; i < 20000; i++) {
      try { if (i % 2 == 0) nothing.length(); } catch (NullPointerException e) { caught++; }
    }
    System.out.println(caught);
    try { down(100000000); } catch (StackOverflowError e) { System.out.println("stack overflow"); }
    try { byte[][] all = new byte[100000][]; for (int i = 0; ; i++) all[i] = new byte[1 << 20]; }
    catch (OutOfMemoryError e) { System.out.println("out of memory"); }
    System.out.println(new String(new ProcessBuilder("echo", "a child").start().getInputStream().readAllBytes()));
    System.out.println(IntStream.range(0, 1000000).parallel().mapToLong(x -> x).sum());
  }
}
)java");
  Agreement agreement = RunWithSecondOpinions({.argv = {"java", "-Xmx200m", source}});
  EXPECT_GT(agreement.stacks, 10000);
  EXPECT_GE(agreement.processes, 2);
}

TEST(SoakPrograms, RubyWithThreadsFibersAndForks) {
  NEEDS("ruby");
  Agreement agreement = RunWithSecondOpinions({.argv = {"ruby", "-e", R"ruby(
      puts (1..50000).map { |i| "row #{i}" }.join.size
      puts 4.times.map { Thread.new { (1..20000).map(&:to_s).size } }.map(&:value).sum
      fibers = (1..300).map { |i| Fiber.new { Fiber.yield (1..50).map(&:to_s); i } }
      puts fibers.sum { |fiber| fiber.resume; fiber.resume }
      3.times do |i|
        child = fork { held = (1..10000).map(&:to_s); exit!(i) }
        Process.wait(child); puts $?.exitstatus
      end
      def down(n) = n == 0 ? 0 : 1 + down(n - 1)
      begin; down(1_000_000); rescue SystemStackError; puts "too deep"; end
      GC.compact; puts `echo a child`)ruby"}});
  EXPECT_GT(agreement.stacks, 50000);
  EXPECT_GE(agreement.processes, 5);
}

// The server does not run as root. Its dump tells nothing of time or chance.
TEST(SoakPrograms, PostgresWithParallelWorkersAndCompiledQueriesUnderPgbench) {
  const std::string programs = "/usr/lib/postgresql/15/bin";
  NEEDS(programs + "/initdb");
  const passwd* nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const uid_t user = nobody->pw_uid;
  const gid_t group = nobody->pw_gid;
  TempDir directory;
  const std::string script = directory.WriteFile("serve.sh", R"sh(
umask 077; cd "$1" && PATH=$2:$PATH && rm -rf data && initdb -D data -A trust --no-sync >/dev/null || exit 1
cat >>data/postgresql.conf <<END
unix_socket_directories = '$1'
listen_addresses = ''
fsync = off
max_parallel_workers_per_gather = 4
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
autovacuum_naptime = 1
shared_buffers = 32MB
END
trap 'pg_ctl -D data -s -m immediate stop 2>/dev/null' EXIT
pg_ctl -D data -s -w -l log start || exit 1
export PGHOST=$1 PGDATABASE=postgres PGUSER=$(id -un)
pgbench -i -q -s 1 >/dev/null 2>&1 && pgbench -n -c 20 -j 4 -t 20 2>&1 | grep -E 'actually|failed'
psql -Atc "select count(*), sum(length(repeat(aid::text, 10))) from pgbench_accounts"
psql -Atc "set jit_above_cost = 0" -c "select aid % 7, count(*) from pgbench_accounts group by 1 order by 1"
psql -Atc "do \$\$ begin for i in 1..1000 loop perform i; end loop; end \$\$"
psql -Atc "select pg_terminate_backend(pg_backend_pid())" 2>&1 | head -n 1
pg_ctl -D data -s reload && pg_dump -t pgbench_branches --schema-only | grep -c .
pg_ctl -D data -s -w -m fast stop; grep -E 'PANIC|crash|signal' log; exit 0
)sh");
  ASSERT_EQ(chown(directory.path().c_str(), user, group), 0) << "run as root: the server must become another user";
  std::filesystem::permissions(script, std::filesystem::perms::all);
  Agreement agreement = RunWithSecondOpinions(
      {.argv = {"sh", script, directory.path(), programs}, .time_limit = std::chrono::seconds(300), .in_child = [=] {
         if (setgroups(0, nullptr) != 0 || setgid(group) != 0) _exit(98);
         if (setuid(user) != 0) _exit(98);
       }});
  EXPECT_GT(agreement.stacks, 100000);
  EXPECT_GE(agreement.processes, 60);
}

TEST(SoakPrograms, LibreOfficeConvertsATable) {
  NEEDS("soffice");
  TempDir directory;
  directory.WriteFile("table.csv", "a,b\n1,2\n3,4\n");
  Agreement agreement =
      RunWithSecondOpinions({.argv = {"sh", "-c",
                                      "soffice --headless --convert-to xlsx --outdir out table.csv >/dev/null 2>&1; "
                                      "test -s out/table.xlsx && rm -r out"},
                             .env = {{"HOME", directory.path()}},
                             .directory = directory.path(),
                             .time_limit = std::chrono::seconds(300)});
  EXPECT_GT(agreement.stacks, 100000);
  EXPECT_GE(agreement.processes, 3);
}

TEST(SoakPrograms, TheCompilerOnManyHeadersAtEachLevelOfOptimization) {
  NEEDS("g++");
  const std::string source = SourceDir() + "/bench/end_to_end/programs/header_heavy.cc";
  for (const char* level : {"-O0", "-O1", "-O2", "-O3"}) {
    Agreement agreement =
        RunWithSecondOpinions({.argv = {"g++", "-std=c++20", level, "-c", "-o", "/dev/null", source}});
    EXPECT_GT(agreement.stacks, 2'000'000) << level;
    EXPECT_GE(agreement.processes, 3) << level;  // the driver, cc1plus, the assembler
  }
}

}  // namespace
}  // namespace allocline::testing
