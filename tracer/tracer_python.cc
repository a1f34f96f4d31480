// The main path of blocks that come from Python's allocators, and stacks with Python frames in them.
//
// A block of Python is charged to the Python frames alone: its C frames are the interpreter's own. A block that native
// code takes from malloc (or a mapping) while Python frames are on the stack gets both, woven into one another: where
// the native stack has a call of the evaluation loop, the Python frames stand that this call runs.
//
//     native:  main  Py_RunMain  [eval]  sort_  [eval]  zlib_compress  deflateInit     and  Python:  main:7 | key:12
//     mixed:   main  Py_RunMain  main:7  sort_  key:12  zlib_compress  deflateInit
//
// Of a list of Python frames that is cut the outermost group begins the whole: the native frames further out have calls
// among them of which nothing is known.
//
// Which call runs which frames is told by stack addresses, not by symbols (PythonStack: ends of calls): since 3.12 the
// call's own entry of the list lies in its stack frame, in 3.11 its _PyCFrame. Up to 3.10 there is one call for each
// frame, and calls are known by the address range of the function. Since each call runs exactly one group of frames,
// the native stack, the Python stack and where its groups end (its *shape*) decide the whole. So a pair of the two that
// was met before is not woven again: PythonThread::Mixed.
//
// Rules beside those of tracer.cc: (1) a block of Python is recorded by the hook that the program called; what that
// hook's allocator takes from malloc underneath is part of it (Gate::kInPython). It stands in malloc's map if it is
// malloc's block itself, so that free() finds it too, in the map of arenas, or else apart. (2) What is freed needs no
// gate: the record is out, and what comes underneath finds none. (3) An arena is no block: its bytes are those in it.
//
// While blocks are sampled, those outside of arenas are left to malloc's hooks. Those inside are counted without a site
// as malloc's are, in bytes as pymalloc rounds them, which at the free says the header of their pool; and the samples
// of both have both kinds of frames. None is of the domain of Python then.
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "tracer/loaded_object.h"
#include "tracer/notice.h"
#include "tracer/python_events.h"
#include "tracer/python_hooks.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

using format::Counter;
using format::Frame;
using format::MakeVirtualFrame;
using format::VirtualKind;

// So many stacks may look wrong before Python is given up.
constexpr uint32_t kMostDoubts = 16;

// Of pymalloc's pools: struct pool_header has the index of its size class there.
constexpr uintptr_t kSizeIndex = 36;
constexpr uint32_t kSizeClasses = 32;

constexpr Frame kTooDeepFrame =
    MakeVirtualFrame(VirtualKind::kTruncated, static_cast<uint32_t>(format::TruncationReason::kTooDeep));

}  // namespace

// ---------------------------------------------------------------- finding the interpreter

void Tracer::OnNewObject(const link_map* object) {
  const bool is_pypy = HoldsPyPy(object);
  if (!is_pypy && !HoldsPython(object)) return;
  const SpinLockHolder lock(python_lock_);
  if (!lock.held()) return;
  format::FileHeader& header = recording_.header();
  if (g_python.object != nullptr) {
    if (g_python.object != object) RefusePython(format::kPythonSecondRuntime);
    return;
  }
  Text(header.python_runtime)
      .Add(object->l_name != nullptr && object->l_name[0] != '\0' ? object->l_name : settings_->executable);
  if (is_pypy) return NotePythonOnce(format::kPythonIsPyPy);
  uint32_t refused = AttachPython(object);
  StoreRelaxed(header.python_version, g_python.version);
  if (refused == 0 && (!python_blocks_.Init() || !python_others_.Init())) refused = format::kPythonBadLayout;
  if (refused != 0) return RefusePython(refused);
  codes_.Init(&recording_);
  python_root_ = sites_.Child(kRootNode, MakeVirtualFrame(VirtualKind::kDomain, format::kDomainPython));
  // Release: who sees the mode sees the rest; pairs with the fence in MakePythonThread(), which every thread passes.
  // Whoever comes by a hook has been called by Python, which reads what we store next.
  mode_.fetch_or(kPython, std::memory_order_release);
  if (InstallPythonHooks()) {
    OrRelaxed(header.python_state, static_cast<uint32_t>(format::kPythonTraced));
  } else {
    RefusePython(format::kPythonBadLayout);
  }
}

