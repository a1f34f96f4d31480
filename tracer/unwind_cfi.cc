#include "tracer/unwind_cfi.h"

#include <atomic>
#include <cstddef>

#include "base/pages.h"
#include "tracer/cfi_table.h"
#include "tracer/signal_frame.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {
namespace {

using format::TruncationReason;

CfiTable g_rows;
constexpr uintptr_t kFirstCodeAddress = 4096;  // below it is no code: a return address there ends the stack
constexpr TruncationReason kWhole{};
constexpr TruncationReason kNoCaller = TruncationReason::kBadUnwindInfo;  // the last frame did not say it is the last

}  // namespace

constinit std::atomic<uint32_t> g_code_epoch{0};

// Release: who sees the new epoch sees no row from before. Pairs with the acquire in StackCache::Take().
void ForgetCode() {
  g_rows.Clear();
  g_code_epoch.fetch_add(1, std::memory_order_release);
}

// Release: as above, of an unload that begins (Tracer::BeforeUnload).
void ForgetReadable() { g_code_epoch.fetch_add(1, std::memory_order_release); }

const KeptFrame* StackCache::FirstDifferenceWithRbp(const KeptFrame* f) const {
  for (; f != &Kept(0); --f) {
    const KeptFrame& next = f[-1];
    if ((f->flags & kLoadsCfa) != 0 && Load(cfa_place_[IndexOf(f)]) != next.return_address.address + 8) break;
    if (Load(next.return_address.address) != next.return_address.value) break;
    const Slot& rbp = kept_rbp_[IndexOf(&next)];
    if ((next.flags & kNeedsRbp) != 0 && rbp.address != 0 && Load(rbp.address) != rbp.value) break;
  }
  return f;
}

// The stack just taken becomes the kept one: `shared` frames stay, the stepped ones go on top. Neither they nor the
// innermost shared one need their rbp.
inline TakenStack StackCache::Keep(const HookFrame* hook, uint32_t shared, uint32_t fresh, uint64_t path_hash,
                                   TruncationReason cut) {
  if (__builtin_expect(shared + fresh > kRoom, 0)) return TakeAnew(hook);
  KeptFrame* const kept = &Kept(shared);
  const uint32_t flags = shared > 0 ? kept[-1].flags : 0;
  KeptFrame* to = kept;
  for (const State* from = stepped_ + fresh; from != stepped_; ++to) *to = {(--from)->return_address, 0, flags};
  depth_ = shared + fresh;
  top_ = {.hook = flags == 0 ? reinterpret_cast<uintptr_t>(hook) : 0,
          .return_address = hook->return_address,
          .caller_rbp = 0,
          .rbp_mask = 0};
  return {shared, fresh, kept, nullptr, path_hash, cut, shared > 0 && fresh > 0};
}

// The same for a stack that has no frame of the last one, and ended where no stack ends: what it led to may be other
// memory, which can go in ways that nobody tells us of. It is to be asked about again.
TakenStack StackCache::KeepAstray(const HookFrame* hook, uint32_t fresh, uint64_t path_hash, TruncationReason cut) {
  readable_.Forget();
  ForgetFrames();
  return Keep(hook, 0, fresh, path_hash, cut);
}

// With those of the last stack there are more frames than fit.
TakenStack StackCache::TakeAnew(const HookFrame* hook) {
  ForgetFrames();
  return Take(hook);
}

// kRoom frames were stepped through, and there are more. The outermost were taken for nothing, which is the price of
// knowing that.
TakenStack StackCache::KeepTooDeep(const HookFrame* hook) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < kAnew; ++i) hash = ExtendPathHash(hash, stepped_[i].return_address.value);
  const TakenStack taken = KeepWithRbp(hook, 0, kAnew, 0, hash, TruncationReason::kTooDeep);
  outermost_joint_ = &Kept(kFewest - 1);
  return taken;
}

