// How a run ended: what the program itself did, and what its container did to it.
//
// A process that the kernel kills for a full container says nothing: it is gone, and what started it sees SIGKILL, as
// of any other kill. Three things tell that it was the container. The cgroup counts such kills (memory.events in v2,
// memory.oom_control in v1), and the tracer noted the count when it started. The cgroup has the most it ever held, too:
// what the process itself saw last may be far below, for pages that are touched long after they were asked for pass it
// by. And a process that was given a limit by `run --limit` says that it ended itself there.
//
// Where no recording came to be (a full disk, a program that cannot be traced), the counts of our own cgroup and those
// below it are compared with what they were before.
#ifndef ALLOCLINE_TOOLS_RUN_END_H_
#define ALLOCLINE_TOOLS_RUN_END_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cgroup.h"
#include "tools/recording_files.h"
#include "tools/signal_relay.h"

namespace allocline {

// What is known of the container of one recorded process.
struct ContainerEvidence {
  bool was_killed = false;                    // it has ended, and neither by exit() nor by _exit()
  uint64_t kills_before = 0, kills_now = 0;   // in its cgroup; format::kNotCounted where the kernel does not say
  uint64_t usage_bytes = 0, limit_bytes = 0;  // as last seen by it; limit 0: none
  ContainerMemory at_most = {};               // of a killed one: what the kernel has counted in its cgroup
  bool ended_itself = false;                  // at limit_bytes, which was given to it
};
// Looks at the cgroup as it is now.
ContainerEvidence EvidenceOf(const format::FileHeader& header);

// The cgroups that processes we start are charged to, and how often the kernel has killed in each: our own, and, with
// version 1, which counts for each group alone, those below it if it is a container (has a limit).
class KillCounts {
 public:
  // As they are now. `root` stands before /proc and every mount point (tests).
  static KillCounts Read(const char* root = "");
  // Whether the kernel has killed in one of them since `before`.
  bool RoseSince(const KillCounts& before) const;
  uint64_t limit_bytes() const { return limit_bytes_; }  // 0: none

 private:
  std::map<std::string, uint64_t> kills_;  // by directory
  uint64_t limit_bytes_ = 0;
};

enum class ContainerDeed {
  kNone,
  kKilled,        // the kernel's OOM killer did it: it counted
  kLikelyKilled,  // SIGKILL came when the container was full; there is no count to be read
  kGivenLimit,    // `run --limit` stood in for a container
};
struct ContainerVerdict {
  ContainerDeed deed = ContainerDeed::kNone;
  uint64_t usage_bytes = 0, limit_bytes = 0;  // 0: unknown
  std::optional<size_t> victim;               // index of the evidence it follows from; none: no recording tells
};
// `evidence`: of all processes of the run, the one that held the most first. `before`, `now`: of the run as a whole.
ContainerVerdict Judge(const ChildEnd& end, std::span<const ContainerEvidence> evidence, const KillCounts& before,
                       const KillCounts& now);

// "was killed by the container's OOM killer at 1022 of 1024 MiB", "exited with 0 after 1.2 s". `victim` names the
// process that was killed where that is not the one that was started: "" if it is.
std::string EndText(const ChildEnd& end, uint64_t elapsed_ns, const ContainerVerdict& verdict,
                    const std::string& victim);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUN_END_H_
