// The last lines of `allocline run`: what the program, and the processes it started, left behind.
#ifndef ALLOCLINE_TOOLS_RUN_SUMMARY_H_
#define ALLOCLINE_TOOLS_RUN_SUMMARY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tools/options.h"
#include "tools/run_end.h"
#include "tools/signal_relay.h"

namespace allocline {

// A run that has ended.
struct EndedRun {
  std::string program;
  ChildEnd end;
  uint64_t elapsed_ns = 0;
  std::string output_directory;
  uint64_t run_id = 0;  // FileHeader.run_id of its recordings
  KillCounts kills_before, kills_now;
};

struct SummaryFlags {
  size_t lines = 5;
  bool quiet = false;  // only errors
  bool json = false;
  bool log_json = false;    // as messages of a connector's log (connector_log.h)
  bool by_process = false;  // a table of the processes, whatever their number
  std::string file;         // instead of stderr
  SymbolFlags symbols;
};

// Deletes the recordings of ended processes that recorded nothing of their own (a fork that only exec'ed), and
// summarises the others: the process with the highest peak in full, one line for each further one. Where the container
// ended the run, the process it killed, by what was live then, and what each of the others held.
absl::Status SummariseRun(const EndedRun& run, const SummaryFlags& flags);

// "NAME was killed by the container's OOM killer at 64 of 64 MiB", by the headers of the recordings alone: for when
// memory does not suffice to read them.
std::string DescribeEnd(const EndedRun& run);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUN_SUMMARY_H_
