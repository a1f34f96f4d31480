// Other allocators behind us, preloaded as people do: jemalloc, tcmalloc, mimalloc. Each has an operator new of its
// own, other size classes, and blocks at addresses where glibc never has one. The numbers are exact all the same.
#include <string>

#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

class AllocatorsTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::map<std::string, std::string> Preloaded() const { return {{"LD_PRELOAD", GetParam()}}; }

  void ExpectNamed(const RecordedProcess& process) const {
    const std::string library = GetParam();
    const std::string name = library.substr(0, library.find(".so"));
    EXPECT_NE(std::string(process.recording().header().allocator).find(name), std::string::npos);
    EXPECT_TRUE(process.recording().header().state & format::kStateNotGlibc);
  }
};

TEST_P(AllocatorsTest, EveryBlockIsCountedAtItsLine) {
  for (const char* program :
       {"malloc_sizes", "callers", "inlined_allocator", "aligned_family", "containers", "vector_growth", "strings",
        "shared_pointers", "threads", "cross_thread_free", "thread_lifetimes"}) {
    SCOPED_TRACE(program);
    const Recorded run = RecordExactly(program, {.env = Preloaded()});
    ExpectNamed(run.main());
  }
}

TEST_P(AllocatorsTest, PythonWithThreadsAndForksPrintsTheSame) {
  const std::string python = "/usr/bin/python3";
  ASSERT_NE(FindProgram(python), "") << python << " is not installed";
  Command command = {.argv = {python, "-c", R"(
import json, os, subprocess, threading, zlib
def work(i): totals[i] = len(json.dumps([{"n": str(j)} for j in range(3000)]))
totals = [0] * 8
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in threads]
for code in (0, 5):
    child = os.fork()
    if child == 0: kept = [str(i) for i in range(20000)]; os._exit(code)
    print(os.waitpid(child, 0)[1])
[t.join() for t in threads]
print(totals, len(zlib.compress(b"x" * 1000000)), subprocess.check_output(["echo", "a child"]))
)"},
                     .env = Preloaded()};
  const Outcome untraced = RunProgram(command);
  ASSERT_TRUE(untraced.ok()) << untraced.err;
  command.env["ALLOCLINE_VERIFY"] = "1";
  const Recorded run = RecordCommand(command);
  ExpectSame(run.outcome, untraced);
  ExpectNamed(run.main());
  EXPECT_GE(run.processes.size(), 4);
  for (const RecordedProcess& process : run.processes) {
    EXPECT_EQ(process.recording().header().different_stacks, 0) << process.file_name();
  }
}

INSTANTIATE_TEST_SUITE_P(Preloaded, AllocatorsTest,
                         ::testing::Values("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"),
                         [](const auto& library) {
                           const std::string name = library.param;
                           return name.substr(3, name.find_first_of("._") - 3);
                         });

}  // namespace
}  // namespace allocline::testing
