// What the kernel charges to the memory cgroup of a process, and the limit it is killed at.
//
// A container dies by its cgroup's limit, and what counts against that limit is more than the heap: page tables,
// stacks, tmpfs files, page cache. Page cache that nobody has used lately (`inactive_file`) is given back before
// anybody is killed, so it is taken off here; what remains is what container tools call the working set.
//
// Which directory that is, is said in two places: /proc/PID/cgroup has the group's path in its hierarchy, and
// /proc/self/mountinfo where a hierarchy is mounted and from which group on. Both may be cut by a cgroup namespace, and
// a container may be shown its group as if it were the root, with or without one:
//
//   /proc/PID/cgroup          a mount's root     its directory
//   4:memory:/pod/inner       /                  MOUNT/pod/inner
//   0::/pod/inner             /pod               MOUNT/inner           bound from the host
//   0::/                      /                  MOUNT                 a cgroup namespace
//   0::/                      /..                MOUNT                 a mount from outside of our namespace: of our
//                                                                      ancestor, whose limit holds for us too
//   4:memory:/docker/0123     /                  MOUNT, where MOUNT/docker/0123 is not there
//   0::/../other              any                none: a group outside our namespace, that we cannot see
//   0::/pod/inner             /                  MOUNT/pod, where the memory controller is not enabled for inner
//
// v1 and v2 may be there at once; the memory controller is in v1 where a line of /proc/PID/cgroup names it. Where
// mountinfo tells nothing, the usual places are looked at: /sys/fs/cgroup/memory, /sys/fs/cgroup.
//
// A limit holds for all groups below it, and what counts against it is what they use together. So of the groups from
// the process's own up to the mount the figures are those of the one that has the least room left: that one kills. "No
// limit" is what is no number ("max", or anything else), and a limit that is more than the machine has.
//
// A process in the root group without a limit is in no container: not found.
//
// Threads: any. Context: runs inside malloc too: no allocation, no lock, no libstdc++, 4 KiB of stack, no errno.
#ifndef ALLOCLINE_BASE_CGROUP_H_
#define ALLOCLINE_BASE_CGROUP_H_

#include <stdint.h>

namespace allocline {

enum class CgroupVersion : uint32_t { kNone = 0, kV1 = 1, kV2 = 2 };

// Where the figures of a process's group are: good as long as nobody moves the process or the mount.
struct Cgroup {
  CgroupVersion version = CgroupVersion::kNone;
  uint32_t mount_bytes = 0;    // of `directory`: what lies behind are groups
  uint64_t machine_bytes = 0;  // memory of the machine: a limit of more is none
  char directory[768] = "";    // NUL-terminated

  bool found() const { return version != CgroupVersion::kNone; }
};

struct ContainerMemory {
  uint64_t usage_bytes = 0;  // usage without inactive file pages
  uint64_t limit_bytes = 0;  // 0: no limit
  bool found = false;
};

// What the usage of the deciding group consists of, of all processes below it together: the four add up to
// ContainerMemory::usage_bytes, but for what the kernel has charged in advance (256 KiB a processor at most).
struct ContainerParts {
  uint64_t anonymous_bytes = 0;
  uint64_t file_bytes = 0;    // page cache of files that are not inactive, shared memory apart
  uint64_t shared_bytes = 0;  // tmpfs, shared anonymous memory
  uint64_t kernel_bytes = 0;  // page tables, stacks of the kernel, slab, buffers of sockets
  ContainerMemory memory;     // read at once with them
  bool found = false;         // memory.stat says so
};

// `pid` 0 is the calling process. `root` stands before /proc and every mount point (tests).
Cgroup FindCgroup(int pid, const char* root = "");
// Changes when the calling process is moved to another group. One small file is read. 0: it cannot be read.
uint64_t CgroupMembership(const char* root = "");
ContainerMemory ReadContainerMemory(const Cgroup& group);
ContainerParts ReadContainerParts(const Cgroup& group);
// The most that was ever charged to a group, and its limit: what is left to be read when a process was killed for it.
// Of the group that has the limit `seen_limit`, from this one upwards; if none has it any more, of that which came
// nearest to its limit. It counts all page cache, also what would be given back, but is never said to be more than the
// limit. Not found: no limit, nobody counts it (version 2 before Linux 5.19), or the group is gone.
ContainerMemory ReadContainerPeak(const Cgroup& group, uint64_t seen_limit);
// How often the kernel has killed a process of this very group because it was full; false if the kernel does not say.
bool ReadOomKills(const Cgroup& group, uint64_t* kills);

// Both in one.
ContainerMemory ReadContainerMemory(int pid, const char* root = "");

}  // namespace allocline

#endif  // ALLOCLINE_BASE_CGROUP_H_
