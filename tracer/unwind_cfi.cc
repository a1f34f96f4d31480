#include "tracer/unwind_cfi.h"

#include <atomic>
#include <cstddef>

#include "tracer/cfi_table.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {
namespace {

using format::TruncationReason;

CfiTable g_rows;
constexpr uintptr_t kFirstCodeAddress = 4096;  // below it is no code: a return address there ends the stack
constexpr TruncationReason kWhole{};

}  // namespace

constinit std::atomic<uint32_t> g_code_epoch{0};

void ForgetCode() {
  g_rows.Clear();
  g_code_epoch.fetch_add(1, std::memory_order_release);
}

uint32_t StackCache::SameFurtherOutWithRbp(uint32_t joint) const {
  uint32_t i = joint;
  for (; i > 0; --i) {
    const Slot& pc = Kept(i - 1);
    const Slot& rbp = kept_rbp_[i - 1];
    if (Load(pc.address) != pc.value) break;
    if (NeedsRbp(i - 1) && rbp.address != 0 && Load(rbp.address) != rbp.value) break;
  }
  return joint - i;
}

// From a frame to its caller, where the way depends on rbp. False: memory that cannot be a stack; the information is
// wrong.
bool StackCache::StepByRbp(CfiRow row, State* state) {
  const uintptr_t sp = state->return_address.address + 8;
  const uintptr_t rbp = Load(state->rbp_place);
  uintptr_t cfa;
  if (row.kind() == CfiRow::Kind::kRbp) {
    cfa = rbp + row.cfa_offset();
  } else {
    const uintptr_t saved = rbp + static_cast<uintptr_t>(row.signed_cfa_offset());
    if (saved < sp || !readable_.Covers(saved) || !readable_.Covers(rbp)) return false;
    cfa = Load(saved);
  }
  if (cfa <= sp || !readable_.Covers(cfa - 8)) return false;
  state->return_address = {cfa - 8, Load(cfa - 8)};
  if (row.kind() == CfiRow::Kind::kDerefRbp) {
    state->rbp_place = rbp;
  } else if (row.saves_rbp()) {
    state->rbp_place = cfa - row.rbp_depth();
    if (state->rbp_place < sp) return false;
  }
  return true;
}

TakenStack StackCache::Take(const HookFrame* hook) {
  const uint32_t epoch = g_code_epoch.load(std::memory_order_acquire);
  if (__builtin_expect(code_epoch_ != epoch, 0)) {
    code_epoch_ = epoch;
    depth_ = 0;
  }
  readable_.Enter(hook->slot());
  const uint32_t last_depth = depth_;
  TruncationReason cut = kWhole;
  uint32_t candidates = depth_;  // kept frames [0, candidates) may still be the joint
  uint32_t fresh = 0;
  uint32_t shared = 0;
  bool uses_rbp = false;
  // The frame we are at, as in State.
  Slot pc = {hook->slot(), hook->return_address};
  uintptr_t rbp_place = reinterpret_cast<uintptr_t>(&hook->caller_rbp);
  for (;;) {
    while (candidates > 0 && Kept(candidates - 1).address < pc.address) --candidates;
    if (candidates > 0 && Kept(candidates - 1).address == pc.address) {
      const uint32_t joint = candidates - 1;
      if (Kept(joint).value == pc.value && (!NeedsRbp(joint) || kept_rbp_[joint].value == Load(rbp_place))) {
        const uint32_t same = SameFurtherOut(joint);
        if (__builtin_expect(same == joint, 1)) {
          shared = joint + 1;
          break;
        }
        // The first that differs and all inside it are no joints; those further out may be.
        candidates = joint - same - 1;
      }
    }
    if (__builtin_expect(fresh == kRoom, 0)) return TakeByLibunwind(hook);
    const CfiRow row = g_rows.Find(pc.value);
    stepped_[fresh] = {pc, rbp_place};
    rows_[fresh] = row;
    pcs_[fresh] = pc.value;
    ++fresh;
    if (__builtin_expect(row.kind() == CfiRow::Kind::kRsp, 1)) {
      const uintptr_t sp = pc.address + 8;
      const uintptr_t cfa = sp + row.cfa_offset();
      const uintptr_t saved = cfa - row.rbp_depth();
      if (__builtin_expect(cfa == sp || saved < sp || !readable_.CoversAligned(cfa - 8), 0)) {
        cut = TruncationReason::kBadUnwindInfo;
        break;
      }
      pc = {cfa - 8, Load(cfa - 8)};
      if (row.saves_rbp()) rbp_place = saved;
    } else if (row.kind() == CfiRow::Kind::kSpecial) {
      if (row.special() == CfiRow::Special::kComplex) return TakeByLibunwind(hook);
      if (row.special() == CfiRow::Special::kNoInfo) cut = TruncationReason::kNoUnwindInfo;
      break;
    } else {
      uses_rbp = true;
      State state = {pc, rbp_place};
      if (!StepByRbp(row, &state)) {
        cut = TruncationReason::kBadUnwindInfo;
        break;
      }
      pc = state.return_address;
      rbp_place = state.rbp_place;
    }
    if (__builtin_expect(pc.value < kFirstCodeAddress, 0)) break;
  }
  if (__builtin_expect(shared + fresh > kRoom, 0)) return TakeByLibunwind(hook);
  Keep(shared, fresh, rbp_place, uses_rbp);
  return {shared, last_depth - shared, fresh, pcs_, cut};
}

