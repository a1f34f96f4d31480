// OnAlloc and OnFree: the main path. Every hook of preload.cc ends here.
//
//   malloc -> next malloc -> OnAlloc: stack -> site (SiteTable) -> counters of this thread -> PointerMap
//   free   -> OnFree: PointerMap -> counters of this thread -> next free
//
// The inline half of each is the usual event: a thread that is known, the same stack as last time, a block of glibc's.
// All else (another stack, the first event of a thread, a forked child, an event inside an event, stopped, ignored) it
// leaves to the functions whose names say so.
//
// Threads: everything here may run at once on any thread, and in signal handlers. The order of the two tables is the
//          rule that keeps counts exact: counters first, then the pointer map on allocation; the pointer map first,
//          then counters, then the real free on deallocation. So a block in the map is counted, and an address is out
//          of the map before the allocator can hand it to anybody else.
#ifndef ALLOCLINE_TRACER_TRACER_H_
#define ALLOCLINE_TRACER_TRACER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/atomic.h"
#include "base/cgroup.h"
#include "recording/writer.h"
#include "tracer/ladder.h"
#include "tracer/ledger.h"
#include "tracer/mapping_table.h"
#include "tracer/module_list.h"
#include "tracer/path_table.h"
#include "tracer/peak_copy.h"
#include "tracer/pointer_map.h"
#include "tracer/python_block_map.h"
#include "tracer/python_codes.h"
#include "tracer/python_frames.h"
#include "tracer/sample_map.h"
#include "tracer/settings.h"
#include "tracer/site_table.h"
#include "tracer/thread_state.h"
#include "tracer/timeline.h"

namespace allocline {

// K: what a thread may allocate or free before its share of the live total is published.
inline constexpr int64_t kPeakSlackBytes = 64 << 10;

class Tracer {
 public:
  // Called once, from the library's constructor, before any thread of the program exists. False: tracing is impossible
  // (no memory at all); the program runs untraced.
  bool Start(const Settings& settings);

  // --- the main path ---

  // The allocator returned `block` of `bytes` to the hook whose frame is `hook`. Gives `block` back.
  __attribute__((always_inline)) void* OnAlloc(void* block, size_t bytes, const HookFrame* hook);

  // The program gives `block` back. To be called before the allocator gets it. False if the block is not one of ours.
  bool OnFree(void* block);
  // The same where nothing is out of the usual. kOther: nothing was done; kPublish: done, and PublishShare() is to be
  // called.
  // `state` is this_thread, with usual frees.
  enum class Freed { kDone, kPublish, kOther };
  __attribute__((always_inline)) Freed OnUsualFree(ThreadState* state, void* block);
  void PublishShare() {
    Flush(this_thread);
    NotePublished(this_thread);
  }
  // Whether OnAttentiveFree() is to be called, and not OnFree().
  static bool IsAttentiveToFrees(const ThreadState* state) {
    return state->usual_frees < 0 && (state->gate == Gate::kTimed || state->gate == Gate::kOpen);
  }
  // OnFree(), which may be timed. `state` is this_thread.
  bool OnAttentiveFree(ThreadState* state, void* block);
  // The same while blocks are sampled, and this is none of the samples. `state` is this_thread, not null.
  __attribute__((always_inline)) Freed OnUsualSampledFree(ThreadState* state, void* block);

  // For realloc, which may fail: take the records out, and then either charge the block as freed or put them back.
  struct Leaving {
    Block block;          // site 0: not recorded exactly
    SampledBlock sample;  // site 0: no sample
    uint64_t usable_bytes = 0;
    bool counted = false;  // among the blocks without a stack, as usable_bytes
  };
  Leaving TakeOut(void* block);
  // For an operator delete that may call our free underneath, which then does not know of what was taken out. What the
  // calling thread counted tells whether it did.
  format::Counter CountedHere() const {
    const ThreadState* state = this_thread;
    return state == nullptr || state->counted == nullptr ? format::Counter{} : *state->counted;
  }
  void NoteCountedUnderneath(Leaving* leaving);
  void Charge(const Leaving& leaving);
  void PutBack(void* address, const Leaving& leaving);

  // --- other domains: ranges of pages, and blocks of the program's own pools ---

