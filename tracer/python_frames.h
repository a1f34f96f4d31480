// The Python frames of the calling thread, at the price of one comparison for each frame that is as it was.
//
// The interpreter keeps its frames as a list: the thread's state points at the innermost one, each points at the one
// further out. A frame is known by three words: which frame is further out, where in its code it stands, and what code
// that is. (Since 3.11 the second is an address inside the code, and says the third. A code that dies raises the epoch,
// which voids what is kept.) So the last stack is kept as an array of those words, and a new one is compared with it,
// from the innermost outward:
//
//     kept:   main:7  load:31  parse:12  <genexpr>:12        now:  main:7  load:31  parse:14
//                                                            walked: parse:14; compared: load:31, main:7
//
// That is the verified prefix reuse of unwind_cfi.h in other clothes, and right for the same reason: what is kept of
// the frames further out than the joint is reused only if each of them holds the same words as before, for an outer
// frame may have gone on to another line while an inner one looks the same. An address that is kept is read only after
// the frame further in has been seen to point at it, so it is a frame of this very stack. Those loads do not wait for
// each other all the same: the processor takes the predicted way.
//
// Digests. What is on the interpreter's own stack need not be asked about frame by frame: the words of such frames, one
// behind the other in the list, go into a digest, in 3.11 by an instruction each, and the digest is what is compared.
// So frames are read before those further in have been seen to lead there. May they be? The interpreter's stack comes
// in chunks, and the thread's state says which one it is on: all of that can be read. (If it is another one than when
// the list was taken, nothing is compared.) And is it right? If the digest is another, a word is, and nothing of the
// run is used. If it is the same, so are the words, but for what a digest of 128 bits leaves open: see DigestOf(). Then
// the innermost frame leads to where the second was looked for, so that one is of the list, and leads to where the
// third was, and so on: what would have been found one by one.
//
// What is compared with is compiled for the version of the interpreter where it is one of those that most have
// (PythonForm), so that offsets are part of the instructions.
//
// So nothing needs to be known of what changes the list: calls and returns, generators and coroutines (their frames lie
// in the heap and come and go in the middle of the list), greenlets (the list is exchanged as a whole), exceptions,
// tracing. Sub-interpreters have lists of their own: the thread's *current* state is asked for at each event.
//
// Whose frames. Never another thread's: nobody may look at those without the GIL, and often we have not got it (an
// extension that released it calls malloc). Up to 3.11 the interpreter only knows the state of the thread that holds
// the GIL; it is ours if it says so itself (its thread_id). Since 3.12 each thread has its own. If the thread holds no
// GIL, its state is the one that PyGILState_... would use: its frames stand still until it takes the GIL again.
//
// What is left out, as tracemalloc leaves it out: frames that are not set up yet, and those that only mark an entry
// into the evaluation loop (3.12 and later). The latter say where on the native stack the Python frames further in
// belong.
//
// A list that does not end in kRoom frames is cut: its innermost frames are kept, kFewest of them at least, and in the
// place of the root stands the frame that the outermost of them was called from. So it is compared as any other, at no
// further price, and it still goes on behind what is kept: a joint says that the outermost kept frame leads to that
// same frame. Where too few would be left, because the list has become shorter, or too many, it is taken anew:
//
//     whole:  root | 1 2 3 ... kRoom                cut:  7001 | 7002 ... 8250
//
// Threads:  one, and no signal handlers: the thread's gate is closed. Lies in zeroed memory.
// Context:  inside malloc, with or without the GIL. No object is touched but the thread's own frames and what they
//           hold.
#ifndef ALLOCLINE_TRACER_PYTHON_FRAMES_H_
#define ALLOCLINE_TRACER_PYTHON_FRAMES_H_

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <cstdint>

#include "base/atomic.h"
#include "recording/format.h"
#include "tracer/python_runtime.h"
#include "tracer/site_table.h"
#include "tracer/stack_predictor.h"

namespace allocline {

// One entry of the interpreter's list.
struct PythonFrame {
  uintptr_t frame;
  uint64_t instruction;  // as it lies there, see PythonLayout::instruction
  uint64_t mark;         // the code up to 3.10; in 3.11 the two bytes that hold is_entry and owner
};

// What an entry is: a frame of Python code or none, and whether it is the outermost of its call of the evaluation loop.
using FrameKind = uint8_t;
inline constexpr FrameKind kPythonCode = 0;
inline constexpr FrameKind kEndsCall = 1;
inline constexpr FrameKind kLeftOut = 2;

class PythonStack {
 public:
  // A list of no more frames is kept whole. One that is longer than that may be, up to kRoom.
  static constexpr uint32_t kWhole = 2000;
  static constexpr uint32_t kRoom = 2500;
  // Of a list with more frames so many are kept: at least, when it is taken, and at most. So an event that takes it
  // anew is followed by many that do not.
  static constexpr uint32_t kFewest = 1000, kAnew = 1250, kMost = 1500;
  static_assert(kRoom + 1 - kAnew + kFewest > kWhole);  // what is kept as cut is longer than kWhole

