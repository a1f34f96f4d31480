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
    if (needs_rbp_[i - 1] && rbp.address != 0 && Load(rbp.address) != rbp.value) break;
  }
  return joint - i;
}

// From a frame to its caller. False: memory that cannot be a stack; the information is wrong.
bool StackCache::Step(CfiRow row, State* state) {
  const uintptr_t sp = state->return_address.address + 8;
  const uintptr_t rbp = state->rbp.value;
  uintptr_t cfa;
  switch (row.kind()) {
    case CfiRow::Kind::kRsp:
      cfa = sp + row.cfa_offset();
      break;
    case CfiRow::Kind::kRbp:
      cfa = rbp + row.cfa_offset();
      break;
    default: {
      const uintptr_t saved = rbp + static_cast<uintptr_t>(row.signed_cfa_offset());
      if (saved < sp || !readable_.Covers(saved) || !readable_.Covers(rbp)) return false;
      cfa = Load(saved);
      break;
    }
  }
  if (__builtin_expect(cfa <= sp || !readable_.Covers(cfa - 8), 0)) return false;
  state->return_address = {cfa - 8, Load(cfa - 8)};
  if (row.kind() == CfiRow::Kind::kDerefRbp) {
    state->rbp = {rbp, Load(rbp)};
  } else if (row.saves_rbp()) {
    const uintptr_t saved = cfa - row.rbp_depth();
    if (__builtin_expect(saved < sp, 0)) return false;
    state->rbp = {saved, Load(saved)};
  } else {
    state->rbp.address = 0;  // unchanged: it is the inner frame's
  }
  return true;
}

TakenStack StackCache::Take(const HookFrame* hook) {
  const uint32_t epoch = g_code_epoch.load(std::memory_order_acquire);
  if (__builtin_expect(code_epoch_ != epoch, 0)) {
    code_epoch_ = epoch;
    depth_ = 0;
  }
  State state = {{hook->slot(), hook->return_address}, {reinterpret_cast<uintptr_t>(hook), hook->caller_rbp}};
  readable_.Enter(hook->slot());
  TruncationReason cut = kWhole;
  uint32_t candidates = depth_;  // kept frames [0, candidates) may still be the joint
  uint32_t fresh = 0;
  uint32_t shared = 0;
  for (;;) {
    while (candidates > 0 && Kept(candidates - 1).address < state.return_address.address) --candidates;
    if (candidates > 0) {
      const uint32_t joint = candidates - 1;
      if (Kept(joint).address == state.return_address.address && Kept(joint).value == state.return_address.value &&
          (!needs_rbp_[joint] || kept_rbp_[joint].value == state.rbp.value)) {
        const uint32_t same = SameFurtherOut(joint);
        if (__builtin_expect(same == joint, 1)) {
          shared = joint + 1;
          break;
        }
        candidates =
            joint - same - 1;  // the first that differs and all inside it are no joints; those further out may be
      }
    }
    if (__builtin_expect(fresh == kRoom, 0)) return TakeByLibunwind(hook);
    const CfiRow row = g_rows.Find(state.return_address.value);
    stepped_[fresh] = state;
    rows_[fresh] = row;
    pcs_[fresh] = state.return_address.value;
    ++fresh;
    if (__builtin_expect(row.kind() == CfiRow::Kind::kSpecial, 0)) {
      if (row.special() == CfiRow::Special::kComplex) return TakeByLibunwind(hook);
      if (row.special() == CfiRow::Special::kNoInfo) cut = TruncationReason::kNoUnwindInfo;
      break;
    }
    if (__builtin_expect(!Step(row, &state), 0)) {
      cut = TruncationReason::kBadUnwindInfo;
      break;
    }
    if (__builtin_expect(state.return_address.value < kFirstCodeAddress, 0)) break;
  }
  if (__builtin_expect(shared + fresh > kRoom, 0)) return TakeByLibunwind(hook);
  Keep(shared, fresh, state);
  return {shared, fresh, pcs_, cut};
}

// The stack just taken becomes the kept one: `shared` frames stay, the stepped ones go on top. `joint` is the true
// state of the innermost shared frame: its rbp may have come another way than before.
void StackCache::Keep(uint32_t shared, uint32_t fresh, const State& joint) {
  if (shared > 0) kept_rbp_[shared - 1] = joint.rbp;
  bool needs = shared > 0 && needs_rbp_[shared - 1];
  bool any = shared > 0 && any_needs_rbp_[shared - 1];
  for (uint32_t i = 0; i < fresh; ++i) {
    const uint32_t from = fresh - 1 - i;
    const uint32_t to = shared + i;
    const CfiRow row = rows_[from];
    needs = row.kind() != CfiRow::Kind::kSpecial && (row.uses_rbp() || (!row.saves_rbp() && needs));
    any = any || needs;
    Kept(to) = stepped_[from].return_address;
    kept_rbp_[to] = stepped_[from].rbp;
    needs_rbp_[to] = needs;
    any_needs_rbp_[to] = any;
  }
  depth_ = shared + fresh;
  const uint32_t top = depth_ - 1;
  const bool any_further_out = top > 0 && any_needs_rbp_[top - 1];
  top_ = {.hook = any_further_out ? 0 : Kept(top).address - offsetof(HookFrame, return_address),
          .return_address = Kept(top).value,
          .caller_rbp = kept_rbp_[top].value,
          .rbp_mask = needs_rbp_[top] ? ~uintptr_t{0} : 0};
}

TakenStack StackCache::TakeByLibunwind(const HookFrame* hook) {
  Forget();
  uintptr_t* pcs = nullptr;
  TruncationReason cut = kWhole;
  const int depth = UnwindByLibunwind(hook->return_address, pcs_, kRoom, &pcs, &cut);
  return {0, static_cast<uint32_t>(depth), pcs, cut};
}

}  // namespace allocline
