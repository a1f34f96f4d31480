// The domains beside malloc: anonymous mappings, and blocks that a program's own pools hand out (track/untrack).
#include <errno.h>

#include "tracer/tracer.h"

namespace allocline {
namespace {

// A larger mapping is a reservation of addresses, not of memory; a word for each of its pages would cost us memory.
constexpr uint64_t kLargestMapping = uint64_t{64} << 30;

}  // namespace

// ---------------------------------------------------------------- anonymous mappings

// A mapping is recorded page by page, because any part of it can be unmapped, remapped or mapped over.
void Tracer::OnMap(void* start, size_t bytes, const HookFrame* hook) {
  if (!EnsureOwnRecording() || !active() || bytes == 0) return;
  if (bytes > kLargestMapping) {
    recording_.CountDrop(format::DropReason::kTooLarge, bytes);
    return;
  }
  OnUnmap(start, bytes);  // MAP_FIXED replaces what was there
  ThreadState* state = nullptr;
  const SiteId site = SiteForEvent(hook, format::kDomainMmap, &state);
  if (site == 0) return;
  const uintptr_t first = reinterpret_cast<uintptr_t>(start);
  const uintptr_t end = first + RoundUpToPage(bytes);
  for (uintptr_t page = first; page < end; page += kPage) {
    const uint64_t is_first = page == first ? 1 : 0;
    CountAlloc(state, site, kPage, is_first);
    Block replaced;
    if (!pages_.Insert(page, {site, kPage | is_first}, &replaced)) {
      recording_.CountDrop(format::DropReason::kPointerMapFull, end - page);
      if (state != nullptr) RecordFree(state, {site, kPage}, is_first);
      return;
    }
  }
}

void Tracer::OnUnmap(void* start, size_t bytes) {
  if (!EnsureOwnRecording()) return;
  const uintptr_t first = reinterpret_cast<uintptr_t>(start);
  const uintptr_t end = first + RoundUpToPage(bytes);
  for (uintptr_t page = first; page < end; page += kPage) {
    if (!pages_.Covers(page)) {
      page = pages_.EndOfRegion(page) - kPage;  // nothing recorded in this region: on to the next
      continue;
    }
    ChargePage(pages_.Take(page));
  }
}

void Tracer::ChargePage(Block page) {
  if (page.site == 0) return;
  ThreadState* state = StateOfThisThread();
  const Block bytes_only = {page.site, PageBytes(page)};
  if (state != nullptr) {
    RecordFree(state, bytes_only, FirstOfMapping(page));
  } else if (ready()) {
    CountOrphan(page.site, PageBytes(page), FirstOfMapping(page), false);
  }
}

// ---------------------------------------------------------------- track / untrack

TrackedMap* Tracer::FindTracked(uint32_t domain, bool create) {
  for (TrackedDomain& tracked : tracked_) {
    uint32_t present = tracked.domain.load(std::memory_order_acquire);
    if (present == 0) {
      if (!create) return nullptr;
      if (tracked.domain.compare_exchange_strong(present, domain, std::memory_order_acq_rel)) {
        // The winner makes the map; others wait for it below.
        if (!tracked.blocks.Init()) return nullptr;
        tracked.usable.store(true, std::memory_order_release);
        return &tracked.blocks;
      }
    }
    if (present == domain) return tracked.usable.load(std::memory_order_acquire) ? &tracked.blocks : nullptr;
  }
  return nullptr;
}

int Tracer::Track(uint32_t domain, uintptr_t address, size_t bytes, const HookFrame* hook) {
  if (domain < format::kFirstCustomDomain) return EINVAL;
  if (!EnsureOwnRecording() || !active()) return ENODATA;
  TrackedMap* blocks = FindTracked(domain, /*create=*/true);
  if (blocks == nullptr) {
    recording_.CountDrop(format::DropReason::kDomainFull, bytes);
    return ENOSPC;
  }
  ThreadState* state = nullptr;
  const SiteId site = SiteForEvent(hook, domain, &state);
  if (site == 0) return 0;        // this thread is ignored
  Charge(blocks->Take(address));  // tracking again replaces
  CountAlloc(state, site, bytes, 1);
  Block replaced;
  if (blocks->Insert(address, {site, bytes}, &replaced)) return 0;
  Charge({site, bytes});
  return bytes >= uint64_t{1} << 40 || address >> 47 != 0 ? EINVAL : ENOMEM;
}

int Tracer::Untrack(uint32_t domain, uintptr_t address) {
  if (domain < format::kFirstCustomDomain) return EINVAL;
  if (!EnsureOwnRecording()) return ENODATA;
  TrackedMap* blocks = FindTracked(domain, /*create=*/false);
  if (blocks != nullptr) Charge(blocks->Take(address));
  return 0;
}

Block Tracer::Find(uint32_t domain, uintptr_t address) {
  if (!ready()) return {};
  if (domain == format::kDomainMalloc) return blocks_.Find(address);
  if (domain == format::kDomainMmap) {
    const Block page = pages_.Find(address & ~(uintptr_t{kPage} - 1));
    return {page.site, PageBytes(page)};
  }
  const TrackedMap* blocks = FindTracked(domain, /*create=*/false);
  return blocks != nullptr ? blocks->Find(address) : Block{};
}

}  // namespace allocline
