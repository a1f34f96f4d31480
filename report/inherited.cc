#include "report/inherited.h"

#include <string.h>

#include <algorithm>

namespace allocline {
namespace {

// The image that forked: a process that executed another program since has a recording of its own for that.
bool MayHaveForked(const format::FileHeader& parent, const format::FileHeader& child) {
  return parent.pid == child.parent_pid && parent.start_monotonic_ns <= child.start_monotonic_ns &&
         parent.run_id == child.run_id && memcmp(parent.boot_id, child.boot_id, sizeof parent.boot_id) == 0 &&
         strncmp(parent.program, child.program, sizeof parent.program) == 0;
}

// Of bytes or blocks alike. `had`: at the fork.
void TakeOff(uint64_t had, uint64_t* allocated, uint64_t* freed, uint64_t* inherited) {
  const uint64_t live = *allocated > *freed ? *allocated - *freed : 0;
  const uint64_t still = std::min(had, live);
  *allocated -= std::min(had, *allocated);
  *freed -= std::min(had - still, *freed);
  *inherited += still;
}

}  // namespace

std::vector<std::optional<size_t>> FindParents(std::span<const format::FileHeader* const> processes) {
  std::vector<std::optional<size_t>> parents(processes.size());
  for (size_t child = 0; child < processes.size(); ++child) {
    if ((processes[child]->flags & format::kFlagForked) == 0) continue;
    for (size_t i = 0; i < processes.size(); ++i) {
      if (i == child || !MayHaveForked(*processes[i], *processes[child])) continue;
      std::optional<size_t>& parent = parents[child];
      if (!parent || processes[i]->start_monotonic_ns > processes[*parent]->start_monotonic_ns) parent = i;
    }
  }
  return parents;
}

SiteCounters TakeOffInherited(const Recording& recording, std::vector<SiteCounters>* counters) {
  SiteCounters inherited;
  for (const RecordedThread& thread : recording.threads()) {
    if (thread.kind != format::ThreadKind::kInherited) continue;
    for (const auto& [site, had] : thread.counters) {
      if (site >= counters->size()) continue;
      SiteCounters& now = (*counters)[site];
      const bool counts = recording.SampleInterval(site) == 0;  // as in Recording::Totals()
      uint64_t bytes = 0, blocks = 0;
      TakeOff(had.allocated_bytes - had.freed_bytes, &now.allocated_bytes, &now.freed_bytes, &bytes);
      TakeOff(had.allocated_blocks - had.freed_blocks, &now.allocated_blocks, &now.freed_blocks, &blocks);
      if (!counts) continue;
      inherited.allocated_bytes += bytes;
      inherited.allocated_blocks += blocks;
    }
  }
  return inherited;
}

}  // namespace allocline
