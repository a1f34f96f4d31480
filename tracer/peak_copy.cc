#include "tracer/peak_copy.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/pages.h"
#include "base/spin_lock.h"

namespace allocline {
namespace {

using format::ChunkOwner;
using format::Counter;
using format::CounterChunk;
using format::PeakCopy;
using format::PeakSite;
using format::TableKind;

constexpr uint64_t kShareOfTime = 100;        // one part of it may be spent copying,
constexpr uint64_t kAllowanceNs = 2'000'000;  // and this
constexpr int64_t kShareOfPeak = 100;         // by one part of it the total has to be above the last copy's

// Bytes and blocks, which lie side by side wherever they are counted.
struct Both {
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
  // An instruction for both. Each is loaded and stored whole all the same: they are aligned.
  static Both Zero() { return {_mm_setzero_si128()}; }
  static Both Load(const uint64_t& bytes) { return {_mm_load_si128(reinterpret_cast<const __m128i*>(&bytes))}; }
  void StoreTo(PeakSite& site) const { _mm_store_si128(reinterpret_cast<__m128i*>(&site), words); }
  Both operator-(Both other) const { return {_mm_sub_epi64(words, other.words)}; }
  Both operator+(Both other) const { return {_mm_add_epi64(words, other.words)}; }

  __m128i words;
#else
  // Relaxed: what orders these against a reader is the sequence.
  static Both Zero() { return {0, 0}; }
  static Both Load(const uint64_t& bytes) { return {LoadRelaxed(bytes), LoadRelaxed(*(&bytes + 1))}; }
  void StoreTo(PeakSite& site) const {
    StoreRelaxed(site.bytes, bytes);
    StoreRelaxed(site.blocks, blocks);
  }
  Both operator-(Both other) const { return {bytes - other.bytes, blocks - other.blocks}; }
  Both operator+(Both other) const { return {bytes + other.bytes, blocks + other.blocks}; }

  uint64_t bytes, blocks;
#endif
};
static_assert(offsetof(Counter, freed_bytes) % 16 == 0 && sizeof(Counter) % 16 == 0 && sizeof(PeakSite) == 16);

}  // namespace

void PeakCopier::InitAfterFork() {
  due_above_.store(0, std::memory_order_relaxed);
  sequence_ = 0;
  busy_.store(false, std::memory_order_relaxed);
}

void PeakCopier::Forget() { due_above_.store(0); }

void PeakCopier::Copy(int64_t live_now, uint32_t sites) {
  const uint64_t start_ns = MonotonicNow();
  format::FileHeader& header = recording_->header();
  const uint64_t elapsed_ns = start_ns - header.start_monotonic_ns;
  if (LoadRelaxed(header.peak_copy_ns) > elapsed_ns / kShareOfTime + kAllowanceNs) return;
  const uint64_t start_cpu_ns = ThreadCpuNow();
  const SignalsBlocked no_handlers;
  // Acquire and release: the next copier sees `sequence_`.
  if (busy_.exchange(true, std::memory_order_acquire)) return;
  const uint32_t slot = sequence_ % 2;
  const TableKind table = slot == 0 ? TableKind::kPeakFirst : TableKind::kPeakSecond;
  if (MakeRoom(table, sites * sizeof(PeakSite))) {
    PeakCopy& copy = header.peak_copies[slot];
    auto* live = reinterpret_cast<PeakSite*>(recording_->base(table));
    StoreRelaxed(copy.sequence, uint64_t{0});
    // Before anything of the copy changes. Pairs with the reader, which looks at the sequence before and after.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const uint32_t epoch = LoadRelaxed(header.peak_epoch);
    SumLive(live, sites);
    StoreRelaxed(copy.live_bytes, static_cast<uint64_t>(live_now));
    StoreRelaxed(copy.monotonic_ns, start_ns);
    StoreRelaxed(copy.site_count, sites);
    StoreRelaxed(copy.epoch, epoch);
    StoreRelease(copy.sequence, ++sequence_);

    const auto slack = static_cast<int64_t>(LoadRelaxed(header.peak_slack_bytes));
    due_above_.store(live_now + (live_now / kShareOfPeak > slack ? live_now / kShareOfPeak : slack));
    // Forget() may have come meanwhile, and have been overwritten by that.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (LoadRelaxed(header.peak_epoch) != epoch) due_above_.store(0);
    AddRelaxed(header.peak_copy_ns, ThreadCpuNow() - start_cpu_ns);
  } else {
    due_above_.store(std::numeric_limits<int64_t>::max(), std::memory_order_relaxed);
  }
  busy_.store(false, std::memory_order_release);
}

bool PeakCopier::MakeRoom(TableKind table, uint64_t bytes) {
  const uint64_t used = recording_->used(table);
  return bytes <= used || recording_->Reserve(table, RoundUpToPage(bytes - used)) != nullptr;
}

// Every `freed` first, then every `allocated`, so that no free is seen without its allocation (invariant (3) of
// format.h). The table is not cleared before: the first chunk of a group says what is there, those after it add to
// that.
void PeakCopier::SumLive(PeakSite* out, uint32_t sites) const {
  const auto* owners = reinterpret_cast<const ChunkOwner*>(recording_->base(TableKind::kChunkOwners));
  const auto* chunks = reinterpret_cast<const CounterChunk*>(recording_->base(TableKind::kCounters));
  const auto for_each = [&](auto visit) {
    // Counted anew for each pass: what a chunk of the first pass freed may have been allocated in one that came since.
    const uint64_t owner_count = recording_->used(TableKind::kChunkOwners) / sizeof(ChunkOwner);
    for (uint64_t i = 0; i < owner_count; ++i) {
      if (LoadAcquire(owners[i].thread_plus_one) == 0) continue;
      const uint32_t first = owners[i].group * format::kSitesPerChunk;
      if (first < sites) visit(first, std::min(first + format::kSitesPerChunk, sites), chunks[i].counters);
    }
  };
  uint32_t written = 0;  // sites below are
  const auto clear_to = [&](uint32_t end) {
    for (; written < end; ++written) Both::Zero().StoreTo(out[written]);
  };
  for_each([&](uint32_t first, uint32_t end, const Counter* counter) {
    if (first < written) {
      for (uint32_t i = first; i < end; ++i, ++counter) {
        (Both::Load(out[i].bytes) - Both::Load(counter->freed_bytes)).StoreTo(out[i]);
      }
      return;
    }
    clear_to(first);
    for (; written < end; ++written, ++counter) {
      (Both::Zero() - Both::Load(counter->freed_bytes)).StoreTo(out[written]);
    }
  });
  clear_to(sites);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  for_each([&](uint32_t first, uint32_t end, const Counter* counter) {
    for (uint32_t i = first; i < end; ++i, ++counter) {
      (Both::Load(out[i].bytes) + Both::Load(counter->allocated_bytes)).StoreTo(out[i]);
    }
  });
}

}  // namespace allocline
