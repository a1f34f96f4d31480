// What was live at the peak: a copy of every site's live bytes and blocks, taken when the process comes to a new peak.
//
// Per event it costs nothing. Where a thread publishes its share of the live total (Tracer::Flush, once per K bytes of
// change), one load and one comparison tell whether a copy is due: when the total is 1 % and K above the last copy's. A
// copy reads the counters of all threads, so its cost grows with the number of sites (a million: some 10 ms). Two
// things bound what that adds up to: the steps are geometric, so that a heap that doubles is copied 70 times at most;
// and none is taken while those before have used more processor time than 1 % of the time since the start, and 2 ms.
// What that makes us miss shows: the copy says how close to the peak it was taken.
//
// The recording has room for two copies, used in turn (format::PeakCopy): while one is written, the other is whole.
// That holds for a reader at any instant, and for one that comes after a SIGKILL in the middle.
//
// Threads: any. One copies at a time; another that finds a copy due meanwhile goes on without.
// Context: inside malloc, with signals blocked while it copies: no handler can leave a copy half done, or wait for it.
// When full: no copy is taken any more; the last one stays.
#ifndef ALLOCLINE_TRACER_PEAK_COPY_H_
#define ALLOCLINE_TRACER_PEAK_COPY_H_

#include <atomic>
#include <cstdint>

#include "recording/writer.h"

namespace allocline {

class PeakCopier {
 public:
  void Init(RecordingWriter* recording) { recording_ = recording; }
  // In a forked child, whose recording has no copy yet.
  void InitAfterFork();

  // `live`: of the process now, as far as it is published.
  bool IsDue(int64_t live) const { return live > due_above_.load(std::memory_order_relaxed); }
  // Takes a copy of the first `sites` sites, unless another thread is at it or there is no time for it.
  void Copy(int64_t live, uint32_t sites);
  // After peak_epoch was raised: the copies there are belong to a peak that is forgotten.
  void Forget();

 private:
  bool MakeRoom(format::TableKind table, uint64_t bytes);
  void SumLive(format::PeakSite* out, uint32_t sites) const;

  RecordingWriter* recording_ = nullptr;
  std::atomic<int64_t> due_above_{0};
  std::atomic<bool> busy_{false};
  uint64_t sequence_ = 0;  // of the last copy; used by the thread that made `busy_` true
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PEAK_COPY_H_