  // Frames further in than those that are shared with the last stack, innermost first.
  struct Taken {
    uint32_t shared;
    uint32_t fresh;
    const PythonFrame* frames;
  };

  // Lies in zeroed memory. `root`: the node under which the outermost frames are.
  void Init(NodeId root) {
    root_ = root;
    Forget();
  }

  // An entry of the list, and what it is in the site table.
  struct Kept {
    uintptr_t outer;       // the frame further out
    uint64_t instruction;  // behind `outer`, as in a frame of 3.11
    uintptr_t frame;
    NodeId node;
    FrameKind kind;
    uint8_t run;      // so many entries, this one and those further out, lie in chunk_; or kRoot
    uint8_t row;      // so many of them lie equally far apart
    bool has_digest;  // digests_ has that of the run
  };
  static_assert(sizeof(Kept) == 32);
  static constexpr uint8_t kRoot = 0xff;  // of what is in front of the outermost

  // Whether the list that begins at `top` is the last one again, but perhaps for the instruction of the innermost
  // frame, which then is `*instruction`. Of a deep one not all may have been compared: CompareOuter(*rest) says whether
  // the others are. Else that is null.
  template <PythonForm kForm>
  __attribute__((always_inline)) bool InnerAreSame(const PythonLayout& layout, uintptr_t top, uint32_t epoch,
                                                   uint64_t* instruction, const Kept** rest) const {
    const Kept* innermost = innermost_;
    if (__builtin_expect(innermost->frame != top || epoch_ != epoch, 0)) return false;
    *instruction = InstructionOf<kForm>(layout, top);
    if (__builtin_expect(Load(top + PreviousIn<kForm>(layout)) != innermost->outer, 0)) return false;
    if (!HasPointers<kForm>() && Load(top + layout.code) != mark(innermost)) return false;
    *rest = nullptr;
    if (__builtin_expect(outer_count_ > kFew, 0)) {
      *rest = innermost - 1;
      return true;
    }
    return FewAreAsKept<kForm>(layout, outer_count_);
  }
  template <PythonForm kForm>
  bool IsSameButForInstruction(const PythonLayout& layout, uintptr_t chunk, uintptr_t top, uint32_t epoch,
                               uint64_t* instruction) {
    const Kept* rest = nullptr;
    if (!InnerAreSame<kForm>(layout, top, epoch, instruction, &rest)) return false;
    if (rest == nullptr) return true;
    Outer outer = CompareOuter<kForm>(layout, chunk, rest);
    if (outer == Outer::kUnknown) {
      MakeDigests(rest);
      outer = CompareOuter<kForm>(layout, chunk, rest);
    }
    return outer == Outer::kSame;
  }
  // Whether the entries from `e` outward are as they were, if those further in are. `chunk`: that of the interpreter's
  // stack which the thread is on, see Take(). kUnknown: MakeDigests() first.
  enum class Outer : uint8_t { kSame, kOther, kUnknown };
  template <PythonForm kForm>
  __attribute__((always_inline)) Outer CompareOuter(const PythonLayout& layout, uintptr_t chunk, const Kept* e) const {
    if (__builtin_expect(chunk != chunk_, 0)) return Outer::kOther;
#ifdef __SSE2__
    if (HasPairs<kForm>()) return CompareRuns<kForm>(layout, e);
#endif
    while (e > &kept_[3]) {
      if (!FourAreAsKept<kForm>(layout, e)) return Outer::kOther;
      e -= 4;
    }
    return AllAreAsKept<kForm>(layout, e) ? Outer::kSame : Outer::kOther;
  }
  // For all entries from `e` outward.
  void MakeDigests(const Kept* e);
  // The same for whatever version.
  bool IsSameButForInstruction(const PythonLayout& layout, uintptr_t chunk, uintptr_t top, uint32_t epoch,
                               uint64_t* instruction) {
    if (!layout.instruction_is_pointer) {
      return IsSameButForInstruction<PythonForm::kIndices>(layout, chunk, top, epoch, instruction);
    }
    if (HasFramesOf<PythonForm::k3_11>(layout)) {
      return IsSameButForInstruction<PythonForm::k3_11>(layout, chunk, top, epoch, instruction);
    }
    if (HasFramesOf<PythonForm::k3_12>(layout)) {
      return IsSameButForInstruction<PythonForm::k3_12>(layout, chunk, top, epoch, instruction);
    }
    return IsSameButForInstruction<PythonForm::kPointers>(layout, chunk, top, epoch, instruction);
  }
  bool IsSame(const PythonLayout& layout, uintptr_t chunk, uintptr_t top, uint32_t epoch) {
    uint64_t instruction = 0;
    return IsSameButForInstruction(layout, chunk, top, epoch, &instruction) && instruction == innermost_->instruction;
  }
  // In 3.11, whether the entries begin calls of the evaluation loop where they did. (Since 3.12 such a beginning is an
  // entry of its own, before 3.11 each is one.) To be asked only where that matters, after IsSame().
  bool HasSameMarks(const PythonLayout& layout) const {
    if (!layout.has_entry_mark) return true;
    for (const Kept* e = innermost_; e > &kept_[0]; --e) {
      if ((Load(e->frame + kMarkWord) & kMarkMask) != mark(e)) return false;
    }
    return true;
  }
  // The list that begins at `top`. It becomes the last one, but for its labels: Label() is to be called for each new
  // frame, from the outermost inward. `chunk`: that of the interpreter's stack which the thread is on (ChunkOf()); null
  // if that is not known.
  Taken Take(const PythonLayout& layout, uintptr_t chunk, uintptr_t top, uint32_t epoch);
  void Forget() {
    SetOuter(0, root_);
    SetDepth(0);
  }
  // Whether the list goes on further out than what is kept of it.
  bool cut() const { return kept_[0].frame != 0; }
  // Under which the outermost kept frame is: of a list that is cut, to be told before it is labelled.
  NodeId outer_node() const { return kept_[0].node; }
  void LabelOuter(NodeId node) { kept_[0].node = node; }

