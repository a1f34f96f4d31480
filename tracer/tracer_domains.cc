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
  // What is recorded there was unmapped without us, or just now by a thread that is not back from it yet.
  ForEachPage(start, bytes, [this](uintptr_t page, Block) { ChargePage(pages_.TakeShared(page)); });
  ThreadState* state = nullptr;
  const SiteId site = SiteForEvent(hook, format::kDomainMmap, &state);
  if (site == 0) return;
  if (site == format::kOverflowSite) recording_.CountDrop(format::DropReason::kRecordingFull, bytes);
  const uintptr_t first = reinterpret_cast<uintptr_t>(start);
  const uintptr_t end = first + RoundUpToPage(bytes);
  for (uintptr_t page = first; page < end; page += kPage) {
    const uint64_t flag = page == first ? kFirstOfMapping : 0;
    outside_heap_.fetch_add(kPage, std::memory_order_relaxed);
    const SiteId charged = CountAlloc(state, site, kPage, flag);
    Block replaced;
    if (!pages_.Insert(page, {charged, kPage | flag}, &replaced)) {
      recording_.CountDrop(format::DropReason::kPointerMapFull, end - page);
      outside_heap_.fetch_sub(kPage, std::memory_order_relaxed);
      CountFree(state, {charged, kPage}, flag);
      return;
    }
  }
}

// Calls visit(page, block) for each recorded page of the range.
template <typename Visitor>
void Tracer::ForEachPage(void* start, size_t bytes, Visitor visit) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(start);
  if (bytes > ~uintptr_t{0} - kPage || first + RoundUpToPage(bytes) < first) return;  // no such range
  const uintptr_t end = first + RoundUpToPage(bytes);
  for (uintptr_t page = first; page < end; page += kPage) {
    if (!pages_.Covers(page)) {
      page = pages_.EndOfRegion(page) - kPage;  // nothing recorded in this region: on to the next
      continue;
    }
    const Block block = pages_.Find(page);
    if (block.site != 0) visit(page, block);
  }
}

void Tracer::BeforeUnmap(void* start, size_t bytes) {
  if (!EnsureOwnRecording()) return;
  ForEachPage(start, bytes, [this](uintptr_t page, Block block) {
    pages_.Replace(page, block, {block.site, block.bytes | kLeaving});
  });
}

void Tracer::AfterUnmap(void* start, size_t bytes, bool unmapped) {
  if (!ready()) return;
  ForEachPage(start, bytes, [this, unmapped](uintptr_t page, Block block) {
    if ((block.bytes & kLeaving) == 0) return;  // a mapping that came after
    const Block kept = {block.site, block.bytes & ~kLeaving};
    if (pages_.Replace(page, block, unmapped ? Block{} : kept) && unmapped) ChargePage(kept);
  });
}

void Tracer::ChargePage(Block page) {
  if (page.site == 0) return;
  outside_heap_.fetch_sub(kPage, std::memory_order_relaxed);
  ThreadState* state = StateOfThisThread();
  if (ready()) CountFree(state, {page.site, PageBytes(page)}, FirstOfMapping(page));
}

// ---------------------------------------------------------------- track / untrack

TrackedMap* Tracer::FindTracked(uint32_t domain, bool create) {
  for (TrackedDomain& tracked : tracked_) {
    uint32_t present = tracked.domain.load(std::memory_order_relaxed);
    if (present == 0) {
      if (!create) return nullptr;
      // Relaxed: a domain that nothing was tracked in yet needs nothing but its number.
      if (tracked.domain.compare_exchange_strong(present, domain, std::memory_order_relaxed)) return &tracked.blocks;
    }
    if (present == domain) return &tracked.blocks;
  }
  return nullptr;
}

void Tracer::ChargeTracked(Block block) {
  if (block.site == 0) return;
  outside_heap_.fetch_sub(static_cast<int64_t>(block.bytes), std::memory_order_relaxed);
  Charge(block);
}

int Tracer::Track(uint32_t domain, uintptr_t address, size_t bytes, const HookFrame* hook) {
  if (domain < format::kFirstCustomDomain || bytes > TrackedMap::kMaxBytes || address >> 47 != 0) return EINVAL;
  if (!EnsureOwnRecording() || !active()) return ENODATA;
  TrackedMap* blocks = FindTracked(domain, /*create=*/true);
  if (blocks == nullptr) {
    recording_.CountDrop(format::DropReason::kDomainFull, bytes);
    return ENOSPC;
  }
  ThreadState* state = nullptr;
  const SiteId site = SiteForEvent(hook, domain, &state);
  if (site == 0) return 0;                     // this thread is ignored
  ChargeTracked(blocks->TakeShared(address));  // tracking again replaces
  outside_heap_.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  const SiteId charged = CountAlloc(state, site, bytes, 1);
  if (charged == format::kOverflowSite) recording_.CountDrop(format::DropReason::kRecordingFull, bytes);
  Block replaced;
  if (blocks->Insert(address, {charged, bytes}, &replaced)) return 0;
  outside_heap_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  CountFree(state, {charged, bytes});
  return ENOMEM;
}

int Tracer::Untrack(uint32_t domain, uintptr_t address) {
  if (domain < format::kFirstCustomDomain) return EINVAL;
  if (!EnsureOwnRecording()) return ENODATA;
  TrackedMap* blocks = FindTracked(domain, /*create=*/false);
  if (blocks != nullptr) ChargeTracked(blocks->TakeShared(address));
  return 0;
}

Block Tracer::Find(uint32_t domain, uintptr_t address) {
  if (!ready()) return {};
  if (domain == format::kDomainMalloc) {
    Block block = blocks_.Find(address);
    if (block.site == 0 && HasPython()) block = FindPython(address);
    if (block.site != 0 || !sampling()) return block;
    const SampledBlock sample = samples_.Find(address);
    return {sample.site, sample.bytes};
  }
  if (domain == format::kDomainMmap) {
    const Block page = pages_.Find(address & ~(uintptr_t{kPage} - 1));
    return {page.site, PageBytes(page)};
  }
  const TrackedMap* blocks = FindTracked(domain, /*create=*/false);
  return blocks != nullptr ? blocks->Find(address) : Block{};
}

}  // namespace allocline
