// Labelled snapshots, taken by the process itself: a copy of all counters, written as the growth since the last one.
//
// Threads: one at a time; a second thread waits. Context: not in a signal handler that interrupted a snapshot on the
//          same thread: Take() answers EBUSY there.
#ifndef ALLOCLINE_TRACER_SNAPSHOT_H_
#define ALLOCLINE_TRACER_SNAPSHOT_H_

#include <cstdint>

namespace allocline {

// 0, or an errno: ENODATA (not tracing), ENOSPC (no room in the recording), ENOMEM, EBUSY.
int TakeSnapshot(const char* label, uint64_t rows);
// In a forked child: its recording has no snapshots yet.
void ForgetSnapshots();
// Of the buffers that snapshots are summed up in.
uint64_t SnapshotPrivateBytes();

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SNAPSHOT_H_
