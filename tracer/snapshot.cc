#include "tracer/snapshot.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/pages.h"
#include "base/spin_lock.h"
#include "base/varint.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

using format::ChunkOwner;
using format::Counter;
using format::CounterChunk;
using format::LedgerRecord;
using format::SnapshotKind;
using format::SnapshotRecord;
using format::SnapshotTail;
using format::TableKind;

SpinLock g_lock;

// Counters of every site, by SiteId, as private memory that grows.
class Totals {
 public:
  bool Reserve(uint32_t sites) {
    if (sites <= capacity_) return true;
    uint32_t capacity = capacity_ == 0 ? 128 : capacity_;
    while (capacity < sites) capacity *= 2;
    auto* larger = static_cast<Counter*>(MapPages(RoundUpToPage(capacity * sizeof(Counter))));
    if (larger == nullptr) return false;
    if (totals_ != nullptr) {
      memcpy(larger, totals_, capacity_ * sizeof(Counter));
      UnmapPages(totals_, RoundUpToPage(capacity_ * sizeof(Counter)));
    }
    totals_ = larger;
    capacity_ = capacity;
    return true;
  }
  void Zero() {
    if (totals_ != nullptr) memset(static_cast<void*>(totals_), 0, capacity_ * sizeof(Counter));
  }
  // What a larger one would take beside this.
  uint64_t BytesToReserve(uint32_t sites) const {
    uint64_t capacity = capacity_ == 0 ? 128 : capacity_;
    while (capacity < sites) capacity *= 2;
    return capacity == capacity_ ? 0 : RoundUpToPage(capacity * sizeof(Counter));
  }
  uint64_t bytes() const { return RoundUpToPage(LoadRelaxed(capacity_) * sizeof(Counter)); }
  Counter& operator[](uint32_t site) { return totals_[site]; }

 private:
  Counter* totals_ = nullptr;
  uint32_t capacity_ = 0;
};

Totals g_before, g_now;  // guarded by g_lock

// All counters, summed over threads: every `freed` first, then every `allocated`, so that no free is seen without its
// allocation (invariant (3) of format.h).
void SumCounters(RecordingWriter& recording, uint32_t sites) {
  g_now.Zero();
  const auto* owners = reinterpret_cast<const ChunkOwner*>(recording.base(TableKind::kChunkOwners));
  const auto* chunks = reinterpret_cast<const CounterChunk*>(recording.base(TableKind::kCounters));
  const auto for_each = [&](auto add) {
    // Counted anew for each pass: what a chunk of the first pass freed may have been allocated in one that came since.
    const uint64_t owner_count = recording.used(TableKind::kChunkOwners) / sizeof(ChunkOwner);
    for (uint64_t i = 0; i < owner_count; ++i) {
      if (LoadAcquire(owners[i].thread_plus_one) == 0) continue;
      const uint32_t first = owners[i].group * format::kSitesPerChunk;
      for (uint32_t s = 0; s < format::kSitesPerChunk && first + s < sites; ++s) {
        add(g_now[first + s], chunks[i].counters[s]);
      }
    }
  };
  for_each([](Counter& total, const Counter& counter) {
    total.freed_bytes += LoadRelaxed(counter.freed_bytes);
    total.freed_blocks += LoadRelaxed(counter.freed_blocks);
  });
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  for_each([](Counter& total, const Counter& counter) {
    total.allocated_bytes += LoadRelaxed(counter.allocated_bytes);
    total.allocated_blocks += LoadRelaxed(counter.allocated_blocks);
  });
}

bool Same(const Counter& a, const Counter& b) {
  return a.allocated_bytes == b.allocated_bytes && a.allocated_blocks == b.allocated_blocks &&
         a.freed_bytes == b.freed_bytes && a.freed_blocks == b.freed_blocks;
}

// Which checkpoints are kept.
class CheckpointSieve {
 public:
  bool Pass() { return asked_++ % distance_ == 0; }
  // It was kept, in so many bytes.
  void Keep(uint64_t bytes, uint64_t budget) {
    used_ += bytes;
    if (used_ < (distance_ == 1 ? budget / 4 : budget / 16)) return;
    used_ = 0;
    distance_ *= 2;
  }

 private:
  uint64_t asked_ = 0;
  uint64_t distance_ = 1;  // a power of two
  uint64_t used_ = 0;      // bytes of those kept at this distance
};

CheckpointSieve g_checkpoints;  // guarded by g_lock

struct Payload {
  uint32_t entries = 0;
  uint64_t bytes = 0;
};

// The payload of format.h's SnapshotRecord. With `out` null it is only measured.
Payload Encode(uint32_t sites, unsigned char* out) {
  Payload payload;
  uint32_t previous = 0;
  for (uint32_t site = 0; site < sites; ++site) {  // 0: what is counted without a stack
    const Counter& now = g_now[site];
    const Counter& before = g_before[site];
    if (Same(now, before)) continue;
    const uint64_t values[] = {site - previous, now.allocated_bytes - before.allocated_bytes,
                               now.allocated_blocks - before.allocated_blocks, now.freed_bytes - before.freed_bytes,
                               now.freed_blocks - before.freed_blocks};
    for (const uint64_t value : values) {
      payload.bytes += VarintBytes(value);
      if (out != nullptr) out = EncodeVarint(value, out);
    }
    ++payload.entries;
    previous = site;
  }
  return payload;
}

