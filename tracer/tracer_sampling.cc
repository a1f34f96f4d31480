// The main path while blocks are sampled (recording/sampling.h): every block is counted, few are recorded.
//
//   malloc -> next malloc -> size before the block -> counter of site 0: past where we look? -> OnLook()
//   free   -> page without samples? -> size before the block -> counter of site 0 -> next free
//
// So the totals are exact, in bytes as the allocator rounds them: what a block was asked for is known at its free only
// if it was recorded. Samples are counted in the same bytes, so that lines add up to the totals, but for chance. No map
// is touched by a block that is none of the samples.
//
// Rules beside those of tracer.cc: (1) a block is in the counters of site 0, or recorded exactly, never both: exactly
// those of R bytes and more, and, when sampling began later, those from before. (2) R never changes, so what a sample
// stands for is worked out again when it is freed. (3) A nested event is counted, and is no sample.
#include <sys/syscall.h>

#include "base/clock.h"
#include "tracer/next_allocator.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

using format::ChunkOwner;
using format::Counter;
using format::CounterChunk;
using format::TableKind;

// Two processes, and two threads of one, must not sample alike.
uint64_t RandomSeed() {
  uint64_t seed = 0;
  constexpr long kDoNotWait = 1;  // GRND_NONBLOCK
  if (sys::Call(SYS_getrandom, reinterpret_cast<long>(&seed), sizeof seed, kDoNotWait) != sizeof seed) {
    seed = MonotonicNow() ^ static_cast<uint64_t>(sys::GetPid()) << 40;
  }
  return seed;
}

}  // namespace

// ---------------------------------------------------------------- beginning

bool Tracer::BeginSampling(uint64_t interval, uint32_t more) {
  uintptr_t arena = 0;
  size_t arena_bytes = 0;
  boot::Range(&arena, &arena_bytes);
  // Blocks of the boot arena are not the allocator's: OnUsualSampledFree() must not take one for its.
  if (!samples_.Init()) return false;
  samples_.Mark(arena, arena_bytes);
  interval_ = interval;
  seed_ = RandomSeed();
  StoreRelaxed(recording_.header().sample_interval_bytes, interval);
  OrRelaxed(recording_.header().state, static_cast<uint32_t>(format::kStateSampled));
  // Release: who sees the mode sees the rest. Pairs with the fence in EnterSampling(), which every thread passes.
  mode_.fetch_or(kSamples | more | (blocks_.compact() ? 0 : kOtherAllocator), std::memory_order_release);
  return true;
}

void Tracer::EnterSampling(ThreadState* state) {
  std::atomic_thread_fence(std::memory_order_acquire);  // pairs with the release in BeginSampling()
  Counter* counter = CounterWithoutSite(state);
  if (counter == nullptr) return;  // no room: the gate stays as it is, and each event comes the slow way
  StartSampler(state);
  state->usual_frees = -1;
  OpenGate(state, Gate::kSampled);
}

void Tracer::StartSampler(ThreadState* state) {
  const bool totals_only = (mode_.load(std::memory_order_relaxed) & kTotalsOnly) != 0;
  state->sampler.Start(totals_only ? 0 : interval_, seed_ + threads_seeded_.fetch_add(1, std::memory_order_relaxed),
                       LoadRelaxed(state->counted->allocated_bytes));
}

// ---------------------------------------------------------------- allocation

// Whatever is out of the usual, but for a stopped tracer.
void* Tracer::OnSampledAlloc(void* block, size_t, const HookFrame* hook) {
  ThreadState* state = StateOfThisThread();
  if (!ready()) return block;
  if (state != nullptr && state->gate == Gate::kInside && EventWasAbandoned(state, hook)) {
    state->stack.Forget();  // it may have been changed by half
    state->gate = Gate::kOpen;
  }
  if (state != nullptr && state->gate == Gate::kOpen) EnterSampling(state);
  const uint64_t bytes = UsableBytes(block);
  if (state != nullptr && state->gate == Gate::kSampled) return OnLook(state, block, bytes, hook);
  // Those of an ignored thread too: nobody could tell whose block is freed later.
  CountWithoutSite(state, Direction::kAllocated, bytes, 1);
  return block;
}