void Tracer::RefusePython(uint32_t why) {
  if (why != format::kPythonSecondRuntime) RefusePythonFrames();
  NotePythonOnce(why);
}

void Tracer::NotePythonOnce(uint32_t why) {
  if ((OrRelaxed(recording_.header().python_state, why) & why) == 0) NotePython(recording_, why);
}

void Tracer::NotePythonUnload() {
  LoadedObject object;
  if (FindObject(g_python.code_type, &object) && object.map == g_python.object) return;
  RefusePythonFrames();
}

// Relaxed, as where the mode is looked at for this: it tells of memory of the thread that looks alone.
void Tracer::RefusePythonFrames() {
  uint32_t mode = mode_.load(std::memory_order_relaxed);
  while (!mode_.compare_exchange_weak(mode, (mode | kPythonRefused) & ~kPythonSound, std::memory_order_relaxed)) {
  }
}

void Tracer::TrustPythonFrames() {
  uint32_t mode = mode_.load(std::memory_order_relaxed);
  while ((mode & kPythonRefused) == 0 &&
         !mode_.compare_exchange_weak(mode, mode | kPythonSound, std::memory_order_relaxed)) {
  }
}

void Tracer::OnPythonHooksReplaced() {
  OrRelaxed(recording_.header().python_state, static_cast<uint32_t>(format::kPythonHooksReplaced));
  codes_.VoidWhatIsKept();  // what died meanwhile did so unseen
}

// Called where a stack is new, so early and not often; and where blocks are many and no stack is new, for an allocator
// of the program's own may have taken our place, and then there are events of malloc only (NoteGrowth(),
// CheckPythonAtMapping()).
inline void Tracer::CheckPythonSoon() {
  if (__builtin_expect(python_check_.load(std::memory_order_relaxed) != PythonCheck::kDue, 1)) return;
  SchedulePythonCheckIfDue();
}

// Relaxed, here and below: the flag tells of nothing but itself. Marked first, so that what Python may do meanwhile
// does not come here again.
void Tracer::SchedulePythonCheckIfDue() {
  PythonCheck due = PythonCheck::kDue;
  if (!python_check_.compare_exchange_strong(due, PythonCheck::kScheduled, std::memory_order_relaxed)) return;
  python_check_scheduled_ns_.store(CoarseMonotonicNow(), std::memory_order_relaxed);
  if (!SchedulePythonCheck()) return python_check_.store(PythonCheck::kDue, std::memory_order_relaxed);
  python_ends_.store(false, std::memory_order_relaxed);  // it runs: if it ended before, it has begun anew
}

// Python's queue of pending calls has 32 places, which are the program's, too; it is not worked off while the main
// thread is in native code, and one of a sub-interpreter not at all once that has gone. So a call that is not served is
// made again only after one second, two, four.
void Tracer::AskForPythonCheck() {
  const PythonCheck state = python_check_.load(std::memory_order_relaxed);
  if (state == PythonCheck::kDue) return;
  if (state == PythonCheck::kScheduled) {
    constexpr uint64_t kSecondNs = 1'000'000'000;
    constexpr uint32_t kMostLost = 20;
    const uint32_t lost = python_checks_lost_.load(std::memory_order_relaxed);
    const uint64_t then = python_check_scheduled_ns_.load(std::memory_order_relaxed);
    if (CoarseMonotonicNow() - then < kSecondNs << lost) return;
    if (lost < kMostLost) python_checks_lost_.store(lost + 1, std::memory_order_relaxed);
  }
  python_check_.store(PythonCheck::kDue, std::memory_order_relaxed);
}

void Tracer::OnPythonCheck() {
  python_check_.store(PythonCheck::kDone, std::memory_order_relaxed);
  python_checks_lost_.store(0, std::memory_order_relaxed);
  python_ends_.store(false, std::memory_order_relaxed);
}

// A share of the thread's was published, and a check has been due since long before.
void Tracer::CheckPythonAtGrowth(const ThreadState* state) {
  if (state->python != nullptr) CheckPythonSoon();
}

