// Runs a program under the tracer and gives what was recorded, in the words of the program's source.
//
//   Recorded run = Record("realloc_chain", {.variant = "clang++-O2"});
//   EXPECT_EQ(run.main().At("moved"), (Amount{.total_bytes = 100000, .total_blocks = 1}));
//
// Everything that must work for a test to mean anything (the program can be run, its recording opens without damage)
// throws when it does not, which fails the test with the reason.
#ifndef ALLOCLINE_TESTS_SUPPORT_RECORD_H_
#define ALLOCLINE_TESTS_SUPPORT_RECORD_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "recording/reader.h"
#include "report/profile.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/truth.h"

namespace allocline::testing {

// The directories of build/.../programs that this machine's compilers could fill: "g++-O0", ...
std::vector<std::string> Variants();

struct RecordOptions {
  std::string variant = "g++-O2";  // of a program of known truth
  std::vector<std::string> args;
  std::map<std::string, std::string> env;  // may set LD_PRELOAD: the tracer is put in front
  std::string input;
  std::function<void()> in_child;
  std::chrono::milliseconds time_limit = std::chrono::seconds(60);
  std::vector<std::string> libraries;  // names of other sources the program runs: "plugin_a"
};

// One recording: of one image of one process.
class RecordedProcess {
 public:
  RecordedProcess(const std::string& path, std::vector<Marker> markers);

  const Recording& recording() const { return recording_; }
  std::string file_name() const;
  uint32_t pid() const { return recording_.header().pid; }

  // Amounts by the user's line, in sources of tests/programs only. The key is the marker's name; a line without one
  // is FILE:LINE. Lines marked `any` are left out, and line 0: code that the compiler made up.
  Lines UserLines() const;
  Lines InnermostLines() const;
  // By thread name, then by the user's line.
  std::map<std::string, Lines> UserLinesByThread() const;
  // The element of UserLines(), or nothing at all.
  Amount At(const std::string& marker) const;
  // Every site, of whatever module.
  Amount Total() const;
  // Blocks of the malloc domain, of [mmap] or another.
  Lines UserLinesOfDomain(uint32_t domain) const;
  Profile Load(bool by_thread = false) const;

 private:
  std::string NameOf(const Location& location) const;  // "" when not in a test program's source, or `any`
  Lines Collect(const Profile& profile, LineOf line_of, const std::function<bool(const Site&)>& wanted) const;

  Recording recording_;
  std::vector<Marker> markers_;
};

struct Recorded {
  Outcome outcome;
  std::vector<RecordedProcess> processes;  // by start
  TempDir directory;                       // where the recordings are

  // The recording of the process that was started, its first image.
  const RecordedProcess& main() const;
  // The one other recording. Throws unless there are exactly two.
  const RecordedProcess& other() const;
  // What the markers and, where they leave it open, the program's output say. Without lines marked `any`.
  Lines truth;
};

// A program of tests/programs, by name. It runs in an empty directory.
Recorded Record(const std::string& program, const RecordOptions& options = {});
// Any command; its env is completed with what tracing needs.
Recorded RecordCommand(Command command);
// The same program without the tracer.
Outcome RunUntraced(const std::string& program, const RecordOptions& options = {});

// The environment that traces into `directory`.
std::map<std::string, std::string> TracingEnvironment(const std::string& directory,
                                                      std::map<std::string, std::string> env = {});

// Paths of the recordings in a directory.
std::vector<std::string> RecordingsIn(const std::string& directory);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_RECORD_H_
