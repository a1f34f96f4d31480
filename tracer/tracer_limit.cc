// How near the process and its container are to the limit they die at: the figures in the header and the timeline, and
// the snapshots that are taken on the way up.
//
//   Flush (a share is published) -> NoteGrowth     -> due? -> Sample -> ReadFigures -> header, timeline, ladder
//   mmap of the program's own    -> OnLargeMapping -^               '-> TakeRungs, for the rungs that it passed
//
// Snapshots come without being asked for when
//   - the usage passes a rung of the ladder: "limit-90%" (tracer/ladder.h);
//   - an allocation fails: "failed-allocation";
//   - one asks for more than is left of the limit: "too-large-request". The request is in it, though its pages are not
//     touched yet: by the time they are, the process may be gone.
// What is live at a new peak is copied by peak_copy.h, at places of its own: @peak.
//
// The limit is the container's, or the one that ALLOCLINE_LIMIT gives, if that is less. What counts against it is the
// container's usage where it has a limit of its own. Where it has none, the cgroup may be a whole login session, so
// there an emulated limit is compared with the resident set of the process.
//
// Threads: any; one at a time reads figures, and others that find it due meanwhile go on without. A rung's snapshot is
// taken after the figures are let go of, under the lock of snapshots alone. Signals are blocked while either is held.
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <algorithm>

#include "base/clock.h"
#include "base/pages.h"
#include "base/text.h"
#include "tracer/next_allocator.h"
#include "tracer/snapshot.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

using format::FileHeader;
using format::SnapshotKind;

constexpr uint64_t kSecondNs = 1'000'000'000;
// Of points: a program may take and give back a large buffer in a loop.
constexpr uint64_t kLeastDistanceNs = 20'000'000;
// A reading takes some 50 us: of the time of a program that does nothing but take checkpoints, a twentieth.
constexpr uint64_t kFreshNs = 1'000'000;
constexpr int64_t kFreshBytes = 64 << 10;
// By what is allocated and not by the clock: how many blocks go unseen after the hooks were taken out depends on no
// machine's speed. A check takes some microseconds.
constexpr uint32_t kSharesToPythonCheck = 8;
constexpr int64_t kLargeRequest = 1 << 20;
constexpr uint32_t kMostRareSnapshots = 4;
constexpr uint64_t kLedgerNsPerPage = 200;

// A clock that was set back by more than it may be late counts as one that went on.
bool Passed(uint64_t now, uint64_t last, uint64_t distance) { return now > last + distance || now + kSecondNs < last; }

// Field 2 of /proc/self/statm.
uint64_t ReadResidentBytes(uint64_t unknown) {
  char statm[128];
  const long fd = sys::Open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (sys::IsError(fd)) return unknown;
  const long n = sys::Read(static_cast<int>(fd), statm, sizeof statm - 1);
  sys::Close(static_cast<int>(fd));
  statm[n > 0 ? n : 0] = '\0';
  const char* p = strchr(statm, ' ');
  uint64_t pages = 0;
  for (p = p == nullptr ? statm : p + 1; *p >= '0' && *p <= '9'; ++p)
    pages = pages * 10 + static_cast<uint64_t>(*p - '0');
  return pages * kPage;
}

}  // namespace

void Tracer::StartWatching() {
  FileHeader& header = recording_.header();
  membership_ = CgroupMembership();
  membership_read_ns_ = MonotonicNow();
  EnterCgroup();
  header.emulated_limit_bytes = settings_->limit;
  memcpy(header.ladder, settings_->ladder, sizeof header.ladder);
  ladder_.Init(settings_->ladder, settings_->limit != 0, header.start_monotonic_ns);
  header.container_limit_bytes = ReadContainerMemory(cgroup_).limit_bytes;
}

// Finds the group that the process is in. What the header says of it changes with it, so that who reads of a kill looks
// for it where it is counted.
void Tracer::EnterCgroup() {
  FileHeader& header = recording_.header();
  cgroup_ = FindCgroup(0);
  header.container_version = static_cast<uint32_t>(cgroup_.version);
  Text path(header.container_path);
  if (path.Add(cgroup_.directory).truncated()) header.container_path[0] = '\0';
  if (!ReadOomKills(cgroup_, &header.oom_kills_at_start)) header.oom_kills_at_start = format::kNotCounted;
}