  // Of the entries [0, depth()), 0 = outermost.
  uint32_t depth() const { return static_cast<uint32_t>(outer_count_ + 1); }
  uint32_t epoch() const { return epoch_; }
  PythonFrame frame(uint32_t i) const { return {kept_[i + 1].frame, kept_[i + 1].instruction, marks_[i + 1]}; }
  NodeId node(uint32_t i) const { return kept_[i + 1].node; }
  FrameKind kind(uint32_t i) const { return kept_[i + 1].kind; }
  // A hash over the kinds of all entries up to that one: it tells where calls of the evaluation loop begin.
  uint64_t shape(uint32_t i) const { return shapes_[i + 1]; }
  void Label(uint32_t i, NodeId node, FrameKind kind) {
    kept_[i + 1].node = node;
    kept_[i + 1].kind = kind;
    shapes_[i + 1] = ((i == 0 ? 1 : shapes_[i]) + kind) * 0x9E3779B97F4A7C15u;
  }

  uint64_t mark(const Kept* e) const { return marks_[e - &kept_[0]]; }
  // Where there is a list. One further out, for the outermost the root's, is in front of it.
  const Kept* innermost() const { return innermost_; }
  template <PythonForm kForm>
  static uint64_t InstructionOf(const PythonLayout& layout, uintptr_t frame) {
    const uint64_t word = Load(frame + InstructionIn<kForm>(layout));
    return HasPointers<kForm>() ? word : static_cast<uint32_t>(word);
  }
  // The innermost frame has gone on to another instruction.
  void GoOn(uint64_t instruction, NodeId node) {
    innermost_->instruction = instruction;
    innermost_->node = node;
  }
  // How many entries lie further in than the one of that frame. 0 if it has none, or that is not soon found out.
  uint32_t EntriesInside(uintptr_t frame) const;

 private:
  using Word [[gnu::may_alias]] = uint64_t;
  static uint64_t Load(uintptr_t address) { return *reinterpret_cast<const Word*>(address); }
  static PythonFrame Read(const PythonLayout& layout, uintptr_t frame) {
    const uint64_t instruction = Load(frame + layout.instruction) & layout.instruction_mask;
    if (!layout.instruction_is_pointer) return {frame, instruction, Load(frame + layout.code)};
    return {frame, instruction, layout.has_entry_mark ? Load(frame + kMarkWord) & kMarkMask : 0};
  }
  // In 3.11: { int stacktop; bool is_entry; char owner; }.
  static constexpr uint16_t kMarkWord = 64;
  static constexpr uint64_t kMarkMask = uint64_t{0xffff} << 32;

