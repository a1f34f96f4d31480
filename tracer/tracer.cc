// Rules that hold across the tracer's files:
//
//  1. Nothing here calls an allocator, takes a lock that a signal handler waits for, writes to stdout, or changes errno
//     (system calls are raw, base/raw_syscall.h).
//  2. The gate of a thread is closed while it unwinds and interns. What arrives then on this thread comes from a signal
//     handler, and is recorded with a stack of one frame, its caller; or it is libunwind's, and not recorded.
//  3. Counters are added to by single instructions, so nested events cannot be lost.
//  4. Order on allocation: site, counters, pointer map. On deallocation: pointer map, counters, real free.
//  5. Locks: ProcessMark.becoming_child before everything, then clear_lock_; each other lock is a leaf.
//  6. fork: the states of threads and the ProcessMark are wiped by the kernel, so the first event of a child, whatever
//     thread and however it was made, comes to BecomeChild(). Nothing writes to the parent's tables before.
//  7. vfork: the child is the parent, in all that concerns memory. Nothing to do.
#include "tracer/tracer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/pages.h"
#include "tracer/fault_points.h"
#include "tracer/next_allocator.h"
#include "tracer/notice.h"
#include "tracer/snapshot.h"
#include "tracer/thread_end.h"
#include "tracer/unwind_cfi.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {
namespace {

using format::Counter;
using format::Frame;
using format::TableKind;
using format::ThreadKind;
using format::ThreadRecord;

// Only glibc's is known to the pointer map.
PointerMap::Allocator NextAllocatorLayout() {
  const NextAllocator* next = NextOrNull();
  if (next == nullptr || !NextAllocatorIsGlibc()) return {};
  return {next->malloc, next->free, next->malloc_usable_size};
}

}  // namespace

constinit Tracer g_tracer;
constinit thread_local ThreadState* Tracer::this_thread = nullptr;
constinit thread_local bool Tracer::this_thread_is_ignored = false;

// ---------------------------------------------------------------- start

bool Tracer::Start(const Settings& settings) {
  settings_ = &settings;
  mark_ = static_cast<ProcessMark*>(MapPagesWipedOnFork(sizeof(ProcessMark), &fork_wipes_));
  uint32_t flags = 0;
  if (settings.record_mmap) flags |= format::kFlagMmapDomain;
  if (settings.verify) flags |= format::kFlagVerify;
  if (settings.start_stopped) flags |= format::kFlagStoppedAtStart;
  if (mark_ == nullptr ||
      !recording_.Open({settings.directory, settings.name, settings.executable, settings.run_id, flags})) {
    return false;
  }
  mark_->alive = kAlive;
  recording_.header().peak_slack_bytes = kPeakSlackBytes;
  threads_.Init(&recording_);
  ledger_.Init(&recording_);
  peak_copier_.Init(&recording_);
  modules_.Init(&recording_, settings.executable, [](const link_map* object) { g_tracer.OnNewObject(object); });
  if (!sites_.Init(&recording_) || !paths_.Init(&fork_wipes_) || !blocks_.Init(NextAllocatorLayout()) ||
      !timeline_.Init(&recording_) || !InitOrphans()) {
    recording_.Abandon();  // the program needs the addresses
    return false;
  }
  mode_.store((settings.start_stopped ? kStopped : 0) | (settings.verify ? kVerifies : 0), std::memory_order_relaxed);
  if (settings.sample_interval != 0) BeginSampling(settings.sample_interval, 0);
  StartWatching();
  InitBudget(settings.tracer_memory);
  ready_.store(true, std::memory_order_release);
  Sample();
  return true;
}

bool Tracer::InitOrphans() {
  ThreadState* orphans = threads_.Acquire(ThreadKind::kOrphans);
  if (orphans == nullptr) return false;
  StoreRelaxed(orphans->record->tid, 0u);
  StoreRelaxed(orphans->record->threads_served, 0u);
  for (char& c : orphans->record->name) StoreRelaxed(c, '\0');
  Counter* first = orphans->counters.At(0, recording_);
  orphans_ = reinterpret_cast<format::CounterChunk*>(first);
  UnmapPages(orphans, sizeof(ThreadState));
  return orphans_ != nullptr;
}

// ---------------------------------------------------------------- allocation