// The program has mapped much: it may be for allocators of its own, which it will put in our place.
void Tracer::CheckPythonAtMapping() {
  const ThreadState* state = this_thread;
  if (!ready() || state == nullptr || state->python == nullptr) return;
  AskForPythonCheck();
  CheckPythonSoon();
}

// The interpreter that ends deletes the states of its daemon threads, which may be in the middle of native code that
// allocates, and then of reading their own frames. From when it says that it is ending no thread without the GIL begins
// to (PythonThread::DetachedState()), so it is enough to wait once for those that have begun: before the first block is
// given back that could be a state, which come from RAW. The two sides are Dekker's: a thread closes its gate and then
// looks whether the interpreter is ending; here it is ending, and then gates are looked at.
void Tracer::WaitForReaders() {
  if (python_ends_.exchange(true, std::memory_order_relaxed)) return;
  python_check_.store(PythonCheck::kDue, std::memory_order_relaxed);  // should there be another interpreter after it
  ThreadState* self = StateOfThisThread();
  if (ready()) threads_.WaitForEventsInProgress(self);
}

// ---------------------------------------------------------------- the thread's Python stack

inline PythonThread* Tracer::PythonOf(ThreadState* state) {
  return __builtin_expect(state->python != nullptr, 1) ? state->python : MakePythonThread(state);
}

PythonThread* Tracer::MakePythonThread(ThreadState* state) {
  std::atomic_thread_fence(std::memory_order_acquire);  // pairs with the release in OnNewObject()
  auto* python = static_cast<PythonThread*>(MapPages(RoundUpToPage(sizeof(PythonThread))));
  if (python == nullptr) return nullptr;
  python->Init(pthread_self(), python_root_);
  python_threads_.fetch_add(1, std::memory_order_relaxed);
  return state->python = python;
}

// 0: the thread runs no Python, or it cannot be read.
inline uintptr_t Tracer::TopOfPython(PythonThread* python) {
  const bool is_sound = (mode_.load(std::memory_order_relaxed) & kPythonSound) != 0;
  return __builtin_expect(is_sound, 1) ? python->Top(g_python) : TopOfUnknownPython(python);
}

uintptr_t Tracer::TopOfUnknownPython(PythonThread* python) {
  if ((mode_.load(std::memory_order_relaxed) & kPythonRefused) != 0) return 0;
  const uintptr_t top = python->CheckedTop(g_python);
  if (top == 0) return 0;
  switch (LookAtPythonFrames(g_python, python->state(), top)) {
    case Soundness::kSound:
      TrustPythonFrames();
      return top;
    case Soundness::kEmpty:
      return 0;
    case Soundness::kUnsound:
      break;
  }
  if (python_doubts_.fetch_add(1, std::memory_order_relaxed) >= kMostDoubts) RefusePython(format::kPythonBadLayout);
  return 0;
}

// The node for a frame called from `parent`. `*memo`: where that is kept; null for frames that are left out, whose node
// is the parent's.
inline NodeId Tracer::NodeOfPython(PythonThread* python, const PythonFrame& frame, NodeId parent, FrameKind* kind,
                                   PythonThread::Memo** memo) {
  *memo = nullptr;
  const PythonPlace place = PlaceOf(g_python, frame);
  *kind = place.kind;
  if ((place.kind & kLeftOut) != 0) return parent;
  const PythonLayout& layout = g_python.layout;
  const uint64_t key = PythonThread::KeyOf(layout, frame, python->stack().epoch());
  const uint32_t index = PythonThread::IndexOf(layout, frame);
  PythonThread::Memo& known = python->MemoOf(key, index, parent);
  *memo = &known;
  if (__builtin_expect(known.key == key && known.parent == parent && known.index == index, 1)) {
    return known.interned.node;
  }
  bool is_new = false;
  const uint64_t code = codes_.IdOf(layout, place.code, &is_new);
  if (is_new) WatchCode(place.code);
  const uint64_t offset = place.offset <= format::kMaxCodeOffset || place.offset == format::kNoCodeOffset
                              ? place.offset
                              : format::kMaxCodeOffset;
  const NodeId node =
      code == PythonCodes::kNoCode
          ? kNoNode
          : PythonChild(parent, MakeVirtualFrame(VirtualKind::kPython, format::PythonPayload(code, offset)));
  known = {key, parent, index, {nullptr, 0, node}};
  return node;
}