// A block that may be a sample, or be too large to be one, or come when the totals are due.
void* Tracer::OnLook(ThreadState* state, void* block, uint64_t bytes, const HookFrame* hook) {
  Counter& counter = *state->counted;
  if (state->sampler.interval() != 0) {
    if (__builtin_expect((mode_.load(std::memory_order_relaxed) & kTotalsOnly) != 0, 0)) StartSampler(state);
    if (bytes >= interval_ && state->sampler.interval() != 0 && RecordLarge(state, block, bytes, hook)) return block;
  }
  AddOwned(counter.allocated_bytes, bytes);
  AddOwned(counter.allocated_blocks, 1);
  const uint64_t position = LoadRelaxed(counter.allocated_bytes);
  const bool must_look = state->sampler.MustLook(position);  // else something else is unusual, perhaps at each event
  if (bytes >= interval_) {
    state->sampler.Skip(bytes);
  } else if (state->sampler.Pass(position)) {
    RecordSample(state, block, bytes, hook);
  }
  const auto unpublished =
      static_cast<int64_t>(position - LoadRelaxed(counter.freed_bytes)) - LoadRelaxed(state->record->counted_bytes);
  if (unpublished >= kPeakSlackBytes / 2) Flush(state);
  if (must_look) NotePublished(state);
  return block;
}

// False if there is no room for its record: then it can only be counted.
bool Tracer::RecordLarge(ThreadState* state, void* block, uint64_t bytes, const HookFrame* hook) {
  CloseGate(state, hook);
  const SiteId site = CountAlloc(state, SiteOfStack(state, hook, format::kDomainMalloc), bytes, 1);
  SampledBlock stale;
  const bool inserted = samples_.Insert(reinterpret_cast<uintptr_t>(block), {site, bytes, 0}, &stale);
  if (!inserted) {
    recording_.CountDrop(format::DropReason::kPointerMapFull, bytes);
    CountFree(state, {site, bytes});
  } else if (site == format::kOverflowSite) {
    recording_.CountDrop(format::DropReason::kRecordingFull, bytes);
  }
  OpenGate(state, Gate::kSampled);
  if (inserted) ChargeSample(stale);
  return inserted;
}

void Tracer::RecordSample(ThreadState* state, void* block, uint64_t bytes, const HookFrame* hook) {
  CloseGate(state, hook);
  const SampledBlock sample = {SiteOfStack(state, hook, kEstimated), bytes,
                               RoundSample(bytes, interval_, state->sampler.Chances())};
  SampledBlock stale;
  // kOverflowSite is part of the live total, so an estimate has no place there.
  if (sample.site == format::kOverflowSite || !CountEstimate(state, Direction::kAllocated, sample)) {
    recording_.CountDrop(format::DropReason::kRecordingFull, bytes);
  } else if (!samples_.Insert(reinterpret_cast<uintptr_t>(block), sample, &stale)) {
    recording_.CountDrop(format::DropReason::kPointerMapFull, bytes);
    CountEstimate(state, Direction::kFreed, sample);
  }
  OpenGate(state, Gate::kSampled);
  // A block whose free we did not see, as in Insert().
  ChargeSample(stale);
}

// ---------------------------------------------------------------- counting

Counter* Tracer::CounterWithoutSite(ThreadState* state) {
  if (state == nullptr) return nullptr;
  if (state->counted == nullptr) {
    state->counted = state->counters.At(0, recording_);
    if (state->counted != nullptr) state->publish_freed = LoadRelaxed(state->counted->freed_bytes) + kPeakSlackBytes;
  }
  return state->counted;
}

