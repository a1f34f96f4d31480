// What `allocline run` prepares around a program: where its recordings go, and the environment that loads the tracer.
#ifndef ALLOCLINE_TOOLS_TRACER_SETUP_H_
#define ALLOCLINE_TOOLS_TRACER_SETUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace allocline {

// The path of this program, as the kernel knows it.
std::string OwnPath();

// liballocline.so: $ALLOCLINE_LIBRARY, or beside this program as an installation or a build tree has it. Errors say
// where it was looked for, or that its path cannot stand in LD_PRELOAD.
absl::StatusOr<std::string> FindTracerLibrary();

// The directory that holds the package `allocline` for Python, as an installation or a build tree has it; empty if it
// is not there.
std::string FindPythonPackage();

struct OutputDirectory {
  std::string path;    // absolute: the program may change its own directory before a child of it is recorded
  std::string remark;  // one line when it is not the directory that was asked for
};
// Makes `wanted` if need be. If nothing can be written there, a new directory under $TMPDIR or /tmp stands in; if that
// fails too, `wanted` is given back and the tracer will keep its recordings in memory.
OutputDirectory PrepareOutputDirectory(const std::string& wanted);

struct TracerSettings {
  std::string library;  // empty: the program must not be given the tracer
  std::string output_directory;
  uint64_t run_id = 0;
  bool record_mmap = false;
  bool start_stopped = false;
  bool verify = false;
  uint64_t tracer_memory = 0;    // 0: the default, or as $ALLOCLINE_TRACER_MEMORY says
  std::string ladder;            // as base/ladder_text.h has it; empty: the default, or as $ALLOCLINE_LADDER says
  uint64_t limit = 0;            // 0: none, or as $ALLOCLINE_LIMIT says
  bool kill_at_limit = false;    // what comes with `limit`
  uint64_t sample_interval = 0;  // 0: every block is recorded, or as $ALLOCLINE_SAMPLE says
};
// Our environment with the tracer's settings in it, as "NAME=value"; LD_PRELOAD and PYTHONPATH keep what they held.
std::vector<std::string> TracedEnvironment(const TracerSettings& settings);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_TRACER_SETUP_H_
