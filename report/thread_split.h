// Whose blocks are those that are still live at a site several threads use?
//
// A recording counts, for every site and thread, what the thread allocated there and what it freed of blocks allocated
// there, by itself or by others; it does not count which thread's block was freed. So:
//
//   1. A thread's frees are taken from its own allocations at the site first.
//   2. What a thread freed beyond that were blocks of others: they are taken from the threads with blocks left, in
//      proportion to what they have left.
//
//                 allocated  freed   after 1        after 2
//   producer A        600       0      600    600 - 300 * 600/800 = 375
//   producer B        200       0      200    200 - 300 * 200/800 = 125
//   consumer            0     300     -300                            0
//
// The sum over the threads is the site's live figure, always. The split is exact where one thread allocates, or where
// nothing was freed; elsewhere it is an estimate, and says so.
#ifndef ALLOCLINE_REPORT_THREAD_SPLIT_H_
#define ALLOCLINE_REPORT_THREAD_SPLIT_H_

#include <cstdint>
#include <vector>

#include "recording/reader.h"

namespace allocline {

struct ThreadCounters {
  uint32_t thread = 0;
  SiteCounters counters;
};

struct ThreadShare {
  uint32_t thread = 0;
  int64_t live_bytes = 0, live_blocks = 0;
  uint64_t total_bytes = 0, total_blocks = 0;  // allocated by this thread
};

struct ThreadSplit {
  std::vector<ThreadShare> shares;  // one per element of the argument, in its order
  bool exact = true;
};

// `counters`: all of one site, at most one element per thread.
ThreadSplit SplitByThread(const std::vector<ThreadCounters>& counters);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_THREAD_SPLIT_H_