// By an exchange: a handler that comes in between folds too, and what it folded we take back.
void Tracer::FoldCounted(ThreadState* state) {
  const Counter& counter = *state->counted;
  const uint64_t freed_bytes = LoadRelaxed(counter.freed_bytes);
  const auto live = static_cast<int64_t>(LoadRelaxed(counter.allocated_bytes) - freed_bytes);
  state->publish_freed = freed_bytes + kPeakSlackBytes;
  const int64_t more = live - ExchangeRelaxed(state->record->counted_bytes, live);
  // The caller publishes, or what it counts itself decides about it.
  if (more >= 0) {
    AddPending(*state->record, static_cast<uint64_t>(more));
  } else {
    SubtractPending(*state->record, static_cast<uint64_t>(-more));
  }
}

void Tracer::CountWithoutSite(ThreadState* state, Direction direction, uint64_t bytes, uint64_t blocks) {
  Counter* counter = CounterWithoutSite(state);
  if (counter == nullptr) {
    CountOrphan(0, bytes, blocks, direction == Direction::kAllocated);
    return;
  }
  if (direction == Direction::kAllocated) {
    state->sampler.Skip(bytes);
    AddOwned(counter->allocated_bytes, bytes);
    AddOwned(counter->allocated_blocks, blocks);
  } else {
    AddOwned(counter->freed_bytes, bytes);
    AddOwned(counter->freed_blocks, blocks);
  }
  const auto unpublished =
      static_cast<int64_t>(LoadRelaxed(counter->allocated_bytes) - LoadRelaxed(counter->freed_bytes)) -
      LoadRelaxed(state->record->counted_bytes);
  if (unpublished > kPeakSlackBytes || unpublished < -kPeakSlackBytes) Flush(state);
}

// False if there is no counter to be had.
bool Tracer::CountEstimate(ThreadState* state, Direction direction, const SampledBlock& sample) {
  Counter* counter = state == nullptr ? nullptr : state->counters.At(sample.site, recording_);
  if (counter == nullptr) return false;
  const SampleWeight weight = WeightOfSample(sample.bytes, interval_, sample.rounding);
  AddOwned(direction == Direction::kAllocated ? counter->allocated_bytes : counter->freed_bytes, weight.bytes);
  AddOwned(direction == Direction::kAllocated ? counter->allocated_blocks : counter->freed_blocks, weight.blocks);
  return true;
}

void Tracer::ChargeSample(const SampledBlock& sample) {
  if (sample.site == 0) return;
  if (sample.bytes >= interval_) return Charge(Block{sample.site, sample.bytes});
  CountEstimate(StateOfThisThread(), Direction::kFreed, sample);
}

uint64_t Tracer::UsableBytes(const void* block) const {
  if (blocks_.compact()) return PointerMap::UsableBytes(reinterpret_cast<uintptr_t>(block));
  const NextAllocator* next = NextOrNull();
  return next == nullptr ? 0 : next->malloc_usable_size(const_cast<void*>(block));
}

// ---------------------------------------------------------------- deallocation

Tracer::Leaving Tracer::TakeOut(void* block) {
  Leaving leaving;
  leaving.block = TakeBlock(block);
  if (__builtin_expect(!sampling(), 1) || !ready()) return leaving;
  // Sampling began in the middle of an event of Python's, which has taken out what there was.
  if (this_thread != nullptr && this_thread->gate == Gate::kInPython) return leaving;
  leaving.usable_bytes = UsableBytes(block);
  if (leaving.block.site != 0) return leaving;
  if (this_thread != nullptr && this_thread->gate == Gate::kOpen) EnterSampling(this_thread);
  leaving.sample = samples_.Take(reinterpret_cast<uintptr_t>(block));
  const bool is_exact = leaving.sample.site != 0 && leaving.sample.bytes >= interval_;
  leaving.counted = active() && !is_exact;
  return leaving;
}

void Tracer::NoteCountedUnderneath(Leaving* leaving) {
  if (!leaving->counted) {  // recorded exactly: it should not have been
    CountWithoutSite(StateOfThisThread(), Direction::kAllocated, leaving->usable_bytes, 1);
  }
  leaving->counted = false;
}

