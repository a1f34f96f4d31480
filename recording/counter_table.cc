#include "recording/counter_table.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/status_macros.h"
#include "recording/table_reader.h"

namespace allocline {

using format::ChunkOwner;
using format::Counter;
using format::CounterChunk;
using format::TableKind;

namespace {

SiteCounters ValueOf(const Counter& counter) {
  return {counter.allocated_bytes, counter.allocated_blocks, counter.freed_bytes, counter.freed_blocks};
}

SiteCounters SumOf(const CounterChunk& chunk) {
  SiteCounters sum;
  for (const Counter& counter : chunk.counters) sum += ValueOf(counter);
  return sum;
}

bool Counts(const CounterChunk& chunk) {
  return std::any_of(std::begin(chunk.counters), std::end(chunk.counters),
                     [](const Counter& counter) { return ValueOf(counter).any(); });
}

}  // namespace

absl::Status CounterTable::ReadFreed(TableMap& map) {
  RETURN_IF_ERROR(map.Refresh());
  chunks_.reserve(map.Readable(TableKind::kCounters) / sizeof(CounterChunk));
  RETURN_IF_ERROR(ForEachRecord<CounterChunk>(map, TableKind::kCounters,
                                              [this](size_t, const CounterChunk& chunk) { chunks_.push_back(chunk); }));
  // Pairs with the writers' order: an allocation is counted before anyone can free the block. No `allocated` is read
  // before here.
  std::atomic_thread_fence(std::memory_order_acquire);
  return absl::OkStatus();
}

absl::Status CounterTable::ReadAllocated(TableMap& map) {
  RETURN_IF_ERROR(map.Refresh());  // threads may have added chunks: allocations in them may be freed in those we know
  const size_t known = chunks_.size();
  const size_t now = map.Readable(TableKind::kCounters) / sizeof(CounterChunk);
  if (now < known) return map.Damaged(TableKind::kCounters, 0, "the table became smaller while it was read");
  chunks_.resize(now);
  return ForEachRecord<CounterChunk>(map, TableKind::kCounters, [this](size_t index, const CounterChunk& latest) {
    for (uint32_t i = 0; i < format::kSitesPerChunk; ++i) {
      Counter& counter = chunks_[index].counters[i];
      counter.allocated_bytes = latest.counters[i].allocated_bytes;
      counter.allocated_blocks = latest.counters[i].allocated_blocks;
      quiet_ &= counter.freed_bytes == latest.counters[i].freed_bytes &&
                counter.freed_blocks == latest.counters[i].freed_blocks;
    }
  });
}

absl::Status CounterTable::ReadOwners(TableMap& map) {
  RETURN_IF_ERROR(map.Refresh());
  return ForEachRecord<ChunkOwner>(map, TableKind::kChunkOwners,
                                   [this](size_t, const ChunkOwner& owner) { owners_.push_back(owner); });
}

void CounterTable::Visit(absl::FunctionRef<void(uint32_t, uint64_t, const SiteCounters&)> visit) const {
  std::vector<uint32_t> order;  // chunks by thread and group: those of one thread and group add up
  for (uint32_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (owned(chunk) && Counts(chunks_[chunk])) order.push_back(chunk);
  }
  auto key = [this](uint32_t chunk) { return std::pair(owners_[chunk].thread_plus_one, owners_[chunk].group); };
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return key(a) < key(b); });

  for (size_t first = 0, next = 0; first < order.size(); first = next) {
    const ChunkOwner owner = owners_[order[first]];
    while (next < order.size() && key(order[next]) == key(order[first])) ++next;
    for (uint32_t i = 0; i < format::kSitesPerChunk; ++i) {
      SiteCounters sum;
      for (size_t k = first; k < next; ++k) sum += ValueOf(chunks_[order[k]].counters[i]);
      if (sum.any()) visit(owner.thread_plus_one - 1, uint64_t{owner.group} * format::kSitesPerChunk + i, sum);
    }
  }
}

SiteCounters CounterTable::ownerless() const {
  SiteCounters sum;
  for (size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (!owned(chunk)) sum += SumOf(chunks_[chunk]);
  }
  return sum;
}

}  // namespace allocline