  void OnMap(void* start, size_t bytes, const HookFrame* hook);
  // Around a call that takes mappings away, which may fail: and once it has not, another thread may be given the range
  // before we are back. So the records are marked before, and those that still are marked are taken after.
  void BeforeUnmap(void* start, size_t bytes);
  void AfterUnmap(void* start, size_t bytes, bool unmapped);
  // 0, or an errno: EINVAL for a domain or address that cannot be tracked, ENOMEM, ENOSPC (too many domains).
  int Track(uint32_t domain, uintptr_t address, size_t bytes, const HookFrame* hook);
  int Untrack(uint32_t domain, uintptr_t address);

  // --- Python's allocators (python_hooks.cc; python_events.h, tracer_python.cc) ---

  // Looks for an interpreter in `object`, and hooks it.
  void OnNewObject(const link_map* object);
  // Around a call of Python's next allocator, for an event that is recorded: what comes underneath on this thread is
  // part of it. `state` is this_thread, and its gate is open.
  static void EnterPython(ThreadState* state, const HookFrame* hook) {
    state->inside = hook;
    state->inside_return_address = hook->return_address;
    state->allocated_underneath = nullptr;
    StoreRelaxed(state->gate, Gate::kInPython);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
  // The same where the thread's gate is not known to be open.
  enum class PythonEvent { kRecorded, kSampled, kPassedOn };
  PythonEvent BeginPythonEvent(const HookFrame* hook, ThreadState** state);
  // After EnterPython(): the allocator gave `block`, or null. Gives it back. `kForm`: the interpreter's.
  template <PythonForm kForm>
  void* OnPythonAlloc(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  // After PythonEvent::kSampled.
  void OnSampledPythonAlloc(ThreadState* state, void* block, const HookFrame* hook);
  // Before the block is given back, as OnUsualFree(). `state` is this_thread, not null.
  Freed OnUsualPythonFree(ThreadState* state, void* block);
  // Its two halves, for realloc: what was taken out, uncharged, PutBackUsualPython() undoes. The first is false, and
  // nothing was done, where something is out of the usual; the second tells whether PublishShare() is to be called.
  struct UsualPythonBlock {
    PythonBlockMap::Place place;
    Block block;
    format::Counter* counter = nullptr;
  };
  bool TakeUsualPython(ThreadState* state, void* block, UsualPythonBlock* taken);
  bool ChargeUsualPython(ThreadState* state, const UsualPythonBlock& taken);
  static void PutBackUsualPython(const UsualPythonBlock& taken) {
    PythonBlockMap::PutBack(taken.place, taken.block, /*was_code=*/false);
  }
  void OnPythonFree(void* block);
  // Whether the interpreter is ending. Then WaitForReaders() comes before the RAW domain gives a block back, for it may
  // be a thread's state that another thread still reads.
  static bool PythonEnds() {
    return __builtin_expect(g_python.is_finalizing != nullptr && g_python.is_finalizing() != 0, 0);
  }
  void WaitForReaders();
  // For realloc, as TakeOut() and what follows it.
  struct PythonLeaving {
    PythonBlockMap::Place place;
    Block small;                // in an arena
    Block malloced;             // one of malloc's
    Block other;                // of another allocator
    uint64_t usable_bytes = 0;  // while sampling, of one in an arena
    SampledBlock sample;
  };
  static bool TakesFreedPython(const ThreadState* state) { return state != nullptr && state->gate == Gate::kIgnored; }
  PythonLeaving TakeOutPython(ThreadState* state, void* block, bool with_malloc);
  void ChargePython(ThreadState* state, const PythonLeaving& leaving);
  void PutBackPython(ThreadState* state, void* block, const PythonLeaving& leaving);
  void OnPythonArena(void* arena, size_t bytes);
  void OnPythonArenaGone(void* arena, size_t bytes);
  // From a pending call: of a new interpreter, or of one that was initialized again.
  void OnPythonCheck();
  void OnPythonHooksReplaced();
  // At the next new stack our hooks are looked for again; or, where there is none, when more was allocated.
  void AskForPythonCheck();
  void CheckPythonAtMapping();

  // While one exists, what the thread's allocations are part of something that is counted otherwise.
  class PythonInside {
   public:
    explicit PythonInside(const HookFrame* hook) : state_(this_thread) {
      if (state_ != nullptr) InterruptAttention(state_);
      if (state_ == nullptr || (state_->gate != Gate::kOpen && state_->gate != Gate::kSampled)) {
        state_ = nullptr;
        return;
      }
      gate_ = state_->gate;
      EnterPython(state_, hook);
    }
    ~PythonInside() {
      if (state_ != nullptr) OpenGate(state_, gate_);
    }
    PythonInside(const PythonInside&) = delete;
    PythonInside& operator=(const PythonInside&) = delete;

   private:
    ThreadState* state_;
    Gate gate_ = Gate::kOpen;
  };
  // While one exists, the thread's allocations are not recorded. Not possible in the middle of an event.
  class Ignored {
   public:
    Ignored();
    ~Ignored() {
      if (state_ != nullptr) state_->gate = gate_;
    }
    Ignored(const Ignored&) = delete;
    Ignored& operator=(const Ignored&) = delete;
    bool possible() const { return state_ != nullptr; }

   private:
    ThreadState* state_ = nullptr;
    Gate gate_ = Gate::kOpen;
  };

  // --- control (api.cc, lifecycle.cc) ---

  bool ready() const { return ready_.load(std::memory_order_acquire); }
  bool active() const { return (mode_.load(std::memory_order_relaxed) & kStopped) == 0; }
  // Whether blocks are sampled, or only counted.
  bool sampling() const { return (mode_.load(std::memory_order_relaxed) & kSamples) != 0; }
  void SetActive(bool on) {
    if (on) {
      mode_.fetch_and(~kStopped, std::memory_order_relaxed);
    } else {
      mode_.fetch_or(kStopped, std::memory_order_relaxed);
    }
  }
  // Forgets every block and counts it as freed: live is 0 then, and frees of those blocks change nothing.
  void Clear();
  void IgnoreThisThread(bool ignore);
  // Live bytes now, with what no thread has published yet, and the peak since start, Clear or ResetPeak.
  void TracedMemory(int64_t* live, uint64_t* peak);
  void ResetPeak();
  uint64_t TracerMemory() const;
  // While blocks are sampled, only samples are found.
  Block Find(uint32_t domain, uintptr_t address);
  // The block that holds an object of Python.
  Block FindPythonObject(uintptr_t object);
  void OnThreadEnd(ThreadState* state) {
    if (state->gate != Gate::kWiped) threads_.Release(state);
  }

  // Before anything that touches the recording outside the main path: a forked child gets its own first. False: there
  // is none.
  bool EnsureOwnRecording();
  void BeforeFork();
  void AfterForkInParent();
  void OnForkChild();
  void OnExit();
  // The process leaves without its exit handlers. In a signal handler too, and in a child of vfork, which is not us.
  void OnLeave();
  void BeforeUnload();
  void AfterUnload();
  void OnUnload();
  // Reads RSS and the container's figures into the header and the timeline, and climbs the ladder (tracer_limit.cc).
  void Sample();
  // The same, unless that was a moment ago and the process has hardly moved since: for calls in a loop.
  void SampleIfOld();
  // The allocator gave no block, and errno says why. Gives null.
  __attribute__((noinline, cold)) void* OnFailedAlloc(size_t bytes);
  // So much was asked for, and there was no memory.
  __attribute__((noinline, cold)) void NoteFailedAlloc(size_t bytes);
  // The program mapped so much anonymous memory itself.
  void OnLargeMapping(size_t bytes);
  // What the memory of the process consists of, into the recording (ledger.h). It takes half a millisecond, and 50
  // more for each GiB that is resident, so who asks says how much he wants it. True if it was read now.
  enum class Wish {
    kAsItGrows,  // within 1/500 of the time and 2 ms, and 1/200 in the beginning
    kWanted,     // a snapshot that somebody asked for: within 1/50 and 50 ms
    kAlways,     // the end may be near, or is there
  };
  bool ReadLedger(Wish wish);
  // The last reading; null: none yet. Another thread may be writing a new one: look at its sequence.
  const format::LedgerRecord* last_ledger() const { return ledger_.last(); }
  // From the hooks of mmap and its like: code of the program's takes anonymous memory, or gives memory back.
  void NoteMapping(void* start, size_t bytes, uintptr_t caller) {
    if (IsOwnProcess()) mappings_.OnMap(reinterpret_cast<uintptr_t>(start), bytes, caller);
  }
  void NoteUnmapping(void* start, size_t bytes) {
    if (IsOwnProcess()) mappings_.OnUnmap(reinterpret_cast<uintptr_t>(start), bytes);
  }
  uintptr_t WhoMapped(void* start) {
    return IsOwnProcess() ? mappings_.CallerOf(reinterpret_cast<uintptr_t>(start)) : 0;
  }

  RecordingWriter& recording() { return recording_; }
  SiteTable& sites() { return sites_; }
  const Settings& settings() const { return *settings_; }

  static constinit thread_local ThreadState* this_thread;
  static constinit thread_local bool this_thread_is_ignored;  // fork wipes the state, but not this

 private:
  // What the inline halves leave. Each takes over where it stands and does the rest, so that it is a jump and no call.
  void* OnAllocOpen(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  __attribute__((always_inline)) void* RecordUsual(ThreadState* state, void* block, size_t bytes,
                                                   const HookFrame* hook);
  void* OnAllocSlow(void* block, size_t bytes, const HookFrame* hook);
  void* OnAllocOtherStack(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  __attribute__((noinline)) void* OnAllocUnpredicted(ThreadState* state, void* block, size_t bytes,
                                                     const HookFrame* hook);
  void* OnAllocInMode(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  void* RecordIfKnown(ThreadState* state, format::Counter* counter, SiteId site, void* block, size_t bytes);
  void* RecordAt(ThreadState* state, format::Counter* counter, SiteId site, void* block, size_t bytes);
  __attribute__((noinline)) void* InsertAndOpen(ThreadState* state, format::Counter* counter, SiteId site, void* block,
                                                size_t bytes);
  bool FitsElseUncount(format::Counter* counter, size_t bytes);
  __attribute__((noinline)) void* FlushAndOpen(ThreadState* state, void* block);
  void* OnAttentiveAlloc(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  Block TakeBlock(void* block);
  Block TakeBlockLocked(void* block);
  void Charge(Block block) {
    if (block.site == 0) return;
    ThreadState* state = this_thread;
    if (__builtin_expect(state == nullptr || state->gate == Gate::kWiped, 0)) {
      ChargeSlow(block);
      return;
    }
    CountFree(state, block);
  }
  void ChargeSlow(Block block);

  // --- a few events are timed (tracer_timing.cc)
  // To be called with the gate open.
  static void NotePublished(ThreadState* state) {
    if (state->timer.NotePublished()) BeAttentive(state);
  }
  static void BeAttentive(ThreadState* state);
  static bool OpenForAttentive(ThreadState* state);
  static void StayAttentive(ThreadState* state);
  // Before an event that is none of those that are timed, and whose gate has to be one of the others.
  static void InterruptAttention(ThreadState* state);
  bool OnOpenFree(ThreadState* state, void* block);

  // --- what we may hold (tracer_budget.cc)
  void InitBudget(uint64_t wanted);  // 0: the default
  void CheckBudget();

  // Not a child of fork that has had no event yet: its locks may be held by threads that it does not have.
  bool IsOwnProcess() const { return ready() && LoadRelaxed(mark_->alive) == kAlive; }

  // --- the container and its limit (tracer_limit.cc)
  void StartWatching();
  void EnterCgroup();
  void FollowCgroup(uint64_t now);
  void NoteGrowth(ThreadState* state, int64_t live, int64_t share);
  bool SampleIsDue(int64_t live, int64_t share) const;
  uint32_t ReadFigures();
  void NoteRequest(int64_t bytes);
  int64_t LivePythonBytes() const;
  void TakeRungs(uint32_t rungs);
  struct RareSnapshots {
    uint32_t taken;
    uint64_t last_ns;
  };
  void TakeRarely(RareSnapshots* snapshots, const char* label, format::SnapshotKind kind);

  // --- while blocks are sampled (tracer_sampling.cc)
  // `more`: bits of mode_ that come with it.
  bool BeginSampling(uint64_t interval, uint32_t more);
  // Has the thread count without stacks from now on.
  void EnterSampling(ThreadState* state);
  void StartSampler(ThreadState* state);
  void* OnSampledAlloc(void* block, size_t bytes, const HookFrame* hook);
  void* OnLook(ThreadState* state, void* block, uint64_t bytes, const HookFrame* hook);
  bool RecordLarge(ThreadState* state, void* block, uint64_t bytes, const HookFrame* hook);
  void RecordSample(ThreadState* state, void* block, uint64_t bytes, const HookFrame* hook);
  enum class Direction { kAllocated, kFreed };
  // The thread's counter of site 0. Null if there is no room, or no state.
  format::Counter* CounterWithoutSite(ThreadState* state);
  // What it counted goes into the thread's share of the totals.
  void FoldCounted(ThreadState* state);
  // Blocks without a stack that did not come the usual way. Takes a null state.
  void CountWithoutSite(ThreadState* state, Direction direction, uint64_t bytes, uint64_t blocks);
  // What a sample stands for, which is no part of the live total.
  bool CountEstimate(ThreadState* state, Direction direction, const SampledBlock& sample);
  void ChargeSample(const SampledBlock& sample);
  uint64_t UsableBytes(const void* block) const;
  void ForgetSamples();
  void InheritSamples(ThreadState* inherited);
  format::Counter SumWithoutSite() const;
  ThreadState* StateOfThisThread();
  SiteId SiteOfStack(ThreadState* state, const HookFrame* hook, uint32_t domain);
  void TakeNativeStack(ThreadState* state, const HookFrame* hook, uint32_t domain);
  void* OnVerifiedAlloc(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  void Verify(ThreadState* state, const HookFrame* hook, NodeId node);
  bool IsAsTaken(const format::Frame* ours, uint32_t our_count, bool cut, const uintptr_t* theirs,
                 uint32_t their_count) const;
  void KeepDifference(const format::Frame* ours, uint32_t our_count, const uintptr_t* theirs, uint32_t their_count);
  SiteId SiteOfCaller(uintptr_t caller, uint32_t domain);
  SiteId SiteForEvent(const HookFrame* hook, uint32_t domain, ThreadState** state);
  NodeId OutermostNode(uint32_t domain, format::TruncationReason cut);
  NodeId ChildOf(NodeId parent, uintptr_t pc, bool* reused);
  NodeId NodeOfStack(ThreadState* state, const TakenStack& taken, bool* reused);
  NodeId NodeOfPath(NodeId joint, const TakenStack& taken, bool* reused);
  static void EnterDomain(ThreadState* state, uint32_t domain);
  void TakeStack(ThreadState* state, const HookFrame* hook);
  void RecordAlloc(ThreadState* state, SiteId site, uintptr_t block, size_t bytes);
  void Insert(ThreadState* state, uintptr_t address, Block block);
  void InsertFailed(ThreadState* state, Block block);
  // Both take a null state. The first gives the site that was charged: another than `site` when there was no room.
  SiteId CountAlloc(ThreadState* state, SiteId site, uint64_t bytes, uint64_t blocks);
  void CountFree(ThreadState* state, Block block, uint64_t blocks = 1);
  SiteId CountOrphan(SiteId site, uint64_t bytes, uint64_t blocks, bool alloc);
  static bool AddPending(format::ThreadRecord& record, uint64_t bytes);
  static bool SubtractPending(format::ThreadRecord& record, uint64_t bytes);
  void Flush(ThreadState* state);
  void BecomeChild();
  bool InitOrphans();
  void InheritLiveBlocks();

  // --- Python's frames and blocks (tracer_python.cc)
  bool HasPython() const { return (mode_.load(std::memory_order_relaxed) & kPython) != 0; }
  PythonThread* PythonOf(ThreadState* state);
  __attribute__((noinline)) PythonThread* MakePythonThread(ThreadState* state);
  uintptr_t TopOfPython(PythonThread* python);
  __attribute__((noinline)) uintptr_t TopOfUnknownPython(PythonThread* python);
  // The stack of Python frames that begins at `top`, not null, becomes python->stack().
  __attribute__((noinline)) void TakePythonStack(PythonThread* python, uintptr_t top);
  NodeId NodeOfPython(PythonThread* python, const PythonFrame& frame, NodeId parent, FrameKind* kind,
                      PythonThread::Memo** memo);
  NodeId PythonChild(NodeId parent, format::Frame frame);
  const PythonThread::Interned& MixedStack(ThreadState* state, uint32_t domain);
  NodeId Weave(ThreadState* state, PythonThread* python);
  uint32_t FindGroups(ThreadState* state, PythonThread* python, uint32_t native_count);
  template <PythonForm kForm>
  void* OnPythonAllocDeep(ThreadState* state, void* block, size_t bytes, const HookFrame* hook,
                          const PythonStack::Kept* rest);
  template <PythonForm kForm>
  void* OnPythonAllocDeepAnew(ThreadState* state, void* block, size_t bytes, const HookFrame* hook,
                              const PythonStack::Kept* rest);
  template <PythonForm kForm>
  void* OnPythonAllocGoneOn(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  __attribute__((noinline)) void* RecordPythonAtNativeStack(ThreadState* state, void* block, size_t bytes,
                                                            const HookFrame* hook);
  void* OnPythonAllocOtherStack(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  void* OnPythonAllocInMode(ThreadState* state, void* block, size_t bytes, const HookFrame* hook);
  void* RecordPython(ThreadState* state, format::Counter* counter, SiteId site, void* block, size_t bytes);
  __attribute__((noinline)) void* InsertPythonAndOpen(ThreadState* state, format::Counter* counter, SiteId site,
                                                      void* block, size_t bytes);
  __attribute__((noinline)) void* RecordPythonWithoutRoom(ThreadState* state, SiteId site, void* block, size_t bytes);
  __attribute__((noinline)) void InsertPython(ThreadState* state, SiteId site, void* block, size_t bytes);
  __attribute__((noinline)) void WatchCode(uintptr_t code);
  void ChargeSmall(ThreadState* state, Block block);
  Block FindPython(uintptr_t address) const;
  uint64_t UsablePythonBytes(uintptr_t block) const;
  void CheckPythonSoon();
  void CheckPythonAtGrowth(const ThreadState* state);
  __attribute__((noinline)) void SchedulePythonCheckIfDue();
  void RefusePython(uint32_t why);
  void RefusePythonFrames();
  void TrustPythonFrames();
  void NotePythonOnce(uint32_t why);
  void NotePythonUnload();

  TrackedMap* FindTracked(uint32_t domain, bool create);
  void ChargePage(Block page);
  void ChargeTracked(Block block);
  static bool EventWasAbandoned(ThreadState* state, const HookFrame* hook);

  // A signal handler sees the gate closed before anything else has changed, and opened after all has.
  static void CloseGate(ThreadState* state, const HookFrame* hook) {
    state->inside = hook;
    state->inside_return_address = hook->return_address;
    StoreRelaxed(state->gate, Gate::kInside);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
  // Release: pairs with WaitForEventsInProgress(). `gate` is what it was: kOpen, kSampled or kTimed.
  static void OpenGate(ThreadState* state, Gate gate = Gate::kOpen) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    StoreRelease(state->gate, gate);
  }

  // A word of the page map: the bytes of a page, and below them two flags.
  static constexpr uint64_t kFirstOfMapping = 1;
  static constexpr uint64_t kLeaving = 2;
  static uint64_t PageBytes(Block page) { return page.bytes & ~(kFirstOfMapping | kLeaving); }
  static uint64_t FirstOfMapping(Block page) { return page.bytes & kFirstOfMapping; }
  template <typename Visitor>
  void ForEachPage(void* start, size_t bytes, Visitor visit);

  // What fork wipes: a process-wide word that says "still the process that wrote this", a lock for the first thread of
  // a child to take (zero, that is free, in every child), and whether OnForkChild() of this very process made the file
  // (its tables are not there yet).
  struct ProcessMark {
    uint64_t alive;
    SpinLock becoming_child;
    bool file_open;
  };

  static constexpr uint64_t kAlive = 0xA11C0DE;

  static constexpr uint32_t kStopped = 1;
  static constexpr uint32_t kVerifies = 2;
  static constexpr uint32_t kSamples = 4;          // blocks are sampled, or only counted
  static constexpr uint32_t kTotalsOnly = 8;       // only counted
  static constexpr uint32_t kHasExactBlocks = 16;  // blocks from before we sampled may still be freed
  static constexpr uint32_t kOtherAllocator = 32;  // not glibc's: its blocks do not say their size before them
  static constexpr uint32_t kPython = 64;          // there is an interpreter: stacks may have frames of it
  static constexpr uint32_t kPythonSound = 128;    // its frames have been seen to be where they should
  static constexpr uint32_t kPythonRefused = 256;  // they are not, or it has gone: they are not read
  static constexpr uint32_t kNotUsualSampled = kStopped | kHasExactBlocks | kOtherAllocator;
  // Stands for malloc's domain in SiteOfStack(), for stacks under format::VirtualKind::kSampled.
  static constexpr uint32_t kEstimated = ~uint32_t{0};

  std::atomic<bool> ready_{false};
  std::atomic<uint32_t> mode_{kStopped};  // 0: nothing out of the usual
  const Settings* settings_ = nullptr;
  ProcessMark* mark_ = nullptr;
  bool fork_wipes_ = true;  // the kernel does; see base/pages.h
  RecordingWriter recording_;
  SiteTable sites_;
  PathTable paths_;
  ModuleList modules_;
  ThreadStates threads_;
  PointerMap blocks_;
  SampleMap samples_;
  std::atomic<uint64_t> budget_checked_at_{0};  // the size of the tables then
  std::atomic<uint32_t> stepping_{0};           // steps taken: kSamples, kTotalsOnly
  uint64_t interval_ = 0;                       // R: set once, before kSamples
  uint64_t seed_ = 0;
  std::atomic<uint64_t> threads_seeded_{0};
  format::Counter counted_at_fork_{};
  bool fork_prepared_ = false;
  PageMap pages_;
  PythonBlockMap python_blocks_;
  TrackedMap python_others_;  // of Python's allocators, neither from an arena nor from malloc
  std::atomic<bool> any_python_others_{false};
  PythonCodes codes_;
  std::atomic<uint32_t> python_doubts_{0};  // stacks that did not look as they should
  enum class PythonCheck : uint32_t { kDue, kScheduled, kDone };
  std::atomic<PythonCheck> python_check_{PythonCheck::kDue};
  std::atomic<uint64_t> python_check_scheduled_ns_{0};
  std::atomic<uint32_t> python_checks_lost_{0};  // scheduled in vain, one after the other
  std::atomic<bool> python_ends_{false};
  std::atomic<uint64_t> python_threads_{0};  // PythonThreads there are
  NodeId python_root_ = kRootNode;
  SpinLock python_lock_;  // a leaf: while an interpreter is looked at and hooked
  PeakCopier peak_copier_;
  format::CounterChunk* orphans_ = nullptr;  // of thread record 0, group 0: added to by anyone
  std::atomic<uint32_t> clearing_{0};        // how many threads are in Clear(): then blocks are taken under the lock
  SpinLock clear_lock_;
  std::atomic<int64_t> sampled_live_{0};
  std::atomic<bool> sampling_{false};
  std::atomic<uint64_t> mapped_{0};  // by the program itself, since the last sample
  // Used by the thread that made `sampling_` true.
  Cgroup cgroup_;
  uint64_t membership_ = 0, membership_read_ns_ = 0;  // of cgroup_: it may change while the process runs
  Timeline timeline_;
  Ladder ladder_;
  RareSnapshots failed_{}, too_large_{};
  Ledger ledger_;
  uint64_t ledger_ns_ = 0;   // processor time of all readings
  uint64_t ledger_rss_ = 0;  // at the last
  MappingTable mappings_;
  std::atomic<int64_t> outside_heap_{0};  // live bytes of domains that are not of an allocator's: mmap, track()

  struct TrackedDomain {
    std::atomic<uint32_t> domain{0};
    TrackedMap blocks;
  };
  TrackedDomain tracked_[format::kMaxCustomDomains];
};

[[gnu::visibility("hidden")]] extern Tracer g_tracer;

// ---------------------------------------------------------------- counting, inline

inline SiteId Tracer::CountAlloc(ThreadState* state, SiteId site, uint64_t bytes, uint64_t blocks) {
  format::Counter* counter = __builtin_expect(state == nullptr, 0) ? nullptr : state->counters.At(site, recording_);
  if (__builtin_expect(counter == nullptr, 0)) return CountOrphan(site, bytes, blocks, true);
  AddOwned(counter->allocated_bytes, bytes);
  AddOwned(counter->allocated_blocks, blocks);
  if (__builtin_expect(state->counted != nullptr, 0)) FoldCounted(state);  // the peak is of all together
  if (AddPending(*state->record, bytes)) Flush(state);
  return site;
}

inline void Tracer::CountFree(ThreadState* state, Block block, uint64_t blocks) {
  format::Counter* counter =
      __builtin_expect(state == nullptr, 0) ? nullptr : state->counters.At(block.site, recording_);
  if (__builtin_expect(counter == nullptr, 0)) {
    CountOrphan(block.site, block.bytes, blocks, false);
    return;
  }
  AddOwned(counter->freed_bytes, block.bytes);
  AddOwned(counter->freed_blocks, blocks);
  if (SubtractPending(*state->record, block.bytes)) Flush(state);
}

// The live total of the process is kept without a shared write per event: each thread publishes its share when that has
// changed by K. The peak takes in the highest value a thread's share had since it last published, so with one thread it
// is exact, and with more it may be low by what the others had not published: threads x K at most.
// Both tell whether it is to be published now.
inline bool Tracer::AddPending(format::ThreadRecord& record, uint64_t bytes) {
  AddOwned(reinterpret_cast<uint64_t&>(record.pending_bytes), bytes);
  const int64_t pending = LoadRelaxed(record.pending_bytes);
  if (pending <= LoadRelaxed(record.pending_peak)) return false;
  StoreRelaxed(record.pending_peak, pending);
  return pending > kPeakSlackBytes;
}

inline bool Tracer::SubtractPending(format::ThreadRecord& record, uint64_t bytes) {
  AddOwned(reinterpret_cast<uint64_t&>(record.pending_bytes), ~bytes + 1);
  return LoadRelaxed(record.pending_bytes) < -kPeakSlackBytes;
}

// ---------------------------------------------------------------- allocation, inline

inline void* Tracer::OnAlloc(void* block, size_t bytes, const HookFrame* hook) {
  ThreadState* state = this_thread;
  if (__builtin_expect(state == nullptr, 0)) return OnAllocSlow(block, bytes, hook);
  if (__builtin_expect(state->gate == Gate::kOpen, 1)) return OnAllocOpen(state, block, bytes, hook);
  if (__builtin_expect(
          state->gate != Gate::kSampled || (mode_.load(std::memory_order_relaxed) & (kStopped | kOtherAllocator)) != 0,
          0)) {
    return OnAllocSlow(block, bytes, hook);
  }
  const uint64_t usable_bytes = PointerMap::UsableBytes(reinterpret_cast<uintptr_t>(block));
  format::Counter& counter = *state->counted;
  if (__builtin_expect(state->sampler.MustLook(LoadRelaxed(counter.allocated_bytes) + usable_bytes), 0)) {
    return OnLook(state, block, usable_bytes, hook);
  }
  AddOwned(counter.allocated_bytes, usable_bytes);
  AddOwned(counter.allocated_blocks, 1);
  return block;
}

// ---------------------------------------------------------------- deallocation, inline

inline Tracer::Freed Tracer::OnUsualFree(ThreadState* state, void* block) {
  Block taken;
  format::Counter* counter = nullptr;
  {
    const TakingMark mark(state);
    // Acquire: pairs with the end of Clear(), whose takings are then seen.
    if (__builtin_expect(clearing_.load(std::memory_order_acquire) != 0, 0)) return Freed::kOther;
    const auto can_be_charged = [&](Block found) {
      taken = found;
      counter = state->counters.Known(found.site);
      return counter != nullptr;
    };
    if (__builtin_expect(!blocks_.TakeUsual(reinterpret_cast<uintptr_t>(block), can_be_charged), 0)) {
      return Freed::kOther;
    }
  }
  AddOwned(counter->freed_bytes, taken.bytes);
  AddOwned(counter->freed_blocks, 1);
  return __builtin_expect(SubtractPending(*state->record, taken.bytes), 0) ? Freed::kPublish : Freed::kDone;
}

inline Tracer::Freed Tracer::OnUsualSampledFree(ThreadState* state, void* block) {
  if (__builtin_expect(state->gate != Gate::kSampled, 0)) return Freed::kOther;
  if (__builtin_expect((mode_.load(std::memory_order_relaxed) & kNotUsualSampled) != 0, 0)) return Freed::kOther;
  if (samples_.MayHold(reinterpret_cast<uintptr_t>(block))) return Freed::kOther;
  const uint64_t bytes = PointerMap::UsableBytes(reinterpret_cast<uintptr_t>(block));
  format::Counter& counter = *state->counted;
  const uint64_t freed_bytes = LoadRelaxed(counter.freed_bytes) + bytes;
  AddOwned(counter.freed_bytes, bytes);
  AddOwned(counter.freed_blocks, 1);
  return __builtin_expect(freed_bytes >= state->publish_freed, 0) ? Freed::kPublish : Freed::kDone;
}

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_TRACER_H_