NodeId Tracer::PythonChild(NodeId parent, Frame frame) {
  const NodeId known = sites_.Find(parent, frame);
  if (__builtin_expect(known != kNoNode, 1)) return known;
  CheckBudget();
  return sites_.Child(parent, frame);
}

void Tracer::TakePythonStack(PythonThread* python, uintptr_t top) {
  CheckPythonSoon();
  const uint32_t epoch = codes_.epoch();
  python->EnterEpoch(epoch);
  if (python->Choose(g_python.layout, top, epoch) && python->GoOn(g_python, epoch)) return;
  PythonThread::Kept& kept = python->now();
  PythonStack& stack = kept.stack;
  const PythonStack::Taken taken = stack.Take(g_python.layout, python->ChunkOf(g_python.layout), top, epoch);
  if (__builtin_expect(taken.shared == 0 && stack.cut(), 0)) {
    AddRelaxed(recording_.header().truncated_stacks, 1u);
    stack.LabelOuter(PythonChild(python_root_, kTooDeepFrame));
  }
  PythonThread::Memo* memo = nullptr;
  NodeId node = taken.shared > 0 ? stack.node(taken.shared - 1) : stack.outer_node();
  for (uint32_t i = taken.fresh; i-- > 0;) {
    FrameKind kind = kPythonCode;
    PythonThread::Memo* its_memo = nullptr;
    node = NodeOfPython(python, taken.frames[i], node, &kind, &its_memo);
    if (its_memo != nullptr) memo = its_memo;
    stack.Label(stack.depth() - 1 - i, node, kind);
  }
  if (__builtin_expect(node == kNoNode, 0)) stack.Forget();
  kept.interned = memo != nullptr ? memo->interned : PythonThread::Interned{nullptr, 0, node};
  kept.memo = memo;
}

// ---------------------------------------------------------------- allocation

// For a block that is counted at its site, but for the live total.
void* Tracer::InsertPythonAndOpen(ThreadState* state, Counter* counter, SiteId site, void* block, size_t bytes) {
  if (FitsElseUncount(counter, bytes)) {
    if (AddPending(*state->record, bytes)) Flush(state);
    InsertPython(state, site, block, bytes);
  }
  OpenGate(state);
  return block;
}

// Where there is no room for the site, or for its counter.
void* Tracer::RecordPythonWithoutRoom(ThreadState* state, SiteId site, void* block, size_t bytes) {
  recording_.CountDrop(bytes > PageMap::kMaxBytes ? format::DropReason::kTooLarge : format::DropReason::kRecordingFull,
                       bytes);
  if (bytes <= PageMap::kMaxBytes) InsertPython(state, CountAlloc(state, site, bytes, 1), block, bytes);
  OpenGate(state);
  return block;
}

void* Tracer::OnPythonAllocInMode(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  if (!active()) {
    OpenGate(state);
    return block;
  }
  if (sampling()) {  // since this thread's last event
    OpenGate(state);
    if (python_blocks_.IsInArena(reinterpret_cast<uintptr_t>(block))) {
      EnterSampling(state);
      if (state->gate == Gate::kSampled) OnSampledPythonAlloc(state, block, hook);
    } else if (state->allocated_underneath != nullptr) {
      OnSampledAlloc(state->allocated_underneath, bytes, hook);
    }
    return block;
  }
  return OnPythonAllocOtherStack(state, block, bytes, hook);
}

// No Python runs: the interpreter begins, or ends.
void* Tracer::RecordPythonAtNativeStack(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  const SiteId site = SiteOfStack(state, hook, format::kDomainPython);
  Counter* counter = site == format::kOverflowSite ? nullptr : state->counters.At(site, recording_);
  if (counter == nullptr) return RecordPythonWithoutRoom(state, site, block, bytes);
  return RecordPython(state, counter, site, block, bytes);
}