// Steps as long as rbp matters neither for the way outward nor for the joint. The rest is TakeWithRbp()'s.
TakenStack StackCache::Take(const HookFrame* hook) {
  // Acquire: pairs with the release in ForgetCode() and ForgetReadable().
  const uint32_t epoch = g_code_epoch.load(std::memory_order_acquire);
  if (__builtin_expect(code_epoch_ != epoch, 0)) {
    code_epoch_ = epoch;
    ForgetFrames();
    readable_.Forget();
  }
  Slot pc = {hook->slot(), hook->return_address};
  readable_.Enter(pc.address);
  const KeptFrame* const barrier = outermost_joint_;
  const KeptFrame* kept = &frames_[0] + depth_;  // this frame and those further out may be the joint
  uint32_t fresh = 0;
  uint64_t hash = 0;
  for (;;) {
    while (kept != barrier && kept->return_address.address < pc.address) --kept;
    if (kept->return_address.address == pc.address && kept->return_address.value == pc.value) {
      if (__builtin_expect((kept->flags & kNeedsRbp) != 0, 0)) break;
      const KeptFrame* same = FirstDifferenceFurtherOut(kept);
      if (__builtin_expect(same == &Kept(0), 1)) return Keep(hook, IndexOf(kept) + 1, fresh, hash, kWhole);
      // The first that differs and all inside it are no joints; those further out may be.
      kept = same - 2 < barrier ? barrier : same - 2;
    }
    if (__builtin_expect(fresh == kRoom, 0)) {
      NoteRbpPlaces(hook, fresh);
      return KeepTooDeep(hook);
    }
    const CfiRow row = g_rows.Find(pc.value);
    if (__builtin_expect(row.kind() != CfiRow::Kind::kRsp, 0)) break;
    stepped_[fresh].return_address = pc;
    hash = ExtendPathHash(hash, pc.value);
    ++fresh;
    pc.address += row.cfa_offset();  // 8 below the CFA, as the slot before was 8 below the stack pointer
    if (__builtin_expect(!readable_.CoversAbove(pc.address), 0)) {
      return KeepAstray(hook, fresh, hash, TruncationReason::kBadUnwindInfo);
    }
    pc.value = Load(pc.address);
    if (__builtin_expect(pc.value < kFirstCodeAddress, 0)) return KeepAstray(hook, fresh, hash, kNoCaller);
  }
  return TakeWithRbp(hook, kept, fresh, pc, hash);
}

// Where rbp was saved last, after the `fresh` frames stepped through so far. Notes it for each of them.
uintptr_t StackCache::NoteRbpPlaces(const HookFrame* hook, uint32_t fresh) {
  uintptr_t place = reinterpret_cast<uintptr_t>(&hook->caller_rbp);
  for (uint32_t i = 0; i < fresh; ++i) {
    stepped_[i].rbp_place = place;
    const CfiRow row = g_rows.Find(stepped_[i].return_address.value);
    if (!row.saves_rbp()) continue;
    place = row.loses_rbp() ? 0 : stepped_[i].return_address.address + 8 + row.cfa_offset() - row.rbp_depth();
  }
  return place;
}

// The rest of Take(): `fresh` frames were stepped through, `pc` is next, and `kept` and the frames further out may be
// the joint.
TakenStack StackCache::TakeWithRbp(const HookFrame* hook, const KeptFrame* kept, uint32_t fresh, Slot pc,
                                   uint64_t hash) {
  State state = {pc, NoteRbpPlaces(hook, fresh)};
  TruncationReason cut = kWhole;
  uint32_t shared = 0;
  const KeptFrame* const barrier = outermost_joint_;
  for (;;) {
    while (kept != barrier && kept->return_address.address < state.return_address.address) --kept;
    if (kept->return_address.address == state.return_address.address &&
        kept->return_address.value == state.return_address.value &&
        ((kept->flags & kNeedsRbp) == 0 ||
         (state.rbp_place != 0 && kept_rbp_[IndexOf(kept)].value == Load(state.rbp_place)))) {
      const KeptFrame* same = FirstDifferenceFurtherOut(kept);
      if (same == &Kept(0)) {
        shared = IndexOf(kept) + 1;
        break;
      }
      kept = same - 2 < barrier ? barrier : same - 2;
    }
    if (fresh == kRoom) return KeepTooDeep(hook);
    const CfiRow row = g_rows.Find(state.return_address.value);
    stepped_[fresh] = state;
    hash = ExtendPathHash(hash, state.return_address.value);
    ++fresh;
    if (row.kind() == CfiRow::Kind::kSpecial) {
      if (row.is(CfiRow::Special::kComplex)) return TakeByLibunwind(hook, /*careful=*/true);
      if (row.is(CfiRow::Special::kSignal)) return TakeByLibunwind(hook, !IsSoundBeyondSignal(state));
      if (row.special() != CfiRow::Special::kEnd) {
        cut = row.IsDescribed() ? TruncationReason::kBadUnwindInfo : TruncationReason::kNoUnwindInfo;
        if (!row.IsOfCall()) {  // what was taken for a return address is none
          readable_.Forget();   // as in KeepAstray()
          if (fresh > 1) --fresh;
        }
      }
      break;
    }
    if (!Step(row, &state)) {
      cut = TruncationReason::kBadUnwindInfo;
      readable_.Forget();
      break;
    }
    if (state.return_address.value < kFirstCodeAddress) {
      cut = kNoCaller;
      readable_.Forget();
      break;
    }
  }
  return KeepWithRbp(hook, shared, fresh, state.rbp_place, hash, cut);
}