inline void* Tracer::RecordUsual(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  if (__builtin_expect(!state->stack.IsSame(hook), 0)) return OnAllocOtherStack(state, block, bytes, hook);
  return RecordAt(state, state->last.counter, state->last.site, block, bytes);
}

void* Tracer::OnAllocOpen(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  CloseGate(state, hook);
  // The mode only now: stop() waits for those whose gate is closed.
  if (__builtin_expect(mode_.load(std::memory_order_relaxed) != 0, 0)) {
    return OnAllocInMode(state, block, bytes, hook);
  }
  return RecordUsual(state, block, bytes, hook);
}

void* Tracer::OnAllocOtherStack(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  const InternedStack* next = state->predictor.Find(state->last.node, hook, &state->stack);
  if (__builtin_expect(next == nullptr, 0)) return OnAllocUnpredicted(state, block, bytes, hook);
  state->last = *next;
  return RecordAt(state, next->counter, next->site, block, bytes);
}

void* Tracer::OnAllocUnpredicted(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  EnterDomain(state, format::kDomainMalloc);
  TakeStack(state, hook);
  if (__builtin_expect(HasPython(), 0)) {  // an interpreter was found just now
    const PythonThread::Interned& mixed = MixedStack(state, format::kDomainMalloc);
    return RecordIfKnown(state, mixed.counter, mixed.site, block, bytes);
  }
  return RecordIfKnown(state, state->last.counter, state->last.site, block, bytes);
}

void* Tracer::OnAllocInMode(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  if (!active() || sampling()) {  // sampling: since this thread's last event
    OpenGate(state);
    return active() ? OnSampledAlloc(block, bytes, hook) : block;
  }
  if (!HasPython()) return OnVerifiedAlloc(state, block, bytes, hook);
  TakeNativeStack(state, hook, format::kDomainMalloc);
  const PythonThread::Interned& mixed = MixedStack(state, format::kDomainMalloc);
  return RecordIfKnown(state, mixed.counter, mixed.site, block, bytes);
}

// The usual way, and then a look at where it led: the stack under which the block stands in the map.
void* Tracer::OnVerifiedAlloc(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  RecordUsual(state, block, bytes, hook);
  const bool verifies = (mode_.load(std::memory_order_relaxed) & (kVerifies | kPython)) == kVerifies;
  const Block recorded = blocks_.Find(reinterpret_cast<uintptr_t>(block));
  if (!verifies || recorded.site == 0 || recorded.site == format::kOverflowSite) return block;
  const Gate gate = state->gate;
  if (gate == Gate::kWiped) return block;  // a signal handler forked, and this is the child
  CloseGate(state, hook);
  Verify(state, hook, sites_.NodeOf(recorded.site));
  OpenGate(state, gate);
  return block;
}

inline void* Tracer::RecordIfKnown(ThreadState* state, Counter* counter, SiteId site, void* block, size_t bytes) {
  if (__builtin_expect(counter != nullptr && site != format::kOverflowSite, 1)) {
    return RecordAt(state, counter, site, block, bytes);
  }
  RecordAlloc(state, site, reinterpret_cast<uintptr_t>(block), bytes);
  OpenGate(state);
  return block;
}

// Counters first, then the pointer map; the live total, which is not exact at every moment, last.
inline void* Tracer::RecordAt(ThreadState* state, Counter* counter, SiteId site, void* block, size_t bytes) {
  AddOwned(counter->allocated_bytes, bytes);
  AddOwned(counter->allocated_blocks, 1);
  if (__builtin_expect(!blocks_.InsertUsual(reinterpret_cast<uintptr_t>(block), site, bytes), 0)) {
    return InsertAndOpen(state, counter, site, block, bytes);
  }
  if (__builtin_expect(AddPending(*state->record, bytes), 0)) return FlushAndOpen(state, block);
  OpenGate(state);
  return block;
}

// For a block that is counted at its site, but for the live total.
void* Tracer::InsertAndOpen(ThreadState* state, Counter* counter, SiteId site, void* block, size_t bytes) {
  if (FitsElseUncount(counter, bytes)) {
    if (AddPending(*state->record, bytes)) Flush(state);
    Insert(state, reinterpret_cast<uintptr_t>(block), {site, bytes});
  }
  OpenGate(state);
  return block;
}