void* Tracer::OnPythonAllocOtherStack(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  PythonThread* python = PythonOf(state);
  const uintptr_t top = python == nullptr ? 0 : TopOfPython(python);
  if (__builtin_expect(top == 0, 0)) return RecordPythonAtNativeStack(state, block, bytes, hook);
  TakePythonStack(python, top);
  PythonThread::Interned& last = python->now().interned;
  if (__builtin_expect(last.counter == nullptr, 0)) {
    if (last.node == python_root_) return RecordPythonAtNativeStack(state, block, bytes, hook);  // all are left out
    last.site = sites_.SiteOf(last.node);
    last.counter = last.site == format::kOverflowSite ? nullptr : state->counters.At(last.site, recording_);
    if (last.counter == nullptr) return RecordPythonWithoutRoom(state, last.site, block, bytes);
    // Its place may be another frame's by now: one of the other stack that is kept.
    PythonThread::Memo* memo = python->now().memo;
    if (memo != nullptr && memo->interned.node == last.node) memo->interned = last;
  }
  return RecordPython(state, last.counter, last.site, block, bytes);
}

void Tracer::InsertPython(ThreadState* state, SiteId site, void* block, size_t bytes) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(block);
  if (block == state->allocated_underneath) {  // one of malloc's
    if (!blocks_.InsertUsual(address, site, bytes)) Insert(state, address, {site, bytes});
    return;
  }
  Block stale;
  bool was_code = false;
  if (PythonBlockMap::Insert(python_blocks_.PlaceOf(address), {site, bytes}, &stale, &was_code)) {
    AddOwned(reinterpret_cast<uint64_t&>(state->record->python_small_bytes), bytes);
    if (stale.site != 0) ChargeSmall(state, stale);
    if (was_code) codes_.Forget(address);
    return;
  }
  if (!python_others_.Insert(address, {site, bytes}, &stale)) {
    InsertFailed(state, {site, bytes});
    return;
  }
  any_python_others_.store(true, std::memory_order_relaxed);
  if (stale.site != 0) Charge(stale);
}

// For a hook that finds the gate not open, or does not look.
Tracer::PythonEvent Tracer::BeginPythonEvent(const HookFrame* hook, ThreadState** out) {
  ThreadState* state = this_thread;
  if (state == nullptr || state->gate == Gate::kWiped) state = StateOfThisThread();
  *out = state;
  if (state == nullptr || !ready()) return PythonEvent::kPassedOn;
  InterruptAttention(state);
  // An allocator that another hook has called lies deeper on the same stack.
  const bool is_inside = state->gate == Gate::kInside || (state->gate == Gate::kInPython && hook >= state->inside);
  if (__builtin_expect(is_inside && EventWasAbandoned(state, hook), 0)) {
    state->stack.Forget();
    if (state->python != nullptr) state->python->Forget();
    state->gate = Gate::kOpen;
  }
  switch (state->gate) {
    case Gate::kOpen:
      EnterPython(state, hook);
      return PythonEvent::kRecorded;
    case Gate::kSampled:
      return PythonEvent::kSampled;
    default:
      return PythonEvent::kPassedOn;
  }
}

// ---------------------------------------------------------------- deallocation

void Tracer::ChargeSmall(ThreadState* state, Block block) {
  AddOwned(reinterpret_cast<uint64_t&>(state->record->python_small_bytes), ~block.bytes + 1);
  CountFree(state, block);
}

// Sees to it that the death of a code is seen: that of the block it lies in. Where none is known that holds it (blocks
// are sampled, or it is from before), it is one of those it would lie in without a header and with that of
// PyMem_SetupDebugHooks(): nothing else begins there. Called once for each code.
void Tracer::WatchCode(uintptr_t code) {
  constexpr uintptr_t kDebugHeader = 16, kLongestHeader = 256, kGranule = 16;
  const uintptr_t last = code & ~(kGranule - 1);
  for (uintptr_t at = last; last - at <= kLongestHeader; at -= kGranule) {
    const Block block = Find(format::kDomainMalloc, at);
    if (block.site == 0 || block.bytes <= code - at) continue;
    if (at != code) codes_.LiesIn(at, code);
    python_blocks_.MarkCode(at);
    return;
  }
  python_blocks_.MarkCode(code);
  codes_.LiesIn(code - kDebugHeader, code);
  python_blocks_.MarkCode(code - kDebugHeader);
}