// A process may be moved to another group, by a supervisor that starts it first and confines it then. Looked at once a
// second at the most.
void Tracer::FollowCgroup(uint64_t now) {
  if (!Passed(now, membership_read_ns_, kSecondNs)) return;
  membership_read_ns_ = now;
  const uint64_t membership = CgroupMembership();
  if (membership == membership_ || membership == 0) return;
  membership_ = membership;
  EnterCgroup();
  ladder_.StartOver();
}

// ---------------------------------------------------------------- when

// A share was published: the total of the process is `live` now.
void Tracer::NoteGrowth(ThreadState* state, int64_t live, int64_t share) {
  const int64_t share_before = state->last_share;
  state->last_share = share;
  if (++state->shares % kSharesToPythonCheck == 0) {
    CheckPythonAtGrowth(state);  // no stack was new since the last time
    AskForPythonCheck();
  }
  if (!SampleIsDue(live, share) || LoadRelaxed(mark_->alive) != kAlive) return;
  state->stack.own_stack()->Call([this, share, share_before] {
    Sample();
    // realloc gives back what it had before it takes more: then only the difference is asked for.
    if (share > kLargeRequest) NoteRequest(share + (share_before < 0 ? share_before : 0));
  });
  ThreadStates::RefreshName(state);
}

bool Tracer::SampleIsDue(int64_t live, int64_t share) const {
  const uint64_t now = CoarseMonotonicNow();
  const uint64_t last = LoadRelaxed(recording_.header().sample_monotonic_ns);
  if (Passed(now, last, kSecondNs)) return true;
  const int64_t moved = live - sampled_live_.load(std::memory_order_relaxed);
  const int64_t step = live / 32 > (1 << 20) ? live / 32 : (1 << 20);
  if ((moved > step || moved < -step) && Passed(now, last, kLeastDistanceNs)) return true;
  return ladder_.IsDue(live, now) || (share > kLargeRequest && ladder_.IsDueFor(static_cast<uint64_t>(share), now));
}

void Tracer::OnLargeMapping(size_t bytes) {
  if (!EnsureOwnRecording() || !active()) return;
  const uint64_t mapped = mapped_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const int64_t live = static_cast<int64_t>(LoadRelaxed(recording_.header().live_bytes) + mapped);
  const uint64_t now = CoarseMonotonicNow();
  if (!ladder_.IsDue(live, now) && !ladder_.IsDueFor(bytes, now)) return;
  Sample();
  NoteRequest(static_cast<int64_t>(bytes));
}

// ---------------------------------------------------------------- figures

void Tracer::Sample() {
  const uint32_t rungs = ReadFigures();
  if (__builtin_expect(rungs != 0, 0)) TakeRungs(rungs);
  const uint64_t rss = LoadRelaxed(recording_.header().rss_bytes), then = ledger_rss_;
  const uint64_t step = then / 8 > (4 << 20) ? then / 8 : 4 << 20;
  if (rss > then + step || rss + step < then) ReadLedger(Wish::kAsItGrows);
}

void Tracer::SampleIfOld() {
  const int64_t live = static_cast<int64_t>(LoadRelaxed(recording_.header().live_bytes));
  const int64_t moved = live - sampled_live_.load(std::memory_order_relaxed);
  const bool is_fresh = !Passed(MonotonicNow(), LoadRelaxed(recording_.header().sample_monotonic_ns), kFreshNs);
  if (!is_fresh || moved > kFreshBytes || moved < -kFreshBytes) Sample();
}