  // An entry is looked at only after the one further in has been seen to lead to it.
  template <PythonForm kForm>
  __attribute__((always_inline)) bool IsAsKept(const PythonLayout& layout, const Kept* e) const {
#ifdef __SSE2__
    if (kForm == PythonForm::k3_11) {  // both words lie side by side
      static_assert(InstructionIn<PythonForm::k3_11>({}) == PreviousIn<PythonForm::k3_11>({}) + 8);
      const auto* now = reinterpret_cast<const __m128i*>(e->frame + PreviousIn<PythonForm::k3_11>({}));
      const auto* kept = reinterpret_cast<const __m128i*>(e);
      return AreEqual(_mm_loadu_si128(now), _mm_load_si128(kept));
    }
#endif
    // Compared one by one: the processor fuses each with its branch.
    if (__builtin_expect(Load(e->frame + PreviousIn<kForm>(layout)) != e->outer, 0)) return false;
    if (!HasPointers<kForm>() && Load(e->frame + layout.code) != mark(e)) return false;
    return __builtin_expect(InstructionOf<kForm>(layout, e->frame) == e->instruction, 1);
  }
  template <PythonForm kForm>
  __attribute__((always_inline)) bool FourAreAsKept(const PythonLayout& layout, const Kept* e) const {
    return IsAsKept<kForm>(layout, e) && IsAsKept<kForm>(layout, e - 1) && IsAsKept<kForm>(layout, e - 2) &&
           IsAsKept<kForm>(layout, e - 3);
  }
#ifdef __SSE2__
  // A shorter run is compared as quickly frame by frame.
  static constexpr uint32_t kWorthwhileRun = 6;
  __attribute__((always_inline)) static bool AreEqual(__m128i one, __m128i other) {
    return __builtin_expect(_mm_movemask_epi8(_mm_cmpeq_epi8(one, other)) == 0xffff, 1);
  }
  // The digest of the entries of e's run: the two words of each are mixed into one of four lanes, which stay apart. To
  // mix is a round of AES without a key (FIPS 197, 5.1), then the words by exclusive or.
  //
  // A round is a bijection, so what differs in one frame of a lane is always seen. Where two frames of a lane differ,
  // the outer one's words would have to differ by just what the first difference has become. The low four bytes of an
  // instruction are a column of the state, and a round spreads each to a column of its own. So a difference stays in
  // such a column only where the lowest byte alone differed, and then all four bytes of the next instruction must
  // differ, in one of 127 patterns: code that lies beyond 16 MiB, by a chance of 2^-32 at worst. After two rounds no
  // column is without a difference, and two addresses have zeros in two of them. (Lanes that are mixed into each other
  // would not do: of two equal differences in two of them, each a round old, one pair in 127 cancels.)
  struct Digest {
    __m128i a, b, c, d;
    __attribute__((always_inline)) bool Is(const Digest& other) const {
      const __m128i ab = _mm_or_si128(_mm_xor_si128(a, other.a), _mm_xor_si128(b, other.b));
      const __m128i cd = _mm_or_si128(_mm_xor_si128(c, other.c), _mm_xor_si128(d, other.d));
      bool nothing_differs = false;
      asm("vptest %1, %1" : "=@ccz"(nothing_differs) : "x"(_mm_or_si128(ab, cd)));
      return __builtin_expect(nothing_differs, 1);
    }
  };
  // `Words` says where those of an entry are: as they were kept, or as they are. Frames of a recursion lie equally far
  // apart: their addresses need not be loaded.
  template <typename Words>
  __attribute__((always_inline)) static Digest DigestOf(const Kept* e) {
    const Kept* const end = e - e->run;
    __m128i a = Words::Of(e), b = Words::Of(e - 1), c = Words::Of(e - 2), d = Words::Of(e - 3);
    const auto mix_four = [&](const Kept* at, uintptr_t first, uintptr_t second, uintptr_t third, uintptr_t fourth)
        __attribute__((always_inline)) {
      Words::MixIn(&a, at, first), Words::MixIn(&b, at - 1, second);
      Words::MixIn(&c, at - 2, third), Words::MixIn(&d, at - 3, fourth);
    };
    e -= 4;
    if (e->row >= 8) {
      uintptr_t frame = e->frame;
      const uintptr_t one = e->outer - frame;
      uintptr_t three = 3 * one;
      asm("" : "+r"(three));  // else the compiler adds up each address
      const Kept* const last = e - e->row / 8u * 8u;
      do {
        mix_four(e, frame, frame + one, frame + 2 * one, frame + three);
        frame += 4 * one;
        mix_four(e - 4, frame, frame + one, frame + 2 * one, frame + three);
        frame += 4 * one;
        e -= 8;
        asm("" : "+r"(e));  // else the compiler computes where the loop leaves it, here and below
      } while (e != last);
    }
    for (; e > end + 3; e -= 4) {
      mix_four(e, e->frame, e[-1].frame, e[-2].frame, e[-3].frame);
      asm("" : "+r"(e));
    }
    for (; e != end; --e) Words::MixIn(&a, e, e->frame);
    return {a, b, c, d};
  }
  // By hand, so that what is not asked to make digests need not be compiled for machines that can.
  __attribute__((always_inline)) static void Mix(__m128i* lane, __m128i words) {
    asm("vaesenc %1, %0, %0" : "+x"(*lane) : "x"(words));
  }
  struct WordsAsKept {
    static __m128i Of(const Kept* e) { return _mm_load_si128(reinterpret_cast<const __m128i*>(e)); }
    static void MixIn(__m128i* lane, const Kept* e, uintptr_t) { Mix(lane, Of(e)); }
  };
  template <PythonForm kForm>
  struct WordsNow {
    static constexpr bool kSideBySide = PreviousIn<kForm>({}) + 8 == InstructionIn<kForm>({});
    __attribute__((always_inline)) static const __m128i* Previous(uintptr_t frame) {
      return reinterpret_cast<const __m128i*>(frame + PreviousIn<kForm>({}));  // not aligned
    }
    __attribute__((always_inline)) static __m128i At(uintptr_t frame) {
      if (kSideBySide) return _mm_loadu_si128(Previous(frame));
      const auto* instruction = reinterpret_cast<const __m64*>(frame + InstructionIn<kForm>({}));
      return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64(Previous(frame))), instruction));
    }
    __attribute__((always_inline)) static __m128i Of(const Kept* e) { return At(e->frame); }
    __attribute__((always_inline)) static void MixIn(__m128i* lane, const Kept*, uintptr_t frame) {
      if (kSideBySide) {
        asm("vaesenc %1, %0, %0" : "+x"(*lane) : "m"(*reinterpret_cast<const __m128i_u*>(Previous(frame))));
      } else {
        Mix(lane, At(frame));
      }
    }
  };
  // digests_[e - kept_], of which the compiler makes six instructions.
  __attribute__((always_inline)) const Digest& DigestAt(const Kept* e) const {
    static_assert(sizeof(Digest) == 2 * sizeof(Kept));
    const uintptr_t offset = reinterpret_cast<uintptr_t>(e) - reinterpret_cast<uintptr_t>(kept_);
    return *reinterpret_cast<const Digest*>(reinterpret_cast<uintptr_t>(digests_) + 2 * offset);
  }
  // Whether both words that are compared of a frame are words of addresses, as digests are made of.
  template <PythonForm kForm>
  static constexpr bool HasPairs() {
    return kForm == PythonForm::k3_11 || kForm == PythonForm::k3_12;
  }
  template <PythonForm kForm>
  __attribute__((always_inline)) Outer CompareRuns(const PythonLayout& layout, const Kept* e) const {
    while (true) {
      while (e->run < kWorthwhileRun) {
        if (!IsAsKept<kForm>(layout, e)) return Outer::kOther;
        --e;
      }
      if (e->run == kRoot) return Outer::kSame;
      if (__builtin_expect(!e->has_digest, 0)) return Outer::kUnknown;
      if (!DigestOf<WordsNow<kForm>>(e).Is(DigestAt(e))) return Outer::kOther;
      e -= e->run;
    }
  }