// Whether a block that was counted can be recorded. One that is too large for that must not count as live.
bool Tracer::FitsElseUncount(Counter* counter, size_t bytes) {
  if (__builtin_expect(bytes <= PageMap::kMaxBytes, 1)) return true;
  AddOwned(counter->freed_bytes, bytes);
  AddOwned(counter->freed_blocks, 1);
  recording_.CountDrop(format::DropReason::kTooLarge, bytes);
  return false;
}

void* Tracer::FlushAndOpen(ThreadState* state, void* block) {
  Flush(state);
  OpenGate(state);
  NotePublished(state);
  return block;
}

void* Tracer::OnAllocSlow(void* block, size_t bytes, const HookFrame* hook) {
  if (ThreadState* state = this_thread; state != nullptr && state->gate == Gate::kInPython) {
    state->allocated_underneath = block;
    return block;
  }
  if (!ready_.load(std::memory_order_acquire)) {
    CountEarly(bytes);
    return block;
  }
  if (!active()) return block;
  if (this_thread != nullptr && this_thread->gate == Gate::kTimed) {
    return OnAttentiveAlloc(this_thread, block, bytes, hook);
  }
  if (sampling()) return OnSampledAlloc(block, bytes, hook);
  ThreadState* state = nullptr;
  const SiteId site = SiteForEvent(hook, format::kDomainMalloc, &state);
  if (site != 0) RecordAlloc(state, site, reinterpret_cast<uintptr_t>(block), bytes);
  return block;
}

// The site to charge an event to, whatever the state of the thread; and its state, null if there is none to be had.
// 0: not to be recorded.
SiteId Tracer::SiteForEvent(const HookFrame* hook, uint32_t domain, ThreadState** out) {
  ThreadState* state = StateOfThisThread();
  *out = state;
  if (state == nullptr) {
    if (!ready()) return 0;
    recording_.CountDrop(format::DropReason::kNoThreadState, 0);
    return format::kOverflowSite;
  }
  if (state->gate == Gate::kInside && (CallIsForLibunwind() || g_python.AllocatesForState(hook->caller()))) return 0;
  if (state->gate == Gate::kInside && EventWasAbandoned(state, hook)) {
    state->stack.Forget();  // it may have been changed by half
    state->gate = Gate::kOpen;
  }
  switch (state->gate) {
    case Gate::kOpen:
    case Gate::kSampled:
    case Gate::kTimed: {
      const Gate gate = state->gate;
      CloseGate(state, hook);
      const SiteId site = SiteOfStack(state, hook, domain);
      OpenGate(state, gate);
      return site;
    }
    case Gate::kInside:
      AddRelaxed(recording_.header().nested_events, 1u);
      return SiteOfCaller(hook->caller(), domain);
    case Gate::kInPython:
    case Gate::kIgnored:
    case Gate::kWiped:
      break;
  }
  return 0;
}

// A signal handler that left by longjmp never came back to open the gate. As long as the event it interrupted is in
// progress, the frame of its hook is in use: its return address is there, and what a program calls next puts another
// one in its place. An event that lies deeper on the same stack overwrites it if that frame is not in use any more. One
// that lies further out, or at the same depth, shows that it is not; unless it is on a stack of its own: the alternate
// signal stack, which the kernel may have disarmed (SS_AUTODISARM), or another that the handler went to. Then the way
// outward leads through the signal frame to the interrupted event.
bool Tracer::EventWasAbandoned(ThreadState* state, const HookFrame* hook) {
  const uintptr_t slot = state->inside->slot();
  if (!IsReadable(slot) || *reinterpret_cast<const volatile uintptr_t*>(slot) != state->inside_return_address)
    return true;
  if (hook < state->inside) return false;
  stack_t alternate{};
  if (sys::IsError(sys::Call(SYS_sigaltstack, 0, reinterpret_cast<long>(&alternate)))) return false;
  if ((alternate.ss_flags & SS_ONSTACK) != 0) return false;
  bool known = false;
  return !CallIsForLibunwind() && !StackPasses(state->stack.own_stack(), slot + sizeof(uintptr_t), &known) && known;
}

ThreadState* Tracer::StateOfThisThread() {
  if (!EnsureOwnRecording()) return nullptr;
  ThreadState* state = this_thread;
  if (state != nullptr && state->gate != Gate::kWiped) return state;
  state = threads_.Acquire(ThreadKind::kThread);
  this_thread = state;
  if (state == nullptr) return nullptr;
  if (state->python != nullptr) state->python->Init(pthread_self(), python_root_);  // handed on
  if (__builtin_expect(this_thread_is_ignored, 0)) state->gate = Gate::kIgnored;    // in the parent, before it forked
  OrRelaxed(recording_.header().state, static_cast<uint32_t>(format::kStateActive));
  CallAtThreadEnd(state);
  return state;
}

