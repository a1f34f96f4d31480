// The processes of a run, each with its recording and what it held.
#ifndef ALLOCLINE_TOOLS_RUN_PROCESSES_H_
#define ALLOCLINE_TOOLS_RUN_PROCESSES_H_

#include <cstdint>
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
  bool is_running = false;
  ContainerEvidence evidence;
};

// Those whose recordings in `directory` are of the run, the one of the highest peak first. Deletes the recordings of
// ended processes that recorded nothing of their own: a fork that only exec'ed.
std::vector<RunProcess> CollectProcesses(const std::string& directory, uint64_t run_id);

// A line for each but the first; programs that only ran others in their place share one.
std::string RenderFurtherProcesses(const std::vector<RunProcess>& processes);

// Without the leading lines.
ProcessRow RowOf(const RunProcess& process);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUN_PROCESSES_H_