void Tracer::Charge(const Leaving& leaving) {
  Charge(leaving.block);
  ChargeSample(leaving.sample);
  if (leaving.counted) CountWithoutSite(StateOfThisThread(), Direction::kFreed, leaving.usable_bytes, 1);
}

void Tracer::PutBack(void* address, const Leaving& leaving) {
  Block block;
  SampledBlock sample;
  if (leaving.block.site != 0) blocks_.Insert(reinterpret_cast<uintptr_t>(address), leaving.block, &block);
  if (leaving.sample.site != 0) samples_.Insert(reinterpret_cast<uintptr_t>(address), leaving.sample, &sample);
}

// ---------------------------------------------------------------- clear and fork

// What all threads counted without a stack.
Counter Tracer::SumWithoutSite() const {
  Counter sum{};
  const auto* owners = reinterpret_cast<const ChunkOwner*>(recording_.base(TableKind::kChunkOwners));
  const auto* chunks = reinterpret_cast<const CounterChunk*>(recording_.base(TableKind::kCounters));
  const uint64_t owner_count = recording_.used(TableKind::kChunkOwners) / sizeof(ChunkOwner);
  for (uint64_t i = 0; i < owner_count; ++i) {
    if (LoadAcquire(owners[i].thread_plus_one) == 0 || owners[i].group != 0) continue;
    const Counter& counter = chunks[i].counters[0];
    sum.freed_bytes += LoadRelaxed(counter.freed_bytes);
    sum.freed_blocks += LoadRelaxed(counter.freed_blocks);
    sum.allocated_bytes += LoadRelaxed(counter.allocated_bytes);
    sum.allocated_blocks += LoadRelaxed(counter.allocated_blocks);
  }
  return sum;
}

// The blocks are not known one by one: all that is live is counted as freed, and a free of one of them, later, counts
// once more. So from then on the total is what came since less what went since, of whatever age.
void Tracer::ForgetSamples() {
  samples_.TakeAll([this](const SampledBlock& sample) { ChargeSample(sample); });
  ThreadState* state = StateOfThisThread();
  const Counter sum = SumWithoutSite();
  const auto bytes = static_cast<int64_t>(sum.allocated_bytes - sum.freed_bytes);
  const auto blocks = static_cast<int64_t>(sum.allocated_blocks - sum.freed_blocks);
  const auto balance = [&](int64_t live, bool is_bytes) {
    const uint64_t amount = static_cast<uint64_t>(live < 0 ? -live : live);
    CountWithoutSite(state, live < 0 ? Direction::kAllocated : Direction::kFreed, is_bytes ? amount : 0,
                     is_bytes ? 0 : amount);
  };
  balance(bytes, true);
  balance(blocks, false);
}

// The counters without a stack are in shared memory, and go on in the parent: their values at the fork are kept in
// private memory before. What other threads do until the fork itself is missing.
void Tracer::BeforeFork() {
  if (!ready() || !sampling() || LoadRelaxed(mark_->alive) != kAlive) return;
  counted_at_fork_ = SumWithoutSite();
  fork_prepared_ = true;
}
void Tracer::AfterForkInParent() { fork_prepared_ = false; }

void Tracer::InheritSamples(ThreadState* inherited) {
  fork_prepared_ = false;
  seed_ = RandomSeed();
  samples_.ForEach([&](const SampledBlock& sample) {
    if (sample.bytes >= interval_) {
      CountAlloc(inherited, sample.site, sample.bytes, 1);
    } else {
      CountEstimate(inherited, Direction::kAllocated, sample);
    }
  });
  const Counter& sum = counted_at_fork_;
  const auto bytes = static_cast<int64_t>(sum.allocated_bytes - sum.freed_bytes);
  const auto blocks = static_cast<int64_t>(sum.allocated_blocks - sum.freed_blocks);
  if (bytes > 0 && blocks > 0) {
    CountWithoutSite(inherited, Direction::kAllocated, static_cast<uint64_t>(bytes), static_cast<uint64_t>(blocks));
  }
}

}  // namespace allocline
