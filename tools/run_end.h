// How a run ended: what the program itself did, and what its container did to it.
//
// A process that the kernel kills for a full container says nothing: it is gone, and what started it sees SIGKILL, as
// of any other kill. Three things tell that it was the container. The cgroup counts such kills (memory.events in v2,
// memory.oom_control in v1), and the tracer noted the count when it started. It noted how full the container was, too,
// each time that grew. And a process that was given a limit by `run --limit` says that it ended itself there.
#ifndef ALLOCLINE_TOOLS_RUN_END_H_
#define ALLOCLINE_TOOLS_RUN_END_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tools/recording_files.h"
#include "tools/signal_relay.h"

namespace allocline {

// What is known of the container of one recorded process.
struct ContainerEvidence {
  bool was_killed = false;                    // it has ended, and not by its exit handlers
  uint64_t kills_before = 0, kills_now = 0;   // in its cgroup; format::kNotCounted where the kernel does not say
  uint64_t usage_bytes = 0, limit_bytes = 0;  // as last seen by it; limit 0: none
  bool ended_itself = false;                  // at limit_bytes, which was given to it
};
// Looks at the cgroup as it is now.
ContainerEvidence EvidenceOf(const format::FileHeader& header);

enum class ContainerDeed {
  kNone,
  kKilled,        // the kernel's OOM killer did it: it counted
  kLikelyKilled,  // SIGKILL came when the container was full; there is no count to be read
  kGivenLimit,    // `run --limit` stood in for a container
};
struct ContainerVerdict {
  ContainerDeed deed = ContainerDeed::kNone;
  uint64_t usage_bytes = 0, limit_bytes = 0;  // 0: unknown
  size_t victim = 0;                          // index of the evidence it follows from
};
// `evidence`: of all processes of the run, the one that held the most first.
ContainerVerdict Judge(const ChildEnd& end, std::span<const ContainerEvidence> evidence);

// "was killed by the container's OOM killer at 1022 of 1024 MiB", "exited with 0 after 1.2 s". `victim` names the
// process that was killed where that is not the one that was started: "" if it is.
std::string EndText(const ChildEnd& end, uint64_t elapsed_ns, const ContainerVerdict& verdict,
                    const std::string& victim);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUN_END_H_