inline void Tracer::EnterDomain(ThreadState* state, uint32_t domain) {
  if (__builtin_expect(state->last.domain == domain, 1)) return;
  state->stack.Forget();
  state->last.domain = domain;
}

SiteId Tracer::SiteOfStack(ThreadState* state, const HookFrame* hook, uint32_t domain) {
  TakeNativeStack(state, hook, domain);
  return HasPython() ? MixedStack(state, domain).site : state->last.site;
}

// The usual way of OnAlloc(), step by step.
void Tracer::TakeNativeStack(ThreadState* state, const HookFrame* hook, uint32_t domain) {
  EnterDomain(state, domain);
  if (!state->stack.IsSame(hook)) {
    if (const InternedStack* next = state->predictor.Find(state->last.node, hook, &state->stack)) {
      state->last = *next;
    } else {
      TakeStack(state, hook);
    }
  }
  // OnAlloc() takes a stack that is the last one again for one of malloc's, with a counter.
  if (domain != format::kDomainMalloc) state->stack.ForgetTop();
  if (__builtin_expect((mode_.load(std::memory_order_relaxed) & kVerifies) != 0, 0)) {
    Verify(state, hook, state->last.node);
  }
}

inline NodeId Tracer::NodeOfStack(ThreadState* state, const TakenStack& taken, bool* reused) {
  const NodeId joint = __builtin_expect(taken.shared > 0, 1) ? state->stack.label(taken.shared - 1)
                                                             : OutermostNode(state->last.domain, taken.cut);
  return NodeOfPath(joint, taken, reused);
}

// Unwinds, and finds or makes the nodes and the site.
void Tracer::TakeStack(ThreadState* state, const HookFrame* hook) {
  InternedStack& last = state->last;
  TakenStack taken = state->stack.Take(hook);
  bool reused = false;
  last.node = NodeOfStack(state, taken, &reused);
  if (__builtin_expect(reused, 0)) {
    // The way outward from there was that of the code before.
    LibunwindForgetCode();
    ForgetCode();
    bool again = false;
    taken = state->stack.Take(hook);
    last.node = NodeOfStack(state, taken, &again);
  }
  const bool is_part = HasPython();  // of a stack that has a site: see MixedStack()
  last.site = is_part ? 0 : sites_.SiteOf(last.node);
  last.counter = is_part ? nullptr : state->counters.At(last.site, recording_);
  if (is_part && last.node != kNoNode && !reused) {
    if (taken.plain) state->predictor.Learn(state->stack, taken.fresh, last);
  } else if (__builtin_expect(last.counter == nullptr || last.site == format::kOverflowSite || reused, 0)) {
    if (last.site == format::kOverflowSite || last.node == kNoNode) state->stack.Forget();
    if (last.counter == nullptr) state->stack.ForgetTop();
  } else if (taken.plain) {
    state->predictor.Learn(state->stack, taken.fresh, last);
  }
}

NodeId Tracer::NodeOfPath(NodeId joint, const TakenStack& taken, bool* reused) {
  PathTable::Entry& entry = paths_.At(joint, taken.path_hash);
  const NodeId guess = entry.load(std::memory_order_acquire);
  const format::NodeRecord* nodes = sites_.nodes();
  if (__builtin_expect(taken.kept != nullptr && !modules_.AnyUnloaded(), 1)) {
    NodeId node = guess;
    KeptFrame* kept = taken.kept + taken.fresh;
    while (kept != taken.kept && LoadRelaxed(nodes[node].frame) == kept[-1].return_address.value) {
      --kept;
      kept->label = node;
      node = nodes[node].parent;
    }
    if (__builtin_expect(kept == taken.kept && node == joint, 1)) return guess;
  }
  NodeId node = joint;
  for (uint32_t i = 0; i < taken.fresh; ++i) {
    const uintptr_t pc = taken.kept != nullptr ? taken.kept[i].return_address.value : taken.pcs[taken.fresh - 1 - i];
    node = ChildOf(node, pc, reused);
    if (taken.kept != nullptr) taken.kept[i].label = node;
  }
  if (node != kNoNode) entry.store(node, std::memory_order_release);
  return node;
}