#endif

  // The entries [1, count], from the innermost outward: no more than kFew.
  template <PythonForm kForm>
  __attribute__((always_inline)) bool FewAreAsKept(const PythonLayout& layout, uint64_t count) const {
    switch (count) {
      case 7:
        if (!IsAsKept<kForm>(layout, &kept_[7])) return false;
        [[fallthrough]];
      case 6:
        if (!IsAsKept<kForm>(layout, &kept_[6])) return false;
        [[fallthrough]];
      case 5:
        if (!IsAsKept<kForm>(layout, &kept_[5])) return false;
        [[fallthrough]];
      case 4:
        if (!IsAsKept<kForm>(layout, &kept_[4])) return false;
        [[fallthrough]];
      case 3:
        if (!IsAsKept<kForm>(layout, &kept_[3])) return false;
        [[fallthrough]];
      case 2:
        if (!IsAsKept<kForm>(layout, &kept_[2])) return false;
        [[fallthrough]];
      case 1:
        return IsAsKept<kForm>(layout, &kept_[1]);
      default:
        return true;
    }
  }
  static constexpr uint64_t kFew = 7;
  // Entry by entry, from `e` outward.
  template <PythonForm kForm>
  __attribute__((always_inline)) bool AllAreAsKept(const PythonLayout& layout, const Kept* e) const {
    for (const Kept* const end = &kept_[0]; e != end; --e) {
      if (!IsAsKept<kForm>(layout, e)) return false;
    }
    return true;
  }
  // Whether all that is compared of the frame lies in chunk_.
  bool IsInChunk(const PythonLayout& layout, uintptr_t frame) const;
  // The first of the entries [1, count] that differs, from the innermost outward; 0 if none does.
  uint32_t FirstDifference(const PythonLayout& layout, uint32_t count) const;
  void SetOuter(uintptr_t frame, NodeId node) {
    kept_[0].frame = frame;
    kept_[0].node = node;
    kept_[0].run = kRoot;
  }
  void SetDepth(uint32_t depth) {
    none_.frame = 1;  // no frame has this address
    innermost_ = depth == 0 ? &none_ : &kept_[depth];
    outer_count_ = uint64_t{depth} - 1;
  }

  Kept* innermost_;
  uintptr_t chunk_;       // of the interpreter's stack, when runs were found
  uint64_t outer_count_;  // so many entries further out than the innermost; of an empty list 2^64 - 1
  uint32_t epoch_;
  NodeId root_;
  alignas(16) Kept none_;  // what is innermost of an empty list
  // Behind one that stands for what lies further out than the outermost: no frame, or that of a list that is cut.
  alignas(16) Kept kept_[1 + kRoom];