uint32_t Tracer::ReadFigures() {
  const SignalsBlocked no_handlers;
  // Acquire and release: the next one sees what this one leaves in the timeline and on the ladder.
  if (sampling_.exchange(true, std::memory_order_acquire)) return 0;
  const uint64_t start_cpu_ns = ThreadCpuNow();
  FileHeader& header = recording_.header();
  const auto live = static_cast<int64_t>(LoadRelaxed(header.live_bytes));
  const uint64_t rss = ReadResidentBytes(LoadRelaxed(header.rss_bytes));
  FollowCgroup(CoarseMonotonicNow());
  const ContainerMemory container = ReadContainerMemory(cgroup_);
  const uint64_t now = MonotonicNow();
  StoreRelaxed(header.rss_bytes, rss);
  StoreRelaxed(header.container_usage_bytes, container.usage_bytes);
  StoreRelaxed(header.container_limit_bytes, container.limit_bytes);
  StoreRelaxed(header.tracer_private_bytes, TracerMemory());
  StoreRelaxed(header.pointer_map_bytes, blocks_.leaf_bytes() + pages_.leaf_bytes() + samples_.leaf_bytes() +
                                             python_blocks_.leaf_bytes() + python_others_.leaf_bytes());
  StoreRelaxed(header.sample_monotonic_ns, now);
  sampled_live_.store(live, std::memory_order_relaxed);
  mapped_.store(0, std::memory_order_relaxed);
  timeline_.Add({.monotonic_ns = now,
                 .live_bytes = static_cast<uint64_t>(live > 0 ? live : 0),
                 .rss_bytes = rss,
                 .container_usage_bytes = container.usage_bytes,
                 .container_limit_bytes = container.limit_bytes});

  uint64_t usage = container.usage_bytes, limit = container.limit_bytes;
  if (const uint64_t emulated = header.emulated_limit_bytes; emulated != 0) {
    if (limit == 0) usage = rss;
    if (limit == 0 || emulated < limit) limit = emulated;
  }
  const uint64_t spent = AddRelaxed(header.watch_ns, ThreadCpuNow() - start_cpu_ns);
  const uint32_t rungs = ladder_.Read(usage, limit, live, now, spent);
  AskForPythonCheck();
  sampling_.store(false, std::memory_order_release);
  return rungs;
}

// ---------------------------------------------------------------- the ledger

bool Tracer::ReadLedger(Wish wish) {
  if (!EnsureOwnRecording()) return false;
  const SignalsBlocked no_handlers;
  // As in ReadFigures().
  if (sampling_.exchange(true, std::memory_order_acquire)) return false;
  FileHeader& header = recording_.header();
  const uint64_t now = MonotonicNow(), start = header.start_monotonic_ns;
  const uint64_t elapsed = now > start ? now - start : 0;
  const uint64_t may_take = wish == Wish::kAlways   ? UINT64_MAX
                            : wish == Wish::kWanted ? 50'000'000 + elapsed / 50
                                                    : std::min(elapsed / 200, 2'000'000 + elapsed / 500);
  const uint64_t will_take = LoadRelaxed(header.rss_bytes) / kPage * kLedgerNsPerPage;
  bool read = false;
  if (ledger_ns_ + will_take < may_take) {
    const uint64_t start_cpu_ns = ThreadCpuNow();
    int64_t live = 0;
    uint64_t peak = 0;
    TracedMemory(&live, &peak);
    const int64_t outside = outside_heap_.load(std::memory_order_relaxed);
    const auto not_negative = [](int64_t bytes) { return static_cast<uint64_t>(bytes > 0 ? bytes : 0); };
    const bool whole = sampling() || !blocks_.compact();
    const ThreadState* state = this_thread;
    const bool in_event = state != nullptr && state->gate == Gate::kInside && state->last_share > kLargeRequest;
    read = ledger_.Read({.blocks = whole ? nullptr : &blocks_,
                         .mappings = &mappings_,
                         .cgroup = &cgroup_,
                         .allocator = blocks_.compact() ? 0 : reinterpret_cast<uintptr_t>(g_next_allocator.malloc),
                         .traced_bytes = not_negative(live - outside),
                         .outside_heap_bytes = not_negative(outside),
                         .python_arena_bytes = LoadRelaxed(header.python_arena_bytes),
                         .python_live_bytes = not_negative(LivePythonBytes()),
                         .own_private_bytes = TracerMemory(),
                         .arriving_bytes = in_event ? static_cast<uint64_t>(state->last_share) : 0});
    if (read) ledger_rss_ = ledger_.last()->rss_bytes;
    if (read && ledger_rss_ != 0) {  // one moment, one figure
      StoreRelaxed(header.rss_bytes, ledger_rss_);
      StoreRelaxed(header.container_usage_bytes, ledger_.last()->container_usage_bytes);
      StoreRelaxed(header.container_limit_bytes, ledger_.last()->container_limit_bytes);
    }
    ledger_ns_ += ThreadCpuNow() - start_cpu_ns;
  }
  sampling_.store(false, std::memory_order_release);
  return read;
}

