// The processes of a run, each with its recording and what it held.
#ifndef ALLOCLINE_TOOLS_RUN_PROCESSES_H_
#define ALLOCLINE_TOOLS_RUN_PROCESSES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/process_table.h"
#include "tools/recording_files.h"
#include "tools/run_end.h"

namespace allocline {

struct RunProcess {
  RecordingFile file;
  // With what its threads had not yet added to the header. Zero if the recording cannot be read.
  uint64_t live_bytes = 0, peak_bytes = 0;
  // Of live_bytes, what it has from the process it was forked from, if that is one of the run (report/inherited.h).
  uint64_t inherited_bytes = 0;
  std::optional<size_t> forked_from;  // its index
  bool is_running = false;
  ContainerEvidence evidence;
};

// Those whose recordings in `directory` are of the run, the one of the highest peak first. Deletes the recordings of
// ended processes that recorded nothing of their own: a fork that only exec'ed.
std::vector<RunProcess> CollectProcesses(const std::string& directory, uint64_t run_id);

// Those whose memory was there when `victim` was killed, as far as their recordings tell: not what a process was before
// it executed another program, and none that had ended by itself.
std::vector<const RunProcess*> AliveWith(const RunProcess& victim, const std::vector<RunProcess>& processes);

// A line for each but the first; programs that only ran others in their place share one.
std::string RenderFurtherProcesses(const std::vector<RunProcess>& processes);

// Without the leading lines.
ProcessRow RowOf(const RunProcess& process);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUN_PROCESSES_H_
