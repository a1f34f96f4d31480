#include "report/thread_split.h"

#include <algorithm>
#include <numeric>

namespace allocline {
namespace {

// Takes what the negative elements are short of from the positive ones, in proportion. Running sums are rounded, not
// elements, so nothing is lost or made. If there is more to take than there is, the rest stays where it is: negative.
void SpreadDeficit(std::vector<int64_t>& left) {
  int64_t available = 0, deficit = 0;
  for (int64_t value : left) (value > 0 ? available : deficit) += value > 0 ? value : -value;
  int64_t taken = std::min(available, deficit);
  if (taken == 0) return;
  int64_t passed = 0, taken_before = 0;
  int64_t filled = taken;  // what is still to be handed to the negative elements
  for (int64_t& value : left) {
    if (value > 0) {
      passed += value;
      int64_t taken_after = static_cast<int64_t>(static_cast<__int128>(taken) * passed / available);
      value -= taken_after - taken_before;
      taken_before = taken_after;
    } else {
      int64_t filling = std::min(filled, -value);
      value += filling;
      filled -= filling;
    }
  }
}

}  // namespace

ThreadSplit SplitByThread(const std::vector<ThreadCounters>& all) {
  ThreadSplit split;
  std::vector<int64_t> bytes, blocks;
  size_t allocating = 0;
  bool any_freed = false;
  for (const ThreadCounters& one : all) {
    bytes.push_back(one.counters.live_bytes());
    blocks.push_back(one.counters.live_blocks());
    allocating += one.counters.allocated_blocks > 0;
    any_freed |= one.counters.freed_blocks > 0;
  }
  split.exact = allocating <= 1 || !any_freed;
  SpreadDeficit(bytes);
  SpreadDeficit(blocks);
  for (size_t i = 0; i < all.size(); ++i) {
    split.shares.push_back({.thread = all[i].thread,
                            .live_bytes = bytes[i],
                            .live_blocks = blocks[i],
                            .total_bytes = all[i].counters.allocated_bytes,
                            .total_blocks = all[i].counters.allocated_blocks});
  }
  return split;
}

}  // namespace allocline
