// Labelled snapshots, taken by the process itself: a copy of all counters, written as the growth since the last one.
//
// Those that the program asks for by label are all kept. Checkpoints may be a million, so they thin out as they take
// room: all are kept until they have taken a quarter of the tracer's budget; from then on every second one, and each
// further sixteenth of the budget doubles the distance again. A program of n checkpoints, of whatever size, so has the
// recording grow by a quarter of the budget and by log2(n) sixteenths of it; what was left out is counted in the
// header. Counters and `rows` are totals since the start, so nothing is lost but the moments between.
//
// Threads: one at a time; a second thread waits.
// Context: inside malloc too (the ladder's). Not in a signal handler that interrupted a snapshot on the same thread:
//          TakeSnapshot() answers EBUSY there.
#ifndef ALLOCLINE_TRACER_SNAPSHOT_H_
#define ALLOCLINE_TRACER_SNAPSHOT_H_

#include <cstdint>

#include "recording/format.h"

namespace allocline {

// 0, or an errno: ENODATA (not tracing), ENOSPC (no room in the recording), ENOMEM, EBUSY. A checkpoint that is left
// out is no error.
int TakeSnapshot(const char* label, uint64_t rows, format::SnapshotKind kind = format::SnapshotKind::kLabelled);
// In a forked child: its recording has no snapshots yet.
void ForgetSnapshots();
// Of the buffers that snapshots are summed up in.
uint64_t SnapshotPrivateBytes();
// What a snapshot would take now, at most: buffers that are still to grow, and the recording.
uint64_t SnapshotNeeds();

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SNAPSHOT_H_