// The stack just taken becomes the kept one: `shared` frames stay, the stepped ones go on top. The innermost
// shared frame's rbp may have come another way than before.
void StackCache::Keep(uint32_t shared, uint32_t fresh, uintptr_t joint_rbp_place, bool uses_rbp) {
  bool needs = shared > 0 && NeedsRbp(shared - 1);
  bool any = shared > 0 && AnyNeedsRbp(shared - 1);
  const State* from = stepped_ + fresh;
  if (__builtin_expect(!needs && !uses_rbp, 1)) {
    const uint8_t flags = any ? kAnyNeedsRbp : 0;
    for (uint32_t to = shared; to < shared + fresh; ++to) {
      Kept(to) = (--from)->return_address;
      flags_[to] = flags;
    }
  } else {
    // The rbp of a frame, with its place if it is not that of the frame inside.
    const auto rbp_of = [this](uintptr_t place, const State* inside) {
      const bool saved_inside = inside >= stepped_ && inside->rbp_place == place;
      return Slot{saved_inside ? 0 : place, Load(place)};
    };
    if (needs) kept_rbp_[shared - 1] = rbp_of(joint_rbp_place, from - 1);
    for (uint32_t to = shared; to < shared + fresh; ++to) {
      const CfiRow row = rows_[--from - stepped_];
      needs = row.kind() != CfiRow::Kind::kSpecial && (row.uses_rbp() || (!row.saves_rbp() && needs));
      any = any || needs;
      Kept(to) = from->return_address;
      kept_rbp_[to] = rbp_of(from->rbp_place, from - 1);
      flags_[to] = static_cast<uint8_t>((needs ? kNeedsRbp : 0) | (any ? kAnyNeedsRbp : 0));
    }
  }
  depth_ = shared + fresh;
  const uint32_t top = depth_ - 1;
  const bool any_further_out = top > 0 && AnyNeedsRbp(top - 1);
  top_ = {.hook = any_further_out ? 0 : Kept(top).address - offsetof(HookFrame, return_address),
          .return_address = Kept(top).value,
          .caller_rbp = kept_rbp_[top].value,
          .rbp_mask = NeedsRbp(top) ? ~uintptr_t{0} : 0};
}

TakenStack StackCache::TakeByLibunwind(const HookFrame* hook) {
  Forget();
  uintptr_t* pcs = nullptr;
  TruncationReason cut = kWhole;
  const int depth = UnwindByLibunwind(hook->return_address, pcs_, kRoom, &pcs, &cut);
  return {0, 0, static_cast<uint32_t>(depth), pcs, cut};
}

}  // namespace allocline