#ifdef __SSE2__
  Digest digests_[1 + kRoom];
#endif
  uint64_t marks_[1 + kRoom];
  uint64_t shapes_[1 + kRoom];
  PythonFrame fresh_[kRoom];
};

// What a frame of the list is; for Python code, its code and the place in it.
struct PythonPlace {
  FrameKind kind;
  uintptr_t code;
  uint64_t offset;  // of the instruction, in bytes; or format::kNoCodeOffset
};
PythonPlace PlaceOf(const PythonRuntime& python, const PythonFrame& frame);

// Whether the list that begins at `top`, of the thread with that state, looks as it should, and the chunk of the stack
// that it is on, each access being checked before it is made. kEmpty: it is no more than the marks of where Python code
// begins, of which 3.15 always has one, or there is no chunk to be seen.
enum class Soundness { kSound, kEmpty, kUnsound };
Soundness LookAtPythonFrames(const PythonRuntime& python, uintptr_t state, uintptr_t top);
// The part of it that is about the chunk: no frames of a new thread have been anywhere yet, and it is kEmpty.
Soundness LookAtPythonChunk(const PythonLayout& layout, uintptr_t state);

// What a thread knows of its Python frames. Made at its first one (Tracer::PythonOf()).
//
// Two stacks are kept, for many a program goes to and fro: a generator far out and what is called for each of its
// items, a loop and the depth of a recursion. A list that is neither takes the place of the one it is nearer to.
class PythonThread {
 public:
  // For the thread that is pthread_self() `self`. Also when a state is handed on to a new thread.
  void Init(uintptr_t self, NodeId domain) {
    self_ = self;
    state_ = kNoState;
    foreign_ = 0;
    root = domain;
    for (Kept& kept : kept_) kept.stack.Init(domain);
    now_ = &kept_[0];
  }
  void Forget() {
    for (Kept& kept : kept_) kept.stack.Forget();
  }
  // What of it is written to as a rule: what lies in its tables, but for deep stacks.
  static constexpr uint64_t kUsualBytes = 64 << 10;
  // The innermost frame of the calling thread. 0: it has none.
  __attribute__((always_inline)) uintptr_t Top(const PythonRuntime& python) {
    const uintptr_t state = python.holder != nullptr ? StateIfHolder(python) : AttachedState(python);
    if (__builtin_expect(state == 0, 0)) return 0;
    uintptr_t top = Word(state + python.layout.top);
    if (python.layout.has_c_frames && top != 0) top = Word(top + python.layout.c_frame_top);
    return top;
  }
  // The same with every access checked, for a runtime that is not known to be what it seems. Where it is not, an
  // address that no frame can have.
  uintptr_t CheckedTop(const PythonRuntime& python);
  // The thread was given a block of the RAW domain. States come from there: what lay there was another thread's, and is
  // no more.
  void NoteRawBlock(const void* block) {
    if (__builtin_expect(reinterpret_cast<uintptr_t>(block) == foreign_, 0)) foreign_ = 0;
  }
  // The state those frames hang on, after Top() or Compare().
  uintptr_t state() const { return state_; }
  // The chunk of the interpreter's stack that it is on.
  template <PythonForm kForm = PythonForm::kPointers>
  uintptr_t ChunkOf(const PythonLayout& layout) const {
    const uint16_t offset = ChunkIn<kForm>(layout);
    return offset == 0 ? 0 : Word(state_ + offset);
  }

