// Finds recordings among files by their headers alone, without reading them.
#ifndef ALLOCLINE_TOOLS_RECORDING_FILES_H_
#define ALLOCLINE_TOOLS_RECORDING_FILES_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recording/format.h"

namespace allocline {

inline constexpr std::string_view kRecordingSuffix = ".allocline";

struct RecordingFile {
  std::string path;
  format::FileHeader header;
};

// The header of the recording at `path`, if it begins like one of a version we know. The rest of it is unchecked.
std::optional<format::FileHeader> PeekHeader(const std::string& path);

// The recordings of processes, *.allocline, in `directory` whose header `matches`, by path. Snapshots that stand alone
// are none.
std::vector<RecordingFile> FindRecordings(const std::string& directory,
                                          const std::function<bool(const format::FileHeader&)>& matches);

// Whether the recorded process still runs: on this machine, since this boot, and not another one of its number.
bool IsRunning(const format::FileHeader& header);

// The running process that has the recording at `path` open, if it can be seen. Unlike IsRunning() this tells a process
// from what it was before an exec.
std::optional<pid_t> FindWriterOf(const std::string& path, const format::FileHeader& header);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RECORDING_FILES_H_
