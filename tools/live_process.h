// A running traced process, seen from outside: which recording it writes, and what the kernel says of its memory.
//
// Everything comes from /proc and the cgroup's files. No ptrace, no signal, no socket: what may be read is what the
// kernel lets the user read of the process (PTRACE_MODE_READ: the same user, or root), whatever Yama forbids.
#ifndef ALLOCLINE_TOOLS_LIVE_PROCESS_H_
#define ALLOCLINE_TOOLS_LIVE_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/cgroup.h"

namespace allocline {

// The process number `text` is, if it is one.
std::optional<pid_t> ParsePid(std::string_view text);

// A path under which the recording of process `pid` can be opened now. It is the file the process has mapped, found in
// /proc/PID/maps; where that may not be read, a recording of the process in the current directory or
// $ALLOCLINE_OUTPUT. Errors, with kNoTracedProcess: no such process, not traced, not ours to read.
absl::StatusOr<std::string> FindRecordingOf(pid_t pid);

struct ProcessMemory {
  uint64_t rss_bytes = 0;  // 0: the process has ended
  ContainerMemory container;
};
ProcessMemory ReadProcessMemory(pid_t pid);

// What the process holds if each page is divided among those that share it. The kernel walks its page tables for that:
// some milliseconds per GiB. 0: not known.
uint64_t ReadProportionalBytes(pid_t pid);

// Field 22 of /proc/PID/stat: tells a process from a later one of its number.
std::optional<uint64_t> ProcessStartTicks(pid_t pid);

// Whether `boot_id`, 16 raw bytes, is that of the running kernel.
bool IsThisBoot(const uint8_t* boot_id);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_LIVE_PROCESS_H_