  // The site and the node of a stack of Python frames.
  struct Interned {
    format::Counter* counter;  // this thread's of the site; null: the site was not asked for yet
    SiteId site;
    NodeId node;
  };
  // A frame on a certain one further out: what came of it the last time. `key` says its code and instruction.
  struct Memo {
    uint64_t key;
    uint32_t parent;
    uint32_t index;  // what the key does not say up to 3.10: f_lasti
    Interned interned;
  };
  // A list that is kept.
  struct Kept {
    PythonStack stack;
    Interned interned;  // what it is in the site table, under the domain of Python
    Memo* memo;         // where its innermost frame's was put, if that still is there; null if it has none
  };
  // Frames are told apart by addresses, and addresses are good for an epoch: its low bits are part of the key.
  static uint64_t KeyOf(const PythonLayout& layout, const PythonFrame& frame, uint32_t epoch) {
    return (layout.instruction_is_pointer ? frame.instruction : frame.mark) ^ EpochPart(epoch);
  }
  static uint64_t EpochPart(uint32_t epoch) { return uint64_t{epoch} << kEpochShift; }
  static uint32_t IndexOf(const PythonLayout& layout, const PythonFrame& frame) {
    return layout.instruction_is_pointer ? 0 : static_cast<uint32_t>(frame.instruction);
  }
  __attribute__((always_inline)) Memo& MemoOf(uint64_t key, uint32_t index, NodeId parent) {
    const uint64_t hash = (key + (uint64_t{parent} << 32 | index)) * 0x9E3779B97F4A7C15u;
    return memos_[hash >> (64 - kMemoBits)];
  }
  void EnterEpoch(uint32_t epoch) {
    if (__builtin_expect(memo_epoch_ >> (64 - kEpochShift) == epoch >> (64 - kEpochShift), 1)) return;
    memo_epoch_ = epoch;
    __builtin_memset(memos_, 0, sizeof memos_);
  }

  // The site of the stack of the calling thread's Python frames, if that is quickly told. Without a counter if it is
  // not, and then nothing was done.
  struct Usual {
    format::Counter* counter;
    SiteId site;
  };
  enum class Likeness { kOther, kSame, kSameButForInstruction, kDeep };
  // How the list is like the last one. The third case is for FindByMemo(), the last for CompareOuter(*rest) and then
  // FindDeep().
  template <PythonForm kForm>
  __attribute__((always_inline)) Likeness Compare(const PythonRuntime& python, uint32_t epoch, Usual* found,
                                                  const PythonStack::Kept** rest) {
    uint64_t instruction = 0;
    const uintptr_t top = UsualTop<kForm>(python);
    if (!now_->stack.InnerAreSame<kForm>(python.layout, top, epoch, &instruction, rest)) return Likeness::kOther;
    if (__builtin_expect(*rest != nullptr, 0)) return Likeness::kDeep;
    if (instruction != now_->stack.innermost()->instruction) return Likeness::kSameButForInstruction;
    *found = {now_->interned.counter, now_->interned.site};
    return __builtin_expect(found->counter != nullptr, 1) ? Likeness::kSame : Likeness::kOther;
  }
  // Whose outer entries are the same.
  template <PythonForm kForm>
  __attribute__((always_inline)) Usual FindDeep(const PythonRuntime& python, uint32_t epoch) {
    const PythonStack::Kept* innermost = now_->stack.innermost();
    if (PythonStack::InstructionOf<kForm>(python.layout, innermost->frame) != innermost->instruction) {
      return FindByMemo<kForm>(python, epoch);
    }
    return {now_->interned.counter, now_->interned.site};
  }
  template <PythonForm kForm>
  __attribute__((always_inline)) Usual FindByMemo(const PythonRuntime& python, uint32_t epoch) {
    Kept& kept = *now_;
    const PythonStack::Kept* innermost = kept.stack.innermost();
    const uint64_t instruction = PythonStack::InstructionOf<kForm>(python.layout, innermost->frame);
    const NodeId parent = innermost[-1].node;
    const uint64_t key = (HasPointers<kForm>() ? instruction : kept.stack.mark(innermost)) ^ EpochPart(epoch);
    const uint32_t index = HasPointers<kForm>() ? 0 : static_cast<uint32_t>(instruction);
    Memo& memo = MemoOf(key, index, parent);
    if (__builtin_expect(memo.key != key || memo.parent != parent || (!HasPointers<kForm>() && memo.index != index) ||
                             memo.interned.counter == nullptr || innermost->kind >= kLeftOut,
                         0)) {
      return {};
    }
    kept.stack.GoOn(instruction, memo.interned.node);
    kept.interned = memo.interned;
    kept.memo = &memo;
    return {memo.interned.counter, memo.interned.site};
  }