// Of blocks in pymalloc's arenas.
int64_t Tracer::LivePythonBytes() const {
  const auto* records = reinterpret_cast<const format::ThreadRecord*>(recording_.base(format::TableKind::kThreads));
  const uint64_t count = recording_.used(format::TableKind::kThreads) / sizeof(format::ThreadRecord);
  int64_t bytes = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (LoadAcquire(records[i].kind) != 0) bytes += LoadRelaxed(records[i].python_small_bytes);
  }
  return bytes;
}

// ---------------------------------------------------------------- snapshots

void Tracer::TakeRungs(uint32_t rungs) {
  FileHeader& header = recording_.header();
  for (uint32_t rung = 0; rung <= Ladder::kTop; ++rung) {
    if ((rungs >> rung & 1) == 0) continue;
    char buffer[16];
    Text label(buffer);
    label.Add("limit-").AddNumber(ladder_.percent(rung)).Add("%");
    // What is left is the program's: a snapshot that takes a good part of it would be what kills.
    const int64_t room = ladder_.room();
    const bool fits = rung == Ladder::kTop || static_cast<int64_t>(SnapshotNeeds()) < room / 4;
    if (!fits || TakeSnapshot(label.c_str(), format::kRowsNotGiven, SnapshotKind::kRung) != 0) {
      AddRelaxed(header.rungs_left_out, 1u);
    }
  }
  if ((rungs >> Ladder::kTop & 1) == 0) return;
  OrRelaxed(header.state, static_cast<uint32_t>(format::kStateAtLimit));
  if (!settings_->kill_at_limit) return;
  OrRelaxed(header.state, static_cast<uint32_t>(format::kStateEndedItself));
  sys::Call(SYS_kill, sys::GetPid(), SIGKILL);
}

// `bytes` were asked for; the figures have just been read.
void Tracer::NoteRequest(int64_t bytes) {
  if (bytes <= ladder_.room()) return;
  FileHeader& header = recording_.header();
  AddRelaxed(header.too_large_requests, 1u);
  RaiseToAtLeast(header.too_large_bytes, static_cast<uint64_t>(bytes));
  TakeRarely(&too_large_, "too-large-request", SnapshotKind::kTooLargeRequest);
}

void* Tracer::OnFailedAlloc(size_t bytes) {
  // Some allocators give null for a size of 0; EINVAL is an alignment that cannot be.
  if (bytes != 0 && errno == ENOMEM) NoteFailedAlloc(bytes);
  return nullptr;
}

void Tracer::NoteFailedAlloc(size_t bytes) {
  if (!EnsureOwnRecording() || !active()) return;
  FileHeader& header = recording_.header();
  AddRelaxed(header.failed_allocations, 1u);
  StoreRelaxed(header.failed_bytes, bytes);
  TakeRarely(&failed_, "failed-allocation", SnapshotKind::kFailedAllocation);
}

// The first, and then one a second; four in all.
void Tracer::TakeRarely(RareSnapshots* snapshots, const char* label, SnapshotKind kind) {
  const uint64_t now = MonotonicNow();
  const uint32_t taken = LoadRelaxed(snapshots->taken);
  if (taken >= kMostRareSnapshots || (taken > 0 && !Passed(now, LoadRelaxed(snapshots->last_ns), kSecondNs))) return;
  StoreRelaxed(snapshots->last_ns, now);
  uint32_t expected = taken;
  if (!CompareExchange(snapshots->taken, expected, taken + 1)) return;  // another thread takes it
  TakeSnapshot(label, format::kRowsNotGiven, kind);
}

}  // namespace allocline