// A stack of one frame, for when no more can be known.
SiteId Tracer::SiteOfCaller(uintptr_t caller, uint32_t domain) {
  bool reused = false;
  return sites_.SiteOf(ChildOf(OutermostNode(domain, format::TruncationReason::kNested), caller, &reused));
}

// What stands outside the outermost native frame: that it is a sample's, or the domain, if it is not malloc, and the
// mark of a stack cut short.
NodeId Tracer::OutermostNode(uint32_t domain, format::TruncationReason cut) {
  NodeId node = kRootNode;
  if (domain == kEstimated) {
    node = sites_.Child(node, MakeVirtualFrame(format::VirtualKind::kSampled, interval_));
  } else if (domain != format::kDomainMalloc) {
    node = sites_.Child(node, MakeVirtualFrame(format::VirtualKind::kDomain, domain));
  }
  if (__builtin_expect(cut == format::TruncationReason{}, 1)) return node;
  if (cut != format::TruncationReason::kNested) AddRelaxed(recording_.header().truncated_stacks, 1u);
  return sites_.Child(node, MakeVirtualFrame(format::VirtualKind::kTruncated, static_cast<uint32_t>(cut)));
}

NodeId Tracer::ChildOf(NodeId parent, uintptr_t pc, bool* reused) {
  const auto frame = [&] {
    return Faulty(Fault::kMissedUnload) ? pc & format::kAddressMask : modules_.FrameOf(pc, reused);
  };
  const NodeId known = sites_.Find(parent, frame());
  if (__builtin_expect(known != kNoNode, 1)) return known;
  modules_.Note(pc, reused);
  CheckBudget();
  return sites_.Child(parent, frame());
}

inline void Tracer::RecordAlloc(ThreadState* state, SiteId site, uintptr_t address, size_t bytes) {
  if (__builtin_expect(bytes > PageMap::kMaxBytes, 0)) {
    recording_.CountDrop(format::DropReason::kTooLarge, bytes);
    return;
  }
  const SiteId charged = CountAlloc(state, site, bytes, 1);
  if (__builtin_expect(charged == format::kOverflowSite, 0)) {
    recording_.CountDrop(format::DropReason::kRecordingFull, bytes);
  }
  Insert(state, address, {charged, bytes});
}

// The block is counted; now it is recorded, so that its free can be charged.
void Tracer::Insert(ThreadState* state, uintptr_t address, Block block) {
  Block stale;
  if (__builtin_expect(!blocks_.Insert(address, block, &stale), 0)) {
    InsertFailed(state, block);
    return;
  }
  // A record that was still there is of a block whose free we did not see (an allocator that frees behind our back,
  // operator new of another library on top of malloc): it is gone, the address proves it.
  if (__builtin_expect(stale.site != 0, 0)) Charge(stale);
}

// The block can never be charged when it is freed, so it must not count as live.
void Tracer::InsertFailed(ThreadState* state, Block block) {
  recording_.CountDrop(format::DropReason::kPointerMapFull, block.bytes);
  CountFree(state, block);
}

// ---------------------------------------------------------------- deallocation

bool Tracer::OnFree(void* block) {
  if (__builtin_expect(sampling(), 0)) {
    if (boot::Owns(block)) return false;
    Charge(TakeOut(block));
    return true;
  }
  const Block taken = TakeBlock(block);
  if (taken.site == 0) return false;
  Charge(taken);
  return true;
}

void Tracer::ChargeSlow(Block block) {
  ThreadState* state = StateOfThisThread();
  if (ready()) CountFree(state, block);
}

Block Tracer::TakeBlock(void* block) {
  ThreadState* state = this_thread;
  if (__builtin_expect(state == nullptr || state->gate == Gate::kWiped, 0)) {
    // Before the record is taken: a child first counts what it inherited.
    state = StateOfThisThread();
    if (state == nullptr) return ready() ? TakeBlockLocked(block) : Block{};
  }
  {
    const TakingMark mark(state);
    // As in OnFree().
    if (__builtin_expect(clearing_.load(std::memory_order_acquire) == 0, 1)) {
      return blocks_.Take(reinterpret_cast<uintptr_t>(block));
    }
  }
  return TakeBlockLocked(block);
}