// From a frame to its caller. False: memory that cannot be a stack; the information is wrong.
bool StackCache::Step(CfiRow row, State* state) {
  const uintptr_t sp = state->return_address.address + 8;
  uintptr_t cfa = sp + row.cfa_offset();
  uintptr_t rbp = 0;
  if (row.uses_rbp()) {
    if (state->rbp_place == 0) return false;
    rbp = Load(state->rbp_place);
    if (row.kind() == CfiRow::Kind::kRbp) {
      cfa = rbp + row.cfa_offset();
    } else {
      const uintptr_t saved = rbp + static_cast<uintptr_t>(row.signed_cfa_offset());
      if (saved < sp || !readable_.Covers(saved) || !readable_.Covers(rbp)) return false;
      cfa = Load(saved);
    }
  }
  if (cfa <= sp || !readable_.Covers(cfa - 8)) return false;
  state->return_address = {cfa - 8, Load(cfa - 8)};
  if (row.kind() == CfiRow::Kind::kDerefRbp) {
    state->rbp_place = rbp;
  } else if (row.loses_rbp()) {
    state->rbp_place = 0;
  } else if (row.saves_rbp()) {
    state->rbp_place = cfa - row.rbp_depth();
    if (state->rbp_place < sp) return false;
  }
  return true;
}

// The same where rbp does matter. The innermost shared frame's may have come another way than before.
TakenStack StackCache::KeepWithRbp(const HookFrame* hook, uint32_t shared, uint32_t fresh, uintptr_t joint_rbp_place,
                                   uint64_t path_hash, TruncationReason cut) {
  if (shared == 0) ForgetFrames();
  if (shared + fresh > kRoom) return TakeAnew(hook);
  bool needs = shared > 0 && (Kept(shared - 1).flags & kNeedsRbp) != 0;
  bool any = shared > 0 && (Kept(shared - 1).flags & kAnyNeedsRbp) != 0;
  const State* from = stepped_ + fresh;
  // The rbp of a frame, with its place if it is not that of the frame inside.
  const auto rbp_of = [this](uintptr_t place, const State* inside) {
    const bool saved_inside = inside >= stepped_ && inside->rbp_place == place;
    return place == 0 ? Slot{} : Slot{saved_inside ? 0 : place, Load(place)};
  };
  if (needs) kept_rbp_[shared - 1] = rbp_of(joint_rbp_place, from - 1);
  for (uint32_t to = shared; to < shared + fresh; ++to) {
    const CfiRow row = g_rows.Find((--from)->return_address.value);
    needs = row.kind() != CfiRow::Kind::kSpecial && (row.uses_rbp() || (!row.saves_rbp() && needs));
    any = any || needs;
    const bool loads_cfa = row.kind() == CfiRow::Kind::kDerefRbp;
    Kept(to) = {from->return_address, 0,
                (needs ? kNeedsRbp : 0) | (any ? kAnyNeedsRbp : 0) | (loads_cfa ? kLoadsCfa : 0)};
    kept_rbp_[to] = rbp_of(from->rbp_place, from - 1);
    if (loads_cfa) cfa_place_[to] = kept_rbp_[to].value + static_cast<uintptr_t>(row.signed_cfa_offset());
  }
  depth_ = shared + fresh;
  const uint32_t top = depth_ - 1;
  const bool top_needs = (Kept(top).flags & kNeedsRbp) != 0;
  const bool any_further_out = top > 0 && (Kept(top - 1).flags & kAnyNeedsRbp) != 0;
  const bool top_loads_cfa = (Kept(top).flags & kLoadsCfa) != 0;
  top_ = {.hook = any_further_out || top_loads_cfa ? 0 : reinterpret_cast<uintptr_t>(hook),
          .return_address = hook->return_address,
          .caller_rbp = kept_rbp_[top].value,
          .rbp_mask = top_needs ? ~uintptr_t{0} : 0};
  return {shared, fresh, &Kept(shared), nullptr, path_hash, cut, false};
}