// Whatever is recorded of the block, and of malloc's map only `with_malloc`: else free() or realloc() underneath does
// it. A code object that leaves its address leaves the table of codes before.
Tracer::PythonLeaving Tracer::TakeOutPython(ThreadState* state, void* block, bool with_malloc) {
  PythonLeaving leaving;
  const uintptr_t address = reinterpret_cast<uintptr_t>(block);
  bool was_code = false;
  leaving.place = python_blocks_.PlaceOf(address);
  const auto take = [&] {
    leaving.small = PythonBlockMap::Take(leaving.place, &was_code);
    if (leaving.small.site == 0 && __builtin_expect(any_python_others_.load(std::memory_order_relaxed), 0)) {
      leaving.other = python_others_.Take(address);
    }
    if (with_malloc && leaving.small.site == 0) leaving.malloced = blocks_.Take(address);
  };
  bool taken = false;
  {
    const TakingMark mark(state);
    // Acquire: as in OnUsualFree().
    if (__builtin_expect(clearing_.load(std::memory_order_acquire) == 0, 1)) {
      take();
      taken = true;
    }
  }
  if (!taken) {
    const SpinLockHolder lock(clear_lock_);
    take();
  }
  const bool in_arena = PythonBlockMap::IsInArena(leaving.place);
  if (was_code || (!in_arena && codes_.Knows(address))) codes_.Forget(address);
  if (__builtin_expect(sampling(), 0) && in_arena && leaving.small.site == 0 && active()) {
    leaving.usable_bytes = UsablePythonBytes(address);
    if (samples_.MayHold(address)) leaving.sample = samples_.Take(address);
  }
  return leaving;
}

void Tracer::ChargePython(ThreadState* state, const PythonLeaving& leaving) {
  if (leaving.small.site != 0) ChargeSmall(state, leaving.small);
  if (leaving.malloced.site != 0) CountFree(state, leaving.malloced);
  if (leaving.other.site != 0) CountFree(state, leaving.other);
  if (leaving.usable_bytes != 0) CountWithoutSite(state, Direction::kFreed, leaving.usable_bytes, 1);
  ChargeSample(leaving.sample);
}

void Tracer::PutBackPython(ThreadState* state, void* block, const PythonLeaving& leaving) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(block);
  Block stale;
  SampledBlock stale_sample;
  PythonBlockMap::PutBack(leaving.place, leaving.small, /*was_code=*/false);
  if (leaving.malloced.site != 0) Insert(state, address, leaving.malloced);
  if (leaving.other.site != 0) python_others_.Insert(address, leaving.other, &stale);
  if (leaving.sample.site != 0) samples_.Insert(address, leaving.sample, &stale_sample);
}

void Tracer::OnPythonFree(void* block) {
  if (block == nullptr) return;
  ThreadState* state = this_thread;
  if (state == nullptr || state->gate == Gate::kWiped) state = StateOfThisThread();
  if (state == nullptr || !ready() || state->gate == Gate::kInPython) return;
  ChargePython(state, TakeOutPython(state, block, /*with_malloc=*/false));
}

Block Tracer::FindPython(uintptr_t address) const {
  const Block small = python_blocks_.Find(address);
  return small.site != 0 ? small : python_others_.Find(address);
}

// In front of an object may lie what the garbage collector knows of it, and since 3.11 two more words.
Block Tracer::FindPythonObject(uintptr_t object) {
  for (uintptr_t before = 0; before <= 32; before += 16) {
    const Block block = Find(format::kDomainMalloc, object - before);
    if (block.site != 0 && block.bytes > before) return block;
  }
  return {};
}

// ---------------------------------------------------------------- arenas

void Tracer::OnPythonArena(void* arena, size_t bytes) {
  if (!EnsureOwnRecording()) return;
  python_blocks_.AddArena(reinterpret_cast<uintptr_t>(arena), bytes);
  mappings_.Reassign(reinterpret_cast<uintptr_t>(arena), bytes, MappingTable::kTracedAllocator);
  AddRelaxed(recording_.header().python_arena_bytes, bytes);
  // Every so often the hooks are looked after: tracemalloc.stop() puts back what was there when it started, and when
  // that was before a check we are out. Where there are no arenas any more, for the program has allocators of its own,
  // NoteGrowth() and Sample() ask.
  AskForPythonCheck();
  CheckPythonSoon();
}

