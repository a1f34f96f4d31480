#include "tracer/python_frames.h"

#include <algorithm>

#include "base/atomic.h"
#include "base/pages.h"

namespace allocline {
namespace {

constexpr uint8_t kOwnedByGenerator = 1;
// The interpreter's stack comes in chunks of that size: DATA_STACK_CHUNK_SIZE. One for a huge frame may be larger.
constexpr uintptr_t kChunkBytes = 16 << 10;
constexpr uintptr_t kSmallestFrame = 72;
static_assert(kChunkBytes / kSmallestFrame < PythonStack::kRoot, "a run is counted in a byte");
// Of a chunk (_PyStackChunk): its size.
constexpr uint16_t kChunkSize = 8;
// To find where a new list joins the last one, so many of its entries are looked at.
constexpr uint32_t kMostComparisons = 512;
// To step out over more entries at once than these keeps what lies further in.
constexpr uint32_t kMuch = 8;

template <typename T>
T Read(uintptr_t object, uint16_t offset) {
  return *reinterpret_cast<const volatile T*>(object + offset);
}

// Whether this machine has what DigestOf() takes.
bool MakesDigests() {
#ifdef __SSE2__
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx");
#else
  return false;
#endif
}

// Since 3.14 the lowest bits of a reference say how it is counted.
constexpr uintptr_t kReferenceMask = ~uintptr_t{3};

}  // namespace

uint32_t PythonStack::FirstDifference(const PythonLayout& layout, uint32_t count) const {
  uint32_t i = count;
  if (layout.instruction_is_pointer) {
    while (i > 0 && IsAsKept<PythonForm::kPointers>(layout, &kept_[i])) --i;
  } else {
    while (i > 0 && IsAsKept<PythonForm::kIndices>(layout, &kept_[i])) --i;
  }
  return i;
}

bool PythonStack::IsInChunk(const PythonLayout& layout, uintptr_t frame) const {
  const uintptr_t read = std::max(layout.previous, layout.instruction) + 8u;
  return MakesDigests() && frame - chunk_ <= kChunkBytes - read;  // none where it is 0
}

void PythonStack::MakeDigests(const Kept* e) {
#ifdef __SSE2__
  for (uint32_t at = static_cast<uint32_t>(e - &kept_[0]); kept_[at].run != kRoot;) {
    Kept& entry = kept_[at];
    if (entry.run < kWorthwhileRun) {
      --at;
      continue;
    }
    digests_[at] = DigestOf<WordsAsKept>(&entry);
    entry.has_digest = true;
    at -= entry.run;
  }
#endif
}

PythonStack::Taken PythonStack::Take(const PythonLayout& layout, uintptr_t chunk, uintptr_t top, uint32_t epoch) {
  if (epoch_ != epoch) {
    epoch_ = epoch;
    Forget();
  }
  uint32_t fresh = 0;
  const uint32_t fewest = __builtin_expect(cut(), 0) ? kFewest : 1;
  uint32_t kept = depth();  // entries [fewest, kept] may be shared
  uint32_t comparisons = 0;
  uintptr_t frame = top;
  while (frame != 0) {
    uint32_t joint = kept;
    while (joint >= fewest && kept_[joint].frame != frame && comparisons < kMostComparisons) --joint, ++comparisons;
    if (joint >= fewest && kept_[joint].frame == frame) {
      // It lies where a kept one lay. From there outward up to the first that differs the list is the kept one.
      const uint32_t differs = FirstDifference(layout, joint);
      if (differs == 0) {
        kept = joint;
        break;
      }
      for (uint32_t i = joint; i > differs && fresh < kRoom; --i) fresh_[fresh++] = PythonStack::frame(i - 1);
      frame = kept_[differs].frame;
      kept = differs - 1;
    }
    if (__builtin_expect(fresh == kRoom, 0)) {
      fresh = kAnew;
      kept = 0;
      SetOuter(fresh_[kAnew].frame, root_);
      break;
    }
    fresh_[fresh++] = Read(layout, frame);
    frame = Load(frame + layout.previous);
  }
  if (frame == 0) {
    kept = 0;
    SetOuter(0, root_);
  }
  if (__builtin_expect(kept + fresh > (cut() ? kMost : kRoom), 0)) {
    Forget();
    return Take(layout, chunk, top, epoch);
  }
  for (uint32_t i = 0; i < fresh; ++i) {
    const uint32_t at = kept + fresh - i;
    kept_[at].frame = fresh_[i].frame;
    kept_[at].instruction = fresh_[i].instruction;
    marks_[at] = fresh_[i].mark;
  }
  for (uint32_t at = kept + 1; at <= kept + fresh; ++at) kept_[at].outer = kept_[at - 1].frame;
  // The instruction of the innermost shared one may have become another: GoOn(). On another chunk all runs are others.
  uint32_t first = kept > 0 ? kept : 1;
  if (chunk_ != chunk) first = 1;
  chunk_ = chunk;
  for (uint32_t at = first; at <= kept + fresh; ++at) {
    Kept& entry = kept_[at];
    const Kept& outer = kept_[at - 1];
    const bool is_in_chunk = IsInChunk(layout, entry.frame);
    const bool goes_on = is_in_chunk && at > 1 && outer.run > 0;
    const bool is_even = goes_on && entry.frame - entry.outer == outer.frame - outer.outer;
    entry.run = static_cast<uint8_t>(goes_on ? outer.run + 1 : is_in_chunk);
    entry.row = static_cast<uint8_t>(is_even ? outer.row + 1 : is_in_chunk);
    entry.has_digest = false;
  }
  SetDepth(kept + fresh);
  return {kept, fresh, fresh_};
}

uint32_t PythonStack::EntriesInside(uintptr_t frame) const {
  for (uint32_t i = depth(), inside = 0; i > 0 && inside < kMostComparisons; --i, ++inside) {
    if (kept_[i].frame == frame) return inside;
  }
  return 0;
}

// The rule for frames that are not set up yet is _PyFrame_IsIncomplete's.
PythonPlace PlaceOf(const PythonRuntime& python, const PythonFrame& frame) {
  const PythonLayout& layout = python.layout;
  if (!layout.instruction_is_pointer) {  // each frame has a call of its own
    const auto index = static_cast<int32_t>(static_cast<uint32_t>(frame.instruction));
    // -1 before the first instruction: what is allocated then is the line's that the function begins at.
    const uint64_t offset =
        index < 0 ? format::kNoCodeOffset : static_cast<uint64_t>(index) * layout.bytes_per_instruction;
    return {frame.mark == 0 ? FrameKind{kLeftOut | kEndsCall} : kEndsCall, frame.mark, offset};
  }
  const auto owner = Read<uint8_t>(frame.frame, layout.owner);
  if (owner >= layout.first_shim_owner) return {kLeftOut | kEndsCall, 0, 0};
  const auto is_entry = layout.has_entry_mark ? Read<uint8_t>(frame.frame, static_cast<uint16_t>(layout.owner - 1)) : 0;
  const FrameKind kind = is_entry != 0 ? kEndsCall : kPythonCode;
  const PythonPlace left_out = {static_cast<FrameKind>(kind | kLeftOut), 0, 0};
  const uintptr_t code = Read<uintptr_t>(frame.frame, layout.code) & kReferenceMask;
  if (code == 0 || Read<uintptr_t>(code, layout.type) != python.code_type) return left_out;
  const auto offset = static_cast<int64_t>(frame.instruction - (code + layout.co_code));
  const int64_t first = int64_t{Read<int32_t>(code, layout.co_first_traceable)} * 2;
  if (owner != kOwnedByGenerator && offset < first) return left_out;
  if (Read<uintptr_t>(code, layout.co_filename) == 0) return left_out;
  return {kind, code, static_cast<uint64_t>(offset < 0 ? 0 : offset)};
}

// ---------------------------------------------------------------- before anything is trusted

namespace {

bool IsObjectOf(const PythonLayout& layout, uintptr_t object, uintptr_t type) {
  return object != 0 && object % 8 == 0 && IsReadable(object + layout.type) &&
         Read<uintptr_t>(object, layout.type) == type;
}

bool CodeIsSound(const PythonRuntime& python, uintptr_t code) {
  const PythonLayout& l = python.layout;
  constexpr int32_t kMostLines = 100'000'000;
  if (!IsObjectOf(l, code, python.code_type) || !IsReadable(code + l.co_filename) || !IsReadable(code + l.co_name) ||
      !IsReadable((code + l.co_first_traceable) & ~uintptr_t{7}) || !IsReadable(code + l.co_line_table) ||
      !IsReadable(code + l.co_first_line)) {
    return false;
  }
  const auto first_line = Read<int32_t>(code, l.co_first_line);
  const auto line_table = Read<uintptr_t>(code, l.co_line_table);
  if (!IsObjectOf(l, Read<uintptr_t>(code, l.co_filename), python.str_type) ||
      !IsObjectOf(l, Read<uintptr_t>(code, l.co_name), python.str_type) ||
      !IsObjectOf(l, line_table, python.bytes_type) || first_line < 0 || first_line > kMostLines) {
    return false;
  }
  const auto bytes = Read<uint64_t>(line_table, l.bytes_size);
  return bytes < (uint64_t{1} << 30) && IsReadable((line_table + l.bytes_data + bytes) & ~uintptr_t{7});
}

}  // namespace

Soundness LookAtPythonChunk(const PythonLayout& layout, uintptr_t state) {
  if (layout.chunk == 0) return Soundness::kSound;
  // datastack_chunk, datastack_top and datastack_limit stand side by side.
  const uintptr_t words = state + layout.chunk;
  if (!IsReadable(words) || !IsReadable(words + 16)) return Soundness::kUnsound;
  const auto chunk = Read<uintptr_t>(words, 0), top = Read<uintptr_t>(words, 8), limit = Read<uintptr_t>(words, 16);
  if (chunk == 0) return top == 0 && limit == 0 ? Soundness::kEmpty : Soundness::kUnsound;
  const bool is_sound = chunk % 8 == 0 && IsReadable(chunk + kChunkSize) && chunk < top && top <= limit &&
                        limit - chunk >= kChunkBytes && limit - chunk == Read<uintptr_t>(chunk, kChunkSize);
  return is_sound ? Soundness::kSound : Soundness::kUnsound;
}

Soundness LookAtPythonFrames(const PythonRuntime& python, uintptr_t state, uintptr_t top) {
  const PythonLayout& l = python.layout;
  const Soundness chunk = LookAtPythonChunk(l, state);
  if (chunk == Soundness::kUnsound) return chunk;
  uint32_t found = 0, looked_at = 0;
  uintptr_t frame = top;
  for (; frame != 0 && looked_at < format::kMaxDepth; ++looked_at) {
    if (frame % 8 != 0 || !IsReadable(frame + l.previous) || !IsReadable(frame + l.code) ||
        !IsReadable((frame + l.instruction) & ~uintptr_t{7}) || !IsReadable((frame + l.owner) & ~uintptr_t{7})) {
      return Soundness::kUnsound;
    }
    const auto owner = Read<uint8_t>(frame, l.owner);
    if (!l.instruction_is_pointer || owner < l.first_shim_owner) {
      const uintptr_t code = Read<uintptr_t>(frame, l.code) & kReferenceMask;
      // A frame that is no code's (None, since 3.13) or that is being set up says nothing.
      if (IsObjectOf(l, code, python.code_type)) {
        if (l.instruction_is_pointer && owner > 3) return Soundness::kUnsound;
        if (!l.instruction_is_pointer || Read<uintptr_t>(code, l.co_filename) != 0) {
          if (!CodeIsSound(python, code)) return Soundness::kUnsound;
          const auto instruction = Read<uint64_t>(frame, l.instruction);
          const auto offset = static_cast<int64_t>(l.instruction_is_pointer ? instruction - (code + l.co_code)
                                                                            : static_cast<uint32_t>(instruction));
          if (l.instruction_is_pointer && (offset < -8 || offset > (int64_t{1} << 30) || offset % 2 != 0))
            return Soundness::kUnsound;
          ++found;
        }
      } else if (!l.instruction_is_pointer || python.minor() < 13) {
        return Soundness::kUnsound;
      }
    }
    frame = Read<uintptr_t>(frame, l.previous);
  }
  if (found != 0) return chunk;
  return l.has_base_frame && looked_at <= 2 ? Soundness::kEmpty : Soundness::kUnsound;
}

// ---------------------------------------------------------------- the last one, and the one before

bool PythonThread::Choose(const PythonLayout& layout, uintptr_t top, uint32_t epoch) {
  Kept& other = kept_[now_ == &kept_[0] ? 1 : 0];
  uint64_t instruction = 0;
  const bool is_other = other.stack.IsSameButForInstruction(layout, ChunkOf(layout), top, epoch, &instruction);
  // Where much is left behind, it is left as it is: it will be wanted again.
  if (is_other || now_->stack.EntriesInside(top) >= kMuch) now_ = &other;
  return is_other;
}

// ---------------------------------------------------------------- whose frames

uintptr_t PythonThread::CheckedTop(const PythonRuntime& python) {
  constexpr uintptr_t kNoFrame = 1;
  const uintptr_t state = python.holder != nullptr ? StateIfHolder(python) : AttachedState(python);
  if (state == 0) return 0;
  if (!IsReadable(state + python.layout.top)) return kNoFrame;
  const uintptr_t top = Word(state + python.layout.top);
  if (!python.layout.has_c_frames || top == 0) return top;
  return IsReadable(top + python.layout.c_frame_top) ? Word(top + python.layout.c_frame_top) : kNoFrame;
}

// Up to 3.11: `holder` holds the GIL, and is not known to be ours.
uintptr_t PythonThread::FindState(const PythonRuntime& python, uintptr_t holder) {
  if (holder != 0 && holder != foreign_) {
    // Another thread's may be freed while we look at it; then its memory may even be unmapped.
    if (IsReadableAs(holder + python.layout.thread_id, self_)) {
      return state_ = holder;
    }
    foreign_ = holder;
  }
  return DetachedState(python);
}

// The state of a thread that does not hold the GIL. When the interpreter ends, it deletes those of its daemon threads
// while they still run; see Tracer::WaitForReaders().
uintptr_t PythonThread::DetachedState(const PythonRuntime& python) {
  if (python.is_finalizing != nullptr && python.is_finalizing() != 0) return 0;
  const auto state = reinterpret_cast<uintptr_t>(python.own_thread_state());
  if (state != 0) state_ = state;
  return state;
}

}  // namespace allocline