void StackCache::DescribeTop(uint32_t count, StackTop* top) const {
  const KeptFrame* first = &Kept(depth_ - count);
  const KeptFrame& joint = first[-1];
  *top = {.hook = first[count - 1].return_address.address - offsetof(HookFrame, return_address),
          .joint_address = joint.return_address.address,
          .joint_label = joint.label,
          .joint = IndexOf(&joint),
          .count = count,
          .reserved = 0};
  auto* frames = reinterpret_cast<KeptFrame*>(top + 1);
  frames[0] = Barrier(frames);
  for (uint32_t i = 0; i < count; ++i) frames[1 + i] = first[i];
}

// How many of libunwind's frames, from the innermost, can be relied on. It goes on where nothing describes the code, by
// guessing, and where what describes it is wrong (libc's swapcontext, interrupted between two stacks): then a word of
// the stack that is no return address is taken for one.
uint32_t StackCache::CountSound(const uintptr_t* pcs, uint32_t depth, TruncationReason* cut) {
  bool interrupted = false;  // the frame was, by a signal: its pc is that of the next instruction, not after a call
  for (uint32_t i = 0; i < depth; ++i) {
    const CfiRow row = g_rows.Find(pcs[i]);
    if (row.is(CfiRow::Special::kEnd)) {
      *cut = kWhole;
      return i + 1;
    }
    if (interrupted) {  // described by the row of the byte before, or, at the beginning of a function, by its own
      if (!row.IsDescribed() && !g_rows.Find(pcs[i] + 1).IsDescribed()) {
        *cut = TruncationReason::kNoUnwindInfo;
        return i + 1;
      }
    } else if (row.is(CfiRow::Special::kNoInfo)) {
      *cut = TruncationReason::kNoUnwindInfo;
      return i + 1;
    } else if (i > 0 && !row.IsOfCall()) {
      *cut = row.IsDescribed() ? TruncationReason::kBadUnwindInfo : TruncationReason::kNoUnwindInfo;
      return i;
    }
    interrupted = row.is(CfiRow::Special::kSignal);
  }
  return depth;
}

// Whether the frames from the one that a signal interrupted outward are all simple and lead to an end, so that no
// expression loads what is not there. `state`: at the return from the handler.
bool StackCache::IsSoundBeyondSignal(State state) {
  for (uint32_t n = 0; n < kRoom; ++n) {
    const uintptr_t registers = state.return_address.address + 8;
    if (!IsReadable(registers + kInterruptedRbp) || !IsReadable(registers + kInterruptedPc)) return false;
    const uintptr_t sp = Load(registers + kInterruptedRsp);
    if (sp % 8 != 0 || !IsReadable(sp)) return false;
    readable_.Enter(sp);
    state = {{sp - 8, Load(registers + kInterruptedPc)}, registers + kInterruptedRbp};
    CfiRow row = CompileInterruptedCfiRow(state.return_address.value);
    for (; row.kind() != CfiRow::Kind::kSpecial && n < kRoom; ++n) {
      if (!Step(row, &state) || state.return_address.value < kFirstCodeAddress) {
        readable_.Forget();  // as in KeepAstray()
        return false;
      }
      row = g_rows.Find(state.return_address.value);
    }
    if (!row.is(CfiRow::Special::kSignal)) return row.is(CfiRow::Special::kEnd);
  }
  return false;
}

TakenStack StackCache::TakeByLibunwind(const HookFrame* hook, bool careful) {
  Forget();
  uintptr_t* pcs = nullptr;
  TruncationReason cut = kWhole;
  const int depth = UnwindByLibunwind(&own_stack_, hook->return_address, careful, pcs_, kRoom, &pcs, &cut);
  const uint32_t sound = CountSound(pcs, static_cast<uint32_t>(depth), &cut);
  uint64_t hash = 0;
  for (uint32_t i = 0; i < sound; ++i) hash = ExtendPathHash(hash, pcs[i]);
  return {0, sound, nullptr, pcs, hash, cut, false};
}

}  // namespace allocline