Block Tracer::TakeBlockLocked(void* block) {
  const SpinLockHolder lock(clear_lock_);
  return blocks_.Take(reinterpret_cast<uintptr_t>(block));
}

// Events of a thread that has no counters for the site, because memory or the recording is full: everybody adds to the
// same chunk, which has only the first sites; others are charged to kOverflowSite, where the totals stay right.
SiteId Tracer::CountOrphan(SiteId site, uint64_t bytes, uint64_t blocks, bool alloc) {
  if (site >= format::kSitesPerChunk) site = format::kOverflowSite;
  Counter& counter = orphans_->counters[site];
  AddRelaxed(alloc ? counter.allocated_bytes : counter.freed_bytes, bytes);
  AddRelaxed(alloc ? counter.allocated_blocks : counter.freed_blocks, blocks);
  format::FileHeader& header = recording_.header();
  const uint64_t before = AddRelaxed(header.live_bytes, alloc ? bytes : ~bytes + 1);
  if (alloc) RaiseToAtLeast(header.peak_bytes, before + bytes);
  return site;
}

// ---------------------------------------------------------------- totals

void Tracer::Flush(ThreadState* state) {
  if (state->counted != nullptr) FoldCounted(state);
  ThreadRecord& record = *state->record;
  format::FileHeader& header = recording_.header();
  // The share before the total: a reader in between may see bytes missing, never twice.
  const int64_t share = ExchangeRelaxed(record.pending_bytes, int64_t{0});
  int64_t highest = ExchangeRelaxed(record.pending_peak, int64_t{0});
  // Above K it is what made us publish, and that is our share; unless a handler that came in the middle published for
  // us. So a signal moves the peak by K at most.
  if (highest > kPeakSlackBytes) highest = kPeakSlackBytes;
  const uint32_t epoch = LoadRelaxed(header.peak_epoch);
  if (LoadRelaxed(record.peak_epoch) != epoch) {
    highest = 0;  // it was before reset_peak()
    StoreRelaxed(record.peak_epoch, epoch);
  }
  const int64_t before = static_cast<int64_t>(AddRelaxed(header.live_bytes, static_cast<uint64_t>(share)));
  const int64_t top = before + (highest > share ? highest : share);
  if (top > 0 && static_cast<uint64_t>(top) > LoadRelaxed(header.peak_bytes)) {
    RaiseToAtLeast(header.peak_bytes, static_cast<uint64_t>(top));
    StoreRelaxed(header.peak_monotonic_ns, MonotonicNow());
  }
  const int64_t live = before + share;
  if (__builtin_expect(peak_copier_.IsDue(live), 0)) peak_copier_.Copy(live, sites_.site_count());
  NoteGrowth(state, live, share);
  NoteTrouble(recording_);
  CheckBudget();
}

void Tracer::TracedMemory(int64_t* live, uint64_t* peak) {
  *live = 0;
  *peak = 0;
  if (!EnsureOwnRecording()) return;
  const format::FileHeader& header = recording_.header();
  int64_t total = static_cast<int64_t>(LoadRelaxed(header.live_bytes));
  int64_t above = 0;  // by how much the share of one thread was higher than it is now
  const auto* records = reinterpret_cast<const ThreadRecord*>(recording_.base(TableKind::kThreads));
  const uint64_t count = recording_.used(TableKind::kThreads) / sizeof(ThreadRecord);
  const uint32_t epoch = LoadRelaxed(header.peak_epoch);
  for (uint64_t i = 0; i < count; ++i) {
    if (LoadAcquire(records[i].kind) == 0) continue;
    const int64_t pending = LoadRelaxed(records[i].pending_bytes);
    total += pending - LoadRelaxed(records[i].counted_bytes);
    if (LoadRelaxed(records[i].peak_epoch) != epoch) continue;
    const int64_t highest = LoadRelaxed(records[i].pending_peak);
    if (highest - pending > above) above = highest - pending;
  }
  if (sampling()) {
    const Counter counted = SumWithoutSite();
    total += static_cast<int64_t>(counted.allocated_bytes - counted.freed_bytes);
  }
  uint64_t reached = LoadRelaxed(header.peak_bytes);
  const int64_t candidate = total + above;
  if (candidate > 0 && static_cast<uint64_t>(candidate) > reached) reached = static_cast<uint64_t>(candidate);
  *live = total;
  *peak = reached;
}

