// How to get from a frame to its caller, for one return address: what .eh_frame says about it, compiled into 32 bits.
//
// Nearly all code that g++ and clang++ make is described by "the CFA is rsp (or rbp) plus a constant, the return
// address lies just below it, rbp is saved at a constant place, unchanged, or (hand-written code says so now and then)
// lost: it is not known in the caller". A row says that; everything else (signal
// frames, PLT stubs, DWARF expressions other than the realigned stack's) is kComplex, and left to libunwind.
//
// Sources: DWARF 5 section 6.4 (call frame instructions); LSB Core, "Exception Frames" (.eh_frame, .eh_frame_hdr,
// pointer encodings); System V ABI AMD64, table 3.36 (register numbers: 6 = rbp, 7 = rsp, 16 = return address).
#ifndef ALLOCLINE_TRACER_CFI_ROW_H_
#define ALLOCLINE_TRACER_CFI_ROW_H_

#include <cstdint>

namespace allocline {

// The canonical frame address (CFA) of a frame is the stack pointer its caller has after the return.
class CfiRow {
 public:
  enum class Kind : uint32_t {
    kRsp = 0,       // CFA = rsp + offset
    kRbp = 1,       // CFA = rbp + offset
    kDerefRbp = 2,  // CFA = *(rbp + offset), rbp saved at *rbp: a function that realigned its stack (DRAP)
    kSpecial = 3,
  };
  enum class Special : uint32_t {
    kEnd = 0,      // the outermost frame: it says so itself (_start, clone)
    kComplex = 1,  // described, but not by a simple row
    kNoInfo = 2,   // no unwind information: the stack ends here, as far as anybody knows
    kBad = 3,      // described, but no frame can be like that
    kSignal = 4,   // a signal handler returns there; its caller was interrupted. Not a simple row
    kNoCode = 5,   // no unwind information, and no call either
    kNoCall = 6,   // described, but what stands before it is no call: a return address it cannot be
  };

  static constexpr int kBits = 31;

  constexpr CfiRow() = default;
  static constexpr CfiRow FromBits(uint32_t bits) { return CfiRow(bits); }
  static constexpr CfiRow MakeSpecial(Special what) {
    return CfiRow(static_cast<uint32_t>(Kind::kSpecial) | static_cast<uint32_t>(what) << 2 | kNotSaved << 21);
  }
  // Offsets in bytes. `rbp_depth`: rbp is saved at CFA - rbp_depth; 8 means that it is not saved (the return address
  // is there), 0 that it is lost. Complex if something does not fit.
  static constexpr CfiRow Make(Kind kind, int64_t cfa_offset, int64_t rbp_depth) {
    if (cfa_offset % 8 != 0 || cfa_offset < -(1 << 20) || cfa_offset >= (1 << 20))
      return MakeSpecial(Special::kComplex);
    if (kind != Kind::kDerefRbp && cfa_offset < 0) return MakeSpecial(Special::kComplex);
    // The CFA lies above the stack pointer, and what was saved in between.
    if (kind == Kind::kRsp && (cfa_offset < 8 || cfa_offset < rbp_depth)) return MakeSpecial(Special::kBad);
    if (rbp_depth % 8 != 0 || rbp_depth < 0 || rbp_depth / 8 > 255) return MakeSpecial(Special::kComplex);
    return CfiRow(static_cast<uint32_t>(kind) | (static_cast<uint32_t>(cfa_offset / 8) & 0x7ffff) << 2 |
                  static_cast<uint32_t>(rbp_depth / 8) << 21);
  }

  constexpr uint32_t bits() const { return bits_; }
  constexpr Kind kind() const { return static_cast<Kind>(bits_ & 3); }
  constexpr bool is(Special what) const { return kind() == Kind::kSpecial && special() == what; }
  constexpr bool IsDescribed() const { return !is(Special::kNoInfo) && !is(Special::kNoCode); }
  constexpr bool IsOfCall() const { return !is(Special::kNoCall) && !is(Special::kNoCode); }
  constexpr Special special() const { return static_cast<Special>((bits_ >> 2) & 7); }
  // kRsp, kRbp: never negative.
  constexpr uint64_t cfa_offset() const { return uint64_t{(bits_ >> 2) & 0x7ffff} * 8; }
  constexpr int64_t signed_cfa_offset() const { return (static_cast<int32_t>(bits_ << 11) >> 13) * int64_t{8}; }
  constexpr uint64_t rbp_depth() const { return uint64_t{bits_ >> 21} * 8; }
  // Or loses it: the caller's does not depend on the one here.
  constexpr bool saves_rbp() const { return bits_ >> 21 != kNotSaved; }
  constexpr bool loses_rbp() const { return bits_ >> 21 == kLost && kind() != Kind::kDerefRbp; }
  // Whether the CFA is computed from rbp.
  constexpr bool uses_rbp() const { return kind() == Kind::kRbp || kind() == Kind::kDerefRbp; }

 private:
  static constexpr uint32_t kLost = 0, kNotSaved = 1;
  explicit constexpr CfiRow(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 0;
};

// Reads .eh_frame for the call that returns to `return_address`. Asks the loader (_dl_find_object: no lock) which
// object the address is in. Context: async-signal-safe, no allocation; it reads only what the loader mapped.
//
// Nothing keeps another thread from unloading that object meanwhile. Where `return_address` is one, nobody does: this
// thread will return there. Where it is a word that wrong unwind information led to, which happens to lie in an object
// that goes this very moment, we fault, as any C++ exception would that came the same way. (The kernel could be asked
// to copy instead of reading: twenty system calls a row, of a kind that a sandbox may kill for.)
CfiRow CompileCfiRow(uintptr_t return_address);
// The same for the frame that a signal interrupted: of the instruction that would have been next.
CfiRow CompileInterruptedCfiRow(uintptr_t pc);

// What the expressions of a frame come to (DWARF 5 section 2.5), for who is to have them evaluated by somebody who does
// not ask whether what they load is there.
struct FrameExpressions {
  bool load_what_is_there;  // or nothing. False also of those with operations that no compiler and no libc uses there
  bool is_signal_frame;     // its caller was interrupted: it stands at its next instruction, not after a call
};
// `instruction`: an address in the code that the frame stands at. `register_of`: its registers, by DWARF's numbers.
FrameExpressions CheckExpressions(uintptr_t instruction, uintptr_t (*register_of)(void* frame, unsigned number),
                                  void* frame);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_CFI_ROW_H_