void Tracer::OnPythonArenaGone(void* arena, size_t bytes) {
  if (!EnsureOwnRecording()) return;
  python_blocks_.RemoveArena(reinterpret_cast<uintptr_t>(arena), bytes);
  AddRelaxed(recording_.header().python_arena_bytes, ~uint64_t{bytes} + 1);
}

// ---------------------------------------------------------------- while blocks are sampled

// Of a live block in an arena: its size class.
uint64_t Tracer::UsablePythonBytes(uintptr_t block) const {
  const uintptr_t pool_bytes = g_python.minor() < 10 ? 4 << 10 : 16 << 10;
  const uintptr_t pool = block & ~(pool_bytes - 1);
  const uint32_t index = *reinterpret_cast<const volatile uint32_t*>(pool + kSizeIndex);
  return index < kSizeClasses ? (uint64_t{index} + 1) * 16 : 0;
}

void Tracer::OnSampledPythonAlloc(ThreadState* state, void* block, const HookFrame* hook) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(block);
  if (!active() || !python_blocks_.IsInArena(address)) return;
  const uint64_t bytes = UsablePythonBytes(address);
  if (bytes == 0) return;
  Counter& counter = *state->counted;
  if (state->sampler.MustLook(LoadRelaxed(counter.allocated_bytes) + bytes)) {
    OnLook(state, block, bytes, hook);
    return;
  }
  AddOwned(counter.allocated_bytes, bytes);
  AddOwned(counter.allocated_blocks, 1);
}

Tracer::Ignored::Ignored() {
  ThreadState* state = g_tracer.StateOfThisThread();
  if (state == nullptr || state->gate == Gate::kInside || state->gate == Gate::kInPython) return;
  state_ = state;
  gate_ = state->gate;
  state->gate = Gate::kIgnored;
}

// ---------------------------------------------------------------- native stacks with Python in them

// What state->last, a native stack, is together with the thread's Python frames.
const PythonThread::Interned& Tracer::MixedStack(ThreadState* state, uint32_t domain) {
  static constinit thread_local PythonThread::Interned without{};
  PythonThread* python = PythonOf(state);
  NodeId python_node = kRootNode;
  uint64_t shape = 0;
  const uintptr_t top = python == nullptr || domain == format::kDomainPython ? 0 : TopOfPython(python);
  if (top != 0) {
    const uintptr_t chunk = python->ChunkOf(g_python.layout);
    if (!python->stack().IsSame(g_python.layout, chunk, top, codes_.epoch())) TakePythonStack(python, top);
    if (__builtin_expect(!python->stack().HasSameMarks(g_python.layout), 0)) {
      python->Forget();
      TakePythonStack(python, top);
    }
    const PythonStack& stack = python->stack();
    if (stack.depth() != 0) {
      python_node = stack.node(stack.depth() - 1);
      shape = stack.shape(stack.depth() - 1);
    }
  }
  const NodeId native = state->last.node;
  PythonThread::Interned* interned = &without;
  if (python != nullptr) {
    PythonThread::Mixed& mixed = python->MixedOf(native, python_node, shape);
    interned = &mixed.interned;
    if (__builtin_expect(mixed.native == native && mixed.python == python_node && mixed.shape == shape &&
                             mixed.interned.counter != nullptr,
                         1)) {
      return mixed.interned;
    }
    CheckPythonSoon();
    mixed = {native, python_node, shape, {}};
  }
  const NodeId node = python_node == kRootNode || native == kNoNode ? native : Weave(state, python);
  const SiteId site = sites_.SiteOf(node);
  *interned = {site == format::kOverflowSite ? nullptr : state->counters.At(site, recording_), site, node};
  return *interned;
}

