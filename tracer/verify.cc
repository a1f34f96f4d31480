// ALLOCLINE_VERIFY=1: every stack is taken a second time, by libunwind, and the two are compared frame by frame.
//
// What counts as a difference: any frame. Ours may be shorter only where it says so (a stack marked as cut). libunwind
// may have frames further out than the one that declares itself the outermost (_start, clone: it goes on by guessing at
// rbp), or end before it; the outermost frame is therefore not held against either.
#include "tracer/tracer.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {
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
    if (ours[i] != theirs[i] && !(i + 1 == our_count && i > 0)) return false;
  }
  if (cut) return our_count <= their_count + 1;
  return our_count <= their_count + 1 && their_count <= our_count + 1;
}

void Keep(RecordingWriter& recording, const uintptr_t* ours, uint32_t our_count, const uintptr_t* theirs,
          uint32_t their_count) {
  const uint64_t bytes = sizeof(DifferenceRecord) + (our_count + their_count) * sizeof(Frame);
  auto* record = static_cast<DifferenceRecord*>(recording.Reserve(TableKind::kDifferences, bytes));
  if (record == nullptr) return;
  record->our_frames = our_count;
  record->their_frames = their_count;
  auto* frames = reinterpret_cast<Frame*>(record + 1);
  for (uint32_t i = 0; i < our_count; ++i) *frames++ = ours[i];
  for (uint32_t i = 0; i < their_count; ++i) *frames++ = theirs[i];
  StoreRelease(record->record_bytes, bytes);
}

}  // namespace

void Tracer::Verify(const HookFrame* hook, SiteId site) {
  // Large buffers on the program's stack: verifying is for tests, not for small stacks.
  uintptr_t ours[format::kMaxDepth];
  uintptr_t scratch[format::kMaxDepth + kOwnFrames];
  if (site == format::kOverflowSite) return;
  bool cut = false;
  const uint32_t our_count = FramesOf(sites_.nodes(), sites_.NodeOf(site), ours, &cut);
  uintptr_t* theirs = nullptr;
  format::TruncationReason their_cut{};
  const int their_count = UnwindByLibunwind(hook->return_address, scratch, format::kMaxDepth, &theirs, &their_cut);
  format::FileHeader& header = recording_.header();
  AddRelaxed(header.verified_stacks, 1u);
  if (Agree(ours, our_count, cut, theirs, static_cast<uint32_t>(their_count))) return;
  if (AddRelaxed(header.different_stacks, 1u) >= format::kMaxDifferences) return;
  Keep(recording_, ours, our_count, theirs, static_cast<uint32_t>(their_count));
}

}  // namespace allocline
