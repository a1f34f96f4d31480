// ALLOCLINE_VERIFY=1: every stack is taken a second time, by libunwind, and compared with what was recorded.
//
// A block goes the usual way first, through the very functions that it would go through without verify mode. What is
// compared is what came of that: the frames of the node that its site in the pointer map names, as a reader will see
// them. Each has to be libunwind's address, in the object that the loader has there now: of two plugins that lay at one
// address one after the other, the right one. (Of other domains than malloc, and where there is an interpreter of
// Python, it is the node of the stack's native part.)
//
// The number of frames must be the same, but for four reasons:
//
//   - ours ends where it says that it does: a stack marked as cut. Then libunwind's goes on, or ends there too;
//   - a frame says that the frame pointer is lost (cfi_row.h), and its caller needs it. libunwind gives that one up
//     too; we know where it was called;
//   - the outermost frame declares itself the outermost (_start, clone). libunwind does not look at that. It goes on by
//     guessing, and may take the word that its guess leads to for one frame more. Or it stops in front;
//   - there is room for kMaxDepth frames of libunwind's.
//
// Where libunwind gives no stack (it is not there, or does not find its way out of our own frames) nothing is compared,
// and nothing counted.
#include "base/pages.h"
#include "tracer/cfi_row.h"
#include "tracer/tracer.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {

// The two stacks of an event. Not on the program's own, which may be small (signal handlers, fibers).
struct VerifyRoom {
  format::Frame ours[format::kMaxDepth];
  uintptr_t scratch[format::kMaxDepth + kOwnFrames];
};

namespace {

using format::DifferenceRecord;
using format::Frame;
using format::TableKind;
using format::TruncationReason;

constexpr TruncationReason kWhole{};

// The native frames of a node, most recent first. `*cut`: why the stack is marked as not whole; else kWhole.
uint32_t FramesOf(const format::NodeRecord* nodes, NodeId node, Frame* out, TruncationReason* cut) {
  uint32_t n = 0;
  *cut = kWhole;
  for (; node != kRootNode; node = nodes[node].parent) {
    const Frame frame = LoadAcquire(nodes[node].frame);
    if (!format::IsVirtual(frame)) {
      if (n < format::kMaxDepth) out[n++] = frame;
    } else if (format::KindOf(frame) == format::VirtualKind::kTruncated) {
      *cut = static_cast<TruncationReason>(format::PayloadOf(frame));
    }
  }
  return n;
}

bool IsOutermost(Frame frame) { return CompileCfiRow(format::AddressOf(frame)).is(CfiRow::Special::kEnd); }

// Whether one of our stacks may have so many frames where libunwind's has another number. See above.
bool CountsAgree(const Frame* ours, uint32_t our_count, bool cut, uint32_t their_count) {
  if (our_count == their_count) return true;
  if (our_count < their_count) return cut || (our_count + 1 == their_count && IsOutermost(ours[our_count - 1]));
  if (our_count != their_count + 1) return false;
  if (cut) return our_count > 1 && CompileCfiRow(format::AddressOf(ours[our_count - 2])).loses_rbp();
  return IsOutermost(ours[our_count - 1]);
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
  TruncationReason cut = kWhole;
  const uint32_t our_count = FramesOf(sites_.nodes(), node, room.ours, &cut);
  uintptr_t* theirs = nullptr;
  TruncationReason their_cut = kWhole;
  // Where a stack did not lead astray, each of its frames was found by us, or by libunwind with care.
  const bool careful = cut == TruncationReason::kBadUnwindInfo || cut == TruncationReason::kNoUnwindInfo;
  const int count = UnwindByLibunwind(state->stack.own_stack(), hook->return_address, careful, room.scratch,
                                      format::kMaxDepth, &theirs, &their_cut);
  if (their_cut == TruncationReason::kNoUnwinder) return;
  const auto their_count = static_cast<uint32_t>(count);
  format::FileHeader& header = recording_.header();
  AddRelaxed(header.verified_stacks, 1u);
  if (IsAsTaken(room.ours, our_count, cut != kWhole, theirs, their_count)) return;
  if (AddRelaxed(header.different_stacks, 1u) >= format::kMaxDifferences) return;
  KeepDifference(room.ours, our_count, theirs, their_count);
}

bool Tracer::IsAsTaken(const Frame* ours, uint32_t our_count, bool cut, const uintptr_t* theirs,
                       uint32_t their_count) const {
  for (uint32_t i = 0; i < our_count && i < their_count; ++i) {
    if (format::AddressOf(ours[i]) != (theirs[i] & format::kAddressMask)) return false;
    if (!modules_.IsOfWhatIsLoaded(ours[i], theirs[i])) return false;
  }
  return our_count == 0 ? their_count == 0 : CountsAgree(ours, our_count, cut, their_count);
}

void Tracer::KeepDifference(const Frame* ours, uint32_t our_count, const uintptr_t* theirs, uint32_t their_count) {
  // Before the frames: a module is in the recording before an address in it.
  bool reused = false;
  for (uint32_t i = 0; i < their_count; ++i) modules_.Note(theirs[i], &reused);
  const uint64_t bytes = sizeof(DifferenceRecord) + (our_count + their_count) * sizeof(Frame);
  auto* record = static_cast<DifferenceRecord*>(recording_.Reserve(TableKind::kDifferences, bytes));
  if (record == nullptr) return;
  record->our_frames = our_count;
  record->their_frames = their_count;
  auto* frames = reinterpret_cast<Frame*>(record + 1);
  for (uint32_t i = 0; i < our_count; ++i) *frames++ = ours[i];
  for (uint32_t i = 0; i < their_count; ++i) *frames++ = modules_.FrameOf(theirs[i], &reused);
  StoreRelease(record->record_bytes, bytes);
}

}  // namespace allocline