// Counts a checkpoint that is asked for.
bool IsLeftOut() {
  format::FileHeader& header = g_tracer.recording().header();
  AddRelaxed(header.checkpoints, 1u);
  SpinLockHolder lock(g_lock);
  if (!lock.held() || g_checkpoints.Pass()) return false;
  AddRelaxed(header.checkpoints_left_out, 1u);
  return true;
}

}  // namespace

int TakeSnapshot(const char* label, uint64_t rows, SnapshotKind kind) {
  if (!g_tracer.EnsureOwnRecording() || !g_tracer.active()) return ENODATA;
  if (kind == SnapshotKind::kCheckpoint && IsLeftOut()) return 0;
  // Before the lock is taken: a reading may pass a rung of the ladder, and that takes a snapshot of its own.
  if (kind == SnapshotKind::kCheckpoint) {
    g_tracer.SampleIfOld();
  } else if (kind != SnapshotKind::kRung && kind != SnapshotKind::kTooLargeRequest) {
    g_tracer.Sample();
  }
  const bool has_ledger =
      kind != SnapshotKind::kCheckpoint &&
      g_tracer.ReadLedger(kind == SnapshotKind::kLabelled ? Tracer::Wish::kWanted : Tracer::Wish::kAlways);
  SpinLockHolder lock(g_lock);
  if (!lock.held()) return EBUSY;
  RecordingWriter& recording = g_tracer.recording();
  const uint32_t sites = g_tracer.sites().site_count();
  if (!g_before.Reserve(sites) || !g_now.Reserve(sites)) return ENOMEM;
  int64_t live = 0;
  uint64_t peak = 0;
  g_tracer.TracedMemory(&live, &peak);
  SumCounters(recording, sites);
  const Payload payload = Encode(sites, nullptr);
  size_t label_bytes = label == nullptr ? 0 : strlen(label);
  if (label_bytes > format::kMaxLabelBytes) label_bytes = format::kMaxLabelBytes;
  const uint64_t padded = (sizeof(SnapshotRecord) + label_bytes + payload.bytes + 7) & ~uint64_t{7};
  const LedgerRecord* const ledger = has_ledger ? g_tracer.last_ledger() : nullptr;
  // Acquire: pairs with the release in Ledger::Read(). There are two slots, so it is there for as long as one more
  // reading takes; that it still is, is looked at below.
  const uint64_t ledger_sequence = ledger == nullptr ? 0 : LoadAcquire(ledger->sequence);
  const uint32_t ledger_bytes = ledger_sequence == 0 ? 0 : ledger->record_bytes;
  const uint64_t bytes = padded + sizeof(SnapshotTail) + ledger_bytes;
  auto* record = static_cast<SnapshotRecord*>(recording.Reserve(TableKind::kSnapshots, bytes));
  if (record == nullptr) return ENOSPC;
  const format::FileHeader& header = recording.header();
  record->label_bytes = static_cast<uint32_t>(label_bytes);
  record->entry_count = payload.entries;
  record->payload_bytes = static_cast<uint32_t>(payload.bytes);
  record->monotonic_ns = MonotonicNow();
  record->live_bytes = static_cast<uint64_t>(live > 0 ? live : 0);
  record->peak_bytes = peak;
  record->rss_bytes = LoadRelaxed(header.rss_bytes);
  record->container_usage_bytes = LoadRelaxed(header.container_usage_bytes);
  record->container_limit_bytes = LoadRelaxed(header.container_limit_bytes);
  record->rows = rows;
  auto* tail = reinterpret_cast<unsigned char*>(record + 1);
  if (label_bytes != 0) memcpy(tail, label, label_bytes);
  Encode(sites, tail + label_bytes);
  auto* last = reinterpret_cast<SnapshotTail*>(reinterpret_cast<std::byte*>(record) + padded);
  last->kind = static_cast<uint32_t>(kind);
  if (ledger_bytes != 0) {
    memcpy(last + 1, ledger, ledger_bytes);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (LoadRelaxed(ledger->sequence) == ledger_sequence) last->ledger_bytes = ledger_bytes;
  }
  StoreRelease(record->record_bytes, bytes);  // the tag: pairs with the reader
  const Totals done = g_before;
  g_before = g_now;
  g_now = done;
  if (kind == SnapshotKind::kCheckpoint) g_checkpoints.Keep(bytes, LoadRelaxed(header.tracer_budget_bytes));
  return 0;
}

uint64_t SnapshotPrivateBytes() { return g_before.bytes() + g_now.bytes(); }

uint64_t SnapshotNeeds() {
  const uint32_t sites = g_tracer.sites().site_count();
  return g_before.BytesToReserve(sites) + g_now.BytesToReserve(sites) + sizeof(SnapshotRecord) +
         uint64_t{sites} * (kMaxVarintBytes / 2 * 5);
}

void ForgetSnapshots() {
  g_lock.Reset();
  g_checkpoints = {};
  g_before.Zero();
}

}  // namespace allocline