void Tracer::ResetPeak() {
  if (!EnsureOwnRecording()) return;
  format::FileHeader& header = recording_.header();
  int64_t live = 0;
  uint64_t peak = 0;
  AddRelaxed(header.peak_epoch, 1u);  // what threads hold as their highest is void from here
  if (this_thread != nullptr && this_thread->gate != Gate::kWiped) Flush(this_thread);
  StoreRelaxed(header.peak_bytes, uint64_t{0});
  TracedMemory(&live, &peak);
  RaiseToAtLeast(header.peak_bytes, static_cast<uint64_t>(live > 0 ? live : 0));
  peak_copier_.Forget();
}

// ---------------------------------------------------------------- control

// A block is taken by a plain load and store (PointerMap), which is right as long as only its owner takes it. Here
// blocks are taken that other threads are just freeing. So: from the first store on takings go through a lock; when
// those are over that began before, this one has it. Why each block is charged once:
//
//  - Takings: marked ones are waited for; later ones see `clearing_`, and then the lock, or see it gone (acquire), and
//    with it that the block is. A thread without a state always takes the lock. realloc and `operator delete` take
//    like free.
//  - While we have the lock no block goes back to the allocator unless its record was gone before. So what stands at
//    an address is the same block from our look to our taking, in the map's key and in the second map behind it.
//  - Insertions go on. A block is counted before it is inserted, so what we find can be charged. An address that is
//    inserted again was taken before, and so was not found by us, or has a record whose free was not seen: that is
//    taken by an exchange, there and here.
//  - Pages, pools' blocks and samples are always taken by an exchange, by everybody.
//  - What realloc took out and puts back, because it failed, is live after us, and was never charged.
void Tracer::Clear() {
  ThreadState* self = StateOfThisThread();
  if (!ready()) return;
  clearing_.fetch_add(1, std::memory_order_relaxed);
  threads_.WaitForEventsInProgress(self);
  {
    const SpinLockHolder lock(clear_lock_);
    blocks_.TakeAll([this](uintptr_t, Block block) { Charge(block); });
    python_blocks_.TakeAll([&](uintptr_t, Block block) { ChargeSmall(self, block); });
    python_others_.TakeAll([this](uintptr_t, Block block) { Charge(block); });
  }
  clearing_.fetch_sub(1, std::memory_order_release);
  if (sampling()) ForgetSamples();
  pages_.TakeAll([this](uintptr_t, Block block) { ChargePage(block); });
  for (TrackedDomain& domain : tracked_) {
    domain.blocks.TakeAll([this](uintptr_t, Block block) { ChargeTracked(block); });
  }
  ResetPeak();
}

void Tracer::IgnoreThisThread(bool ignore) {
  ThreadState* state = StateOfThisThread();
  if (state == nullptr) return;
  this_thread_is_ignored = ignore;
  state->gate = ignore ? Gate::kIgnored : Gate::kOpen;
}

// Around a dlclose. No thread is in the code that goes, so what is kept of stacks through it ends here: after this none
// is taken, but for those of the calling thread, which are over when it comes back.
void Tracer::BeforeUnload() {
  modules_.BeginUnload();
  ForgetReadable();
}

void Tracer::AfterUnload() {
  OnUnload();
  modules_.EndUnload();
}

void Tracer::OnUnload() {
  if (EnsureOwnRecording() && modules_.NoteUnload()) ForgetCode();
  if (HasPython()) NotePythonUnload();
}

void Tracer::OnExit() {
  if (!ready()) return;
  if (LoadRelaxed(mark_->alive) == kAlive) {
    if (this_thread != nullptr && this_thread->gate != Gate::kWiped) Flush(this_thread);
    Sample();
    ReadLedger(Wish::kAlways);
  } else if (!mark_->file_open) {
    return;  // a child of a raw clone that had no event: the recording is its parent's
  }
  StoreRelaxed(recording_.header().end_monotonic_ns, MonotonicNow());
  OrRelaxed(recording_.header().state, static_cast<uint32_t>(format::kStateExited));
}

void Tracer::OnLeave() {
  if (!ready() || LoadRelaxed(mark_->alive) != kAlive) return;
  format::FileHeader& header = recording_.header();
  if (header.pid != static_cast<uint32_t>(sys::GetPid())) return;
  StoreRelaxed(header.end_monotonic_ns, MonotonicNow());
  OrRelaxed(header.state, static_cast<uint32_t>(format::kStateLeft));
}

