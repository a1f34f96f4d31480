// What the kernel charges to the memory cgroup of a process: the figure a container is killed by.
//
// A container dies by its cgroup's limit, and what counts against that limit is more than the heap: page tables,
// stacks, tmpfs files, page cache. Page cache that nobody has used lately (`inactive_file`) is given back before
// anybody is killed, so it is taken off here; what remains is what container tools call the working set.
//
// cgroup v2 and v1 are both read, mounted where every distribution mounts them, /sys/fs/cgroup. The limit is the
// smallest one on the way up to the root. A process in the root cgroup without a limit is in no container: not found.
//
// Threads: any. Context: runs inside malloc too: no allocation, no lock, no libstdc++, 3 KiB of stack, errno is kept.
#ifndef ALLOCLINE_BASE_CGROUP_H_
#define ALLOCLINE_BASE_CGROUP_H_

#include <stdint.h>

namespace allocline {

struct ContainerMemory {
  uint64_t usage_bytes = 0;  // usage without inactive file pages
  uint64_t limit_bytes = 0;  // 0: no limit
  bool found = false;
};

// `pid` 0 is the calling process. `root` stands before /proc and /sys/fs/cgroup in every path (tests).
ContainerMemory ReadContainerMemory(int pid, const char* root = "");

}  // namespace allocline

#endif  // ALLOCLINE_BASE_CGROUP_H_
