// What a forked process has from its parent, so that the memory of several processes adds up.
//
// A fork copies nothing: parent and child hold the same pages until one of both writes to them. The recording of the
// child begins with all that was live in the parent, for the child may free it; added to the parent's it would count
// twice, and seven times with seven workers. So where the recordings of both are added up, a block is counted in the
// process that allocated it, and what the child inherited is taken off the child's.
//
// Which blocks of a site the child has freed since is not known, only how many: what is still live of it counts as
// inherited as far as that was so much at the fork. And a parent that frees what its child keeps takes it out of the
// sum. Both are exact as long as neither frees what was there at the fork, as in a pool of workers.
#ifndef ALLOCLINE_REPORT_INHERITED_H_
#define ALLOCLINE_REPORT_INHERITED_H_

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "recording/reader.h"

namespace allocline {

// For each process the index of the one it was forked from, if that is among them.
std::vector<std::optional<size_t>> FindParents(std::span<const format::FileHeader* const> processes);

// Takes what `recording`'s process inherited off its counters (by site), and gives how much of that was live in them.
SiteCounters TakeOffInherited(const Recording& recording, std::vector<SiteCounters>* counters);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_INHERITED_H_