// Finds which native frame each group of Python frames belongs to. Gives the number of groups, the innermost first.
uint32_t Tracer::FindGroups(ThreadState* state, PythonThread* python, uint32_t native_count) {
  const PythonLayout& layout = g_python.layout;
  const PythonStack& stack = python->stack();
  const StackCache& native = state->stack;
  const bool has_shims = layout.first_shim_owner < 255;
  uintptr_t c_frame = layout.has_c_frames && !has_shims
                          ? *reinterpret_cast<const volatile uintptr_t*>(python->state() + layout.top)
                          : 0;
  uint32_t count = 0;
  uint32_t end = stack.depth();
  for (uint32_t i = stack.depth(); i-- > 0;) {
    if ((stack.kind(i) & kEndsCall) == 0 && i != 0) continue;
    const bool has_end = (stack.kind(i) & kEndsCall) != 0;
    uintptr_t anchor = 0;
    if (has_end && has_shims) anchor = stack.frame(i).frame;
    // Of a list that is cut the outermost group may have no end here, and yet its call is the next one.
    if ((has_end || stack.cut()) && c_frame != 0) {
      anchor = c_frame;
      c_frame = *reinterpret_cast<const volatile uintptr_t*>(c_frame + layout.c_frame_previous);
    }
    python->groups[count++] = {i, end, anchor, native_count};
    end = i;
  }
  const bool by_address = native.depth() == native_count && layout.instruction_is_pointer;
  uint32_t group = 0;
  for (uint32_t i = native_count; i-- > 0 && group < count;) {
    if (by_address) {
      const uintptr_t from = native.frame(i).address;
      const uintptr_t to = i == 0 ? ~uintptr_t{0} : native.frame(i - 1).address;
      while (group < count && python->groups[group].anchor > from && python->groups[group].anchor < to) {
        python->groups[group++].native = i;
      }
      // The mark of the call of a group that is cut lies further out than what is kept.
      if (__builtin_expect(stack.cut(), 0) && group < count && python->groups[group].anchor == 0 &&
          (group == 0 || python->groups[group - 1].native != i) &&
          g_python.IsEvaluation(format::AddressOf(python->frames[i]))) {
        python->groups[group++].native = i;
      }
    } else if (g_python.IsEvaluation(format::AddressOf(python->frames[i]))) {
      python->groups[group++].native = i;
    }
  }
  return count;
}

// The gate is closed, state->last is a native stack, and python->stack() the thread's Python frames.
NodeId Tracer::Weave(ThreadState* state, PythonThread* python) {
  const format::NodeRecord* nodes = sites_.nodes();
  // Outermost last; then turned round, without what stands outside of the native frames.
  uint32_t native_count = 0;
  NodeId outside = state->last.node;
  for (; outside != kRootNode; outside = nodes[outside].parent) {
    const Frame frame = LoadAcquire(nodes[outside].frame);
    if (format::IsVirtual(frame) || native_count == format::kMaxDepth) break;
    python->frames[native_count++] = frame;
  }
  for (uint32_t i = 0; i < native_count / 2; ++i) {
    const Frame frame = python->frames[i];
    python->frames[i] = python->frames[native_count - 1 - i];
    python->frames[native_count - 1 - i] = frame;
  }
  const PythonStack& stack = python->stack();
  const uint32_t group_count = FindGroups(state, python, native_count);
  NodeId node = outside;
  const auto add_group = [&](const PythonThread::Group& group) {
    for (uint32_t i = group.first; i < group.end; ++i) {
      if ((stack.kind(i) & kLeftOut) == 0) node = PythonChild(node, LoadRelaxed(nodes[stack.node(i)].frame));
    }
  };
  uint32_t group = group_count;
  uint32_t outermost = 0;
  if (__builtin_expect(stack.cut(), 0)) {
    // Which calls of Python lie between the native frames further out is not known: the whole stack is cut there.
    if (group > 0 && python->groups[group - 1].native < native_count) outermost = python->groups[group - 1].native;
    if (outside == kRootNode || format::KindOf(LoadRelaxed(nodes[outside].frame)) != VirtualKind::kTruncated) {
      node = PythonChild(node, kTooDeepFrame);
    }
  }
  // Those whose call is not on the native stack, as far as that is known.
  while (group > 0 && python->groups[group - 1].native == native_count) add_group(python->groups[--group]);
  for (uint32_t i = outermost; i < native_count; ++i) {
    bool is_call = false;
    while (group > 0 && python->groups[group - 1].native == i) {
      add_group(python->groups[--group]);
      is_call = true;
    }
    if (!is_call) node = PythonChild(node, python->frames[i]);
  }
  return node;
}

}  // namespace allocline