  // For a list that Choose() knows, whatever the version: makes it the last one, if its innermost frame has been where
  // it is before.
  bool GoOn(const PythonRuntime& python, uint32_t epoch) {
    return python.layout.instruction_is_pointer ? GoOnBy<PythonForm::kPointers>(python, epoch)
                                                : GoOnBy<PythonForm::kIndices>(python, epoch);
  }

  // What a native stack with Python frames in it came to be. Shapes tell how the two are woven.
  struct Mixed {
    NodeId native;
    NodeId python;
    uint64_t shape;
    Interned interned;
  };
  Mixed& MixedOf(NodeId native, NodeId python, uint64_t shape) {
    const uint64_t hash = ((uint64_t{native} << 32 | python) + shape) * 0x9E3779B97F4A7C15u;
    return mixed_[hash >> (64 - kMixedBits)];
  }

  // The last one.
  Kept& now() { return *now_; }
  PythonStack& stack() { return now_->stack; }
  // For a list that is not the last one: makes that one the last which it is kept as, but perhaps for the instruction
  // of the innermost frame (true), or whose place it is to take.
  bool Choose(const PythonLayout& layout, uintptr_t top, uint32_t epoch);

  NodeId root;  // under which they are

  // Room for weaving a stack.
  format::Frame frames[2 * format::kMaxDepth];
  struct Group {
    uint32_t first, end;  // entries of `stack`, of one call of the evaluation loop
    uintptr_t anchor;     // an address in the stack frame of that call; 0: not known
    uint32_t native;      // which native frame that is, counted from the outermost
  };
  Group groups[PythonStack::kRoom];

 private:
  static constexpr int kMemoBits = 10;
  static constexpr int kMixedBits = 9;
  static constexpr int kEpochShift = 48;    // addresses end below
  static constexpr uintptr_t kNoState = 1;  // no state has this address, and no holder, which 0 is
  template <PythonForm kForm>
  bool GoOnBy(const PythonRuntime& python, uint32_t epoch) {
    const PythonStack::Kept* innermost = now_->stack.innermost();
    return PythonStack::InstructionOf<kForm>(python.layout, innermost->frame) == innermost->instruction ||
           FindByMemo<kForm>(python, epoch).counter != nullptr;
  }
  static uintptr_t Word(uintptr_t address) { return *reinterpret_cast<const volatile uintptr_t*>(address); }

  // Top(), or 0 where that is not told at once.
  template <PythonForm kForm>
  __attribute__((always_inline)) uintptr_t UsualTop(const PythonRuntime& python) {
    const PythonLayout& layout = python.layout;
    uintptr_t state = 0;
    if (HasHolder<kForm>()) {
      state = LoadRelaxed(*python.holder);
      if (__builtin_expect(!IsOurs(state, ThreadIdIn<kForm>(layout)), 0)) return 0;
    } else {
      state = reinterpret_cast<uintptr_t>(python.attached_thread_state());
      if (__builtin_expect(state == 0, 0)) return 0;
      state_ = state;
    }
    const uintptr_t top = Word(state + TopIn<kForm>(layout));
    return kForm == PythonForm::k3_11 || (HasCFrames<kForm>(layout) && top != 0)
               ? Word(top + CFrameTopIn<kForm>(layout))
               : top;
  }
  // That it still is our state, and not another's at the same address, says its thread_id.
  __attribute__((always_inline)) bool IsOurs(uintptr_t holder, uint16_t thread_id) const {
    return __builtin_expect(holder == state_ && Word(holder + thread_id) == self_, 1);
  }
  __attribute__((always_inline)) uintptr_t StateIfHolder(const PythonRuntime& python) {
    const uintptr_t holder = LoadRelaxed(*python.holder);
    return __builtin_expect(IsOurs(holder, python.layout.thread_id), 1) ? holder : FindState(python, holder);
  }
  __attribute__((always_inline)) uintptr_t AttachedState(const PythonRuntime& python) {
    const auto state = reinterpret_cast<uintptr_t>(python.attached_thread_state());
    if (__builtin_expect(state == 0, 0)) return DetachedState(python);
    return state_ = state;
  }
  uintptr_t FindState(const PythonRuntime& python, uintptr_t holder);
  uintptr_t DetachedState(const PythonRuntime& python);

  uintptr_t self_ = 0;          // pthread_self()
  uintptr_t state_ = kNoState;  // ours
  uintptr_t foreign_ = 0;       // another's, when last looked at
  uint32_t memo_epoch_ = 0;
  Kept* now_;
  Memo memos_[1 << kMemoBits];
  Mixed mixed_[1 << kMixedBits];
  Kept kept_[2];
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_FRAMES_H_