// ---------------------------------------------------------------- fork

bool Tracer::EnsureOwnRecording() {
  if (__builtin_expect(ready_.load(std::memory_order_acquire) && LoadRelaxed(mark_->alive) != kAlive, 0)) BecomeChild();
  return ready_.load(std::memory_order_acquire);
}

// In the atfork handler: the file is made now, while the child still has the rights to (servers change user next); the
// rest waits for the first event, which a child that only calls exec never has. Another handler may have had one before
// us, and a signal handler may have one in the middle: then the lock has it wait.
void Tracer::OnForkChild() {
  if (!ready()) return;
  if (__builtin_expect(!fork_wipes_ || !threads_.wiped_on_fork(), 0)) {
    // Then only forks that run this handler are noticed. What the kernel wipes elsewhere:
    memset(static_cast<void*>(mark_), 0, sizeof *mark_);
    threads_.Wipe();
    paths_.Clear();
  }
  SpinLockHolder lock(mark_->becoming_child);
  if (!lock.held() || LoadRelaxed(mark_->alive) == kAlive) return;
  mark_->file_open = recording_.OpenForChild();
  if (!mark_->file_open) ready_.store(false, std::memory_order_release);
}

void Tracer::BecomeChild() {
  SpinLockHolder lock(mark_->becoming_child);
  if (!lock.held() || LoadRelaxed(mark_->alive) == kAlive || !ready()) return;
  const bool handler_ran = mark_->file_open;  // none after a raw clone
  if (!handler_ran && !fork_prepared_ && sampling()) counted_at_fork_ = SumWithoutSite();
  const bool have_file = handler_ran || recording_.OpenForChild();
  mark_->file_open = false;
  this_thread = nullptr;
  threads_.InitAfterFork();
  sampling_.store(false, std::memory_order_relaxed);
  clear_lock_.Reset();
  clearing_.store(0, std::memory_order_relaxed);
  ForgetSnapshots();
  peak_copier_.InitAfterFork();
  timeline_.InitAfterFork();
  ledger_.InitAfterFork();
  ledger_ns_ = ledger_rss_ = 0;
  mappings_.InitAfterFork();
  ladder_.InitAfterFork(MonotonicNow());
  failed_ = too_large_ = {};
  LibunwindAfterFork();
  OwnStack::ForgetAll();
  if (!have_file || !recording_.PopulateChild()) {
    ready_.store(false, std::memory_order_release);
    return;
  }
  modules_.InitAfterFork();
  codes_.InitAfterFork();
  python_lock_.Reset();
  if (!sites_.InitAfterFork() || !InitOrphans()) {
    ready_.store(false, std::memory_order_release);
    return;
  }
  InheritLiveBlocks();
  OrRelaxed(recording_.header().state, static_cast<uint32_t>(format::kStateActive));
  StoreRelease(mark_->alive, kAlive);
  Sample();
}

// The child's counters start with what was live in the parent: the child may free it. Taken from the pointer map, which
// is private memory and thus exactly of the instant of the fork, and not from the parent's counters, which go on.
void Tracer::InheritLiveBlocks() {
  ThreadState* inherited = threads_.Acquire(ThreadKind::kInherited);
  if (inherited == nullptr) return;
  StoreRelaxed(inherited->record->tid, recording_.header().parent_pid);
  StoreRelaxed(inherited->record->threads_served, 0u);
  blocks_.ForEach([&](uintptr_t, Block block) { CountAlloc(inherited, block.site, block.bytes, 1); });
  python_others_.ForEach([&](uintptr_t, Block block) { CountAlloc(inherited, block.site, block.bytes, 1); });
  uint64_t small_bytes = 0;
  python_blocks_.ForEach([&](uintptr_t, Block block) {
    CountAlloc(inherited, block.site, block.bytes, 1);
    small_bytes += block.bytes;
  });
  StoreRelaxed(inherited->record->python_small_bytes, small_bytes);
  pages_.ForEach(
      [&](uintptr_t, Block page) { CountAlloc(inherited, page.site, PageBytes(page), FirstOfMapping(page)); });
  for (TrackedDomain& domain : tracked_) {
    domain.blocks.ForEach([&](uintptr_t, Block block) { CountAlloc(inherited, block.site, block.bytes, 1); });
  }
  if (sampling()) InheritSamples(inherited);
  Flush(inherited);
}

}  // namespace allocline
