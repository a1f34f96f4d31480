// ALLOCLINE_VERIFY=1: every stack is taken a second time, by libunwind, and the two are compared frame by frame.
//
// What counts as a difference: any frame that is not the same in both, and any frame that one has and the other has
// not, with two exceptions. Ours may end where it says that it does (a stack marked as cut). And the ends may lie one
// frame apart: libunwind does not stop at the frame that declares itself the outermost (_start, clone), it goes on by
// guessing at rbp; or it stops before it.
//
// Where libunwind gives no stack (it is not there, or does not find its way out of our own frames) nothing is compared,
// and nothing counted.
#include "base/pages.h"
#include "tracer/tracer.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {

// The two stacks of an event. Not on the program's own, which may be small (signal handlers, fibers).
struct VerifyRoom {
  uintptr_t ours[format::kMaxDepth];
  uintptr_t scratch[format::kMaxDepth + kOwnFrames];
};

namespace {

using format::DifferenceRecord;
using format::Frame;
using format::TableKind;

// The native frames of a node, most recent first. `*cut` if the stack is marked as not whole.
uint32_t FramesOf(const format::NodeRecord* nodes, NodeId node, uintptr_t* out, bool* cut) {
  uint32_t n = 0;
  *cut = false;
  for (; node != kRootNode; node = nodes[node].parent) {
    const Frame frame = LoadAcquire(nodes[node].frame);
    if (!format::IsVirtual(frame)) {
      if (n < format::kMaxDepth) out[n++] = format::AddressOf(frame);
    } else if (format::KindOf(frame) == format::VirtualKind::kTruncated) {
      *cut = true;
    }
  }
  return n;
}

bool Agree(const uintptr_t* ours, uint32_t our_count, bool cut, const uintptr_t* theirs, uint32_t their_count) {
  const uint32_t common = our_count < their_count ? our_count : their_count;
  for (uint32_t i = 0; i < common; ++i) {
    if (ours[i] != (theirs[i] & format::kAddressMask)) return false;
  }
  return our_count <= their_count + 1 && (cut || their_count <= our_count + 1);
}

}  // namespace

// The gate is closed. `node` is of native frames alone.
void Tracer::Verify(ThreadState* state, const HookFrame* hook, NodeId node) {
  if (node == kNoNode) return;
  if (state->verify_room == nullptr) {
    state->verify_room = static_cast<VerifyRoom*>(MapPages(RoundUpToPage(sizeof(VerifyRoom))));
    if (state->verify_room == nullptr) return;
  }
  VerifyRoom& room = *state->verify_room;
  bool cut = false;
  const uint32_t our_count = FramesOf(sites_.nodes(), node, room.ours, &cut);
  uintptr_t* theirs = nullptr;
  format::TruncationReason their_cut{};
  const int their_count = UnwindByLibunwind(state->stack.own_stack(), hook->return_address, room.scratch,
                                            format::kMaxDepth, &theirs, &their_cut);
  if (their_cut == format::TruncationReason::kNoUnwinder) return;
  format::FileHeader& header = recording_.header();
  AddRelaxed(header.verified_stacks, 1u);
  if (Agree(room.ours, our_count, cut, theirs, static_cast<uint32_t>(their_count))) return;
  if (AddRelaxed(header.different_stacks, 1u) >= format::kMaxDifferences) return;
  KeepDifference(room.ours, our_count, theirs, static_cast<uint32_t>(their_count));
}

void Tracer::KeepDifference(const uintptr_t* ours, uint32_t our_count, const uintptr_t* theirs, uint32_t their_count) {
  // Before the frames: a module is in the recording before an address in it.
  bool reused = false;
  for (uint32_t i = 0; i < their_count; ++i) modules_.Note(theirs[i], &reused);
  const uint64_t bytes = sizeof(DifferenceRecord) + (our_count + their_count) * sizeof(Frame);
  auto* record = static_cast<DifferenceRecord*>(recording_.Reserve(TableKind::kDifferences, bytes));
  if (record == nullptr) return;
  record->our_frames = our_count;
  record->their_frames = their_count;
  auto* frames = reinterpret_cast<Frame*>(record + 1);
  for (uint32_t i = 0; i < our_count; ++i) *frames++ = modules_.FrameOf(ours[i], &reused);
  for (uint32_t i = 0; i < their_count; ++i) *frames++ = modules_.FrameOf(theirs[i], &reused);
  StoreRelease(record->record_bytes, bytes);
}

}  // namespace allocline
