#include "tracer/cfi_row.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "base/pages.h"
#include "tracer/fault_points.h"

namespace allocline {
namespace {

// DWARF register numbers of x86-64.
constexpr unsigned kRbpRegister = 6;
constexpr unsigned kRspRegister = 7;
constexpr unsigned kReturnAddressRegister = 16;

// A cursor over .eh_frame. What the loader mapped is trusted to be whole: the C++ runtime reads it the same way.
class Cursor {
 public:
  explicit Cursor(const uint8_t* at) : at_(at) {}
  const uint8_t* at() const { return at_; }
  void Skip(uint64_t bytes) { at_ += bytes; }

  template <typename T>
  T Fixed() {
    T value;
    memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  uint64_t Unsigned() {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const uint8_t byte = *at_++;
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
  }
  int64_t Signed() {
    uint64_t value = 0;
    unsigned shift = 0;
    for (;;) {
      const uint8_t byte = *at_++;
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if (shift < 64 && (byte & 0x40) != 0) value |= ~uint64_t{0} << shift;
      return static_cast<int64_t>(value);
    }
  }
  // DW_EH_PE: the low nibble says how the value is stored, the high one what it is relative to.
  uintptr_t Encoded(uint8_t encoding, uintptr_t data_base) {
    if (encoding == 0xff) return 0;
    const uintptr_t here = reinterpret_cast<uintptr_t>(at_);
    uintptr_t value = 0;
    switch (encoding & 0x0f) {
      case 0x01:
        value = Unsigned();
        break;
      case 0x02:
        value = Fixed<uint16_t>();
        break;
      case 0x03:
        value = Fixed<uint32_t>();
        break;
      case 0x09:
        value = static_cast<uintptr_t>(Signed());
        break;
      case 0x0a:
        value = static_cast<uintptr_t>(int64_t{Fixed<int16_t>()});
        break;
      case 0x0b:
        value = static_cast<uintptr_t>(int64_t{Fixed<int32_t>()});
        break;
      default:
        value = Fixed<uint64_t>();
        break;
    }
    if (value == 0) return 0;
    switch (encoding & 0x70) {
      case 0x10:
        value += here;
        break;
      case 0x30:
        value += data_base;
        break;
      default:
        break;
    }
    return value;  // indirect encodings (0x80) are for personality routines, which we only skip
  }

 private:
  const uint8_t* at_;
};

// What is known of a register at an address.
struct Rule {
  enum class How : uint8_t { kSame, kSavedAtCfa, kUndefined, kOther };
  How how = How::kSame;
  int32_t offset = 0;                   // kSavedAtCfa: from the CFA
  const uint8_t* expression = nullptr;  // kOther, if it is an expression
};

struct UnwindState {
  unsigned cfa_register = 0;
  int64_t cfa_offset = 0;
  const uint8_t* cfa_expression = nullptr;
  Rule rbp, return_address;
  bool registers_load = false;  // the place of any register is found by loading, or in a way not known here
  bool is_signal_frame = false;

  Rule* RuleOf(uint64_t reg) {
    if (reg == kRbpRegister) return &rbp;
    if (reg == kReturnAddressRegister) return &return_address;
    return nullptr;  // no other register takes part in unwinding
  }
};

struct CommonInfo {
  uint64_t code_factor = 1;
  int64_t data_factor = 1;
  uint8_t pointer_encoding = 0;
  bool has_augmentation = false;
  bool is_signal_frame = false;
  const uint8_t* program = nullptr;
  const uint8_t* end = nullptr;
};

bool ParseCommonInfo(const uint8_t* record, uintptr_t data_base, CommonInfo* out) {
  Cursor c(record);
  const uint32_t length = c.Fixed<uint32_t>();
  if (length == 0 || length == 0xffffffff) return false;  // 64-bit DWARF does not occur in .eh_frame
  out->end = c.at() + length;
  if (c.Fixed<uint32_t>() != 0) return false;  // not a CIE
  const uint8_t version = c.Fixed<uint8_t>();
  const char* augmentation = reinterpret_cast<const char*>(c.at());
  c.Skip(strlen(augmentation) + 1);
  out->code_factor = c.Unsigned();
  out->data_factor = c.Signed();
  const uint64_t return_register = version == 1 ? c.Fixed<uint8_t>() : c.Unsigned();
  if (return_register != kReturnAddressRegister) return false;
  if (augmentation[0] == '\0') {
    out->program = c.at();
    return true;
  }
  if (augmentation[0] != 'z') return false;
  out->has_augmentation = true;
  const uint64_t bytes = c.Unsigned();
  out->program = c.at() + bytes;
  for (const char* a = augmentation + 1; *a != '\0'; ++a) {
    switch (*a) {
      case 'R':
        out->pointer_encoding = c.Fixed<uint8_t>();
        break;
      case 'L':
        c.Skip(1);
        break;
      case 'P': {
        const uint8_t encoding = c.Fixed<uint8_t>();
        c.Encoded(encoding, data_base);
        break;
      }
      case 'S':
        out->is_signal_frame = true;
        break;
      default:
        return false;
    }
  }
  return true;
}

// "bregN M", alone.
bool IsRegisterPlusConstant(const uint8_t* expression) {
  Cursor c(expression);
  const uint64_t bytes = c.Unsigned();
  const uint8_t* end = c.at() + bytes;
  const uint8_t op = c.Fixed<uint8_t>();
  if (op < 0x70 || op > 0x8f) return false;
  c.Signed();
  return c.at() == end;
}

// Runs call frame instructions until they describe an address beyond `pc`. False: something we do not understand.
bool Run(const uint8_t* program, const uint8_t* end, const CommonInfo& info, uintptr_t location, uintptr_t pc,
         const UnwindState& initial, UnwindState* state) {
  constexpr int kStackDepth = 8;  // compilers use one, and this lies on the program's stack
  UnwindState stack[kStackDepth];
  int depth = 0;
  const auto advance = [&](uint64_t delta) {
    location += delta * info.code_factor;
    return location > pc;
  };
  const auto save = [&](uint64_t reg, int64_t offset) {
    Rule* rule = state->RuleOf(reg);
    if (rule == nullptr) return;
    const bool fits = offset == static_cast<int32_t>(offset);
    *rule = {fits ? Rule::How::kSavedAtCfa : Rule::How::kOther, fits ? static_cast<int32_t>(offset) : 0, nullptr};
  };
  const auto set = [&](uint64_t reg, Rule::How how, const uint8_t* expression = nullptr) {
    if (Rule* rule = state->RuleOf(reg)) *rule = {how, 0, expression};
  };
  const auto restore = [&](uint64_t reg) {
    if (reg == kRbpRegister) state->rbp = initial.rbp;
    if (reg == kReturnAddressRegister) state->return_address = initial.return_address;
  };
  Cursor c(program);
  while (c.at() < end) {
    const uint8_t op = c.Fixed<uint8_t>();
    const uint8_t low = op & 0x3f;
    switch (op & 0xc0) {
      case 0x40:  // advance_loc
        if (advance(low)) return true;
        continue;
      case 0x80:
        save(low, static_cast<int64_t>(c.Unsigned()) * info.data_factor);
        continue;  // offset
      case 0xc0:
        restore(low);
        continue;
      default:
        break;
    }
    switch (op) {
      case 0x00:
        break;    // nop
      case 0x01:  // set_loc
        location = c.Encoded(info.pointer_encoding, 0);
        if (location > pc) return true;
        break;
      case 0x02:
        if (advance(c.Fixed<uint8_t>())) return true;
        break;
      case 0x03:
        if (advance(c.Fixed<uint16_t>())) return true;
        break;
      case 0x04:
        if (advance(c.Fixed<uint32_t>())) return true;
        break;
      case 0x05: {  // offset_extended
        const uint64_t reg = c.Unsigned();
        save(reg, static_cast<int64_t>(c.Unsigned()) * info.data_factor);
        break;
      }
      case 0x06:
        restore(c.Unsigned());
        break;
      case 0x07:
        set(c.Unsigned(), Rule::How::kUndefined);
        break;
      case 0x08:
        set(c.Unsigned(), Rule::How::kSame);
        break;
      case 0x09: {  // register: the value is in another one
        const uint64_t reg = c.Unsigned();
        c.Unsigned();
        set(reg, Rule::How::kOther);
        break;
      }
      case 0x0a:  // remember_state
        if (depth == kStackDepth) return false;
        stack[depth++] = *state;
        break;
      case 0x0b:  // restore_state
        if (depth == 0) return false;
        *state = stack[--depth];
        break;
      case 0x0c:  // def_cfa
        state->cfa_register = static_cast<unsigned>(c.Unsigned());
        state->cfa_offset = static_cast<int64_t>(c.Unsigned());
        state->cfa_expression = nullptr;
        break;
      case 0x0d:  // def_cfa_register
        state->cfa_register = static_cast<unsigned>(c.Unsigned());
        state->cfa_expression = nullptr;
        break;
      case 0x0e:
        state->cfa_offset = static_cast<int64_t>(c.Unsigned());
        break;
      case 0x0f: {  // def_cfa_expression
        state->cfa_expression = c.at();
        const uint64_t bytes = c.Unsigned();
        c.Skip(bytes);
        break;
      }
      case 0x10:    // expression
      case 0x16: {  // val_expression
        const uint64_t reg = c.Unsigned();
        const uint8_t* expression = c.at();
        const uint64_t bytes = c.Unsigned();
        c.Skip(bytes);
        set(reg, Rule::How::kOther, op == 0x10 ? expression : nullptr);
        if (!IsRegisterPlusConstant(expression)) state->registers_load = true;
        break;
      }
      case 0x11: {  // offset_extended_sf
        const uint64_t reg = c.Unsigned();
        save(reg, c.Signed() * info.data_factor);
        break;
      }
      case 0x12:  // def_cfa_sf
        state->cfa_register = static_cast<unsigned>(c.Unsigned());
        state->cfa_offset = c.Signed() * info.data_factor;
        state->cfa_expression = nullptr;
        break;
      case 0x13:
        state->cfa_offset = c.Signed() * info.data_factor;
        break;
      case 0x14:    // val_offset
      case 0x15: {  // val_offset_sf
        const uint64_t reg = c.Unsigned();
        c.Unsigned();
        set(reg, Rule::How::kOther);
        break;
      }
      case 0x2e:
        c.Unsigned();
        break;      // GNU_args_size: for exception handling only
      case 0x2f: {  // GNU_negative_offset_extended
        const uint64_t reg = c.Unsigned();
        save(reg, -static_cast<int64_t>(c.Unsigned()) * info.data_factor);
        break;
      }
      default:
        return false;
    }
  }
  return true;
}

// A function that realigns its stack keeps a pointer to the old one: "breg6 (rbp) N, deref".
bool IsDerefRbp(const uint8_t* expression, int64_t* offset) {
  Cursor c(expression);
  const uint64_t bytes = c.Unsigned();
  const uint8_t* end = c.at() + bytes;
  if (bytes < 3 || c.Fixed<uint8_t>() != 0x76) return false;  // DW_OP_breg6
  *offset = c.Signed();
  return c.at() + 1 == end && *c.at() == 0x06;  // DW_OP_deref
}

// "breg6 (rbp) 0": such a function saves the caller's rbp where its own points.
bool IsAtRbp(const uint8_t* expression) {
  return expression != nullptr && expression[0] == 2 && expression[1] == 0x76 && expression[2] == 0x00;
}

CfiRow ToRow(const UnwindState& state) {
  constexpr CfiRow kComplex = CfiRow::MakeSpecial(CfiRow::Special::kComplex);
  if (state.return_address.how == Rule::How::kUndefined) return CfiRow::MakeSpecial(CfiRow::Special::kEnd);
  if (state.return_address.how != Rule::How::kSavedAtCfa || state.return_address.offset != -8) return kComplex;
  if (state.cfa_expression != nullptr) {
    int64_t offset = 0;
    if (!IsDerefRbp(state.cfa_expression, &offset) || !IsAtRbp(state.rbp.expression)) return kComplex;
    return CfiRow::Make(CfiRow::Kind::kDerefRbp, offset, 0);
  }
  if (state.cfa_register != kRspRegister && state.cfa_register != kRbpRegister) return kComplex;
  const auto kind = state.cfa_register == kRspRegister ? CfiRow::Kind::kRsp : CfiRow::Kind::kRbp;
  switch (state.rbp.how) {
    case Rule::How::kSame:
      return CfiRow::Make(kind, state.cfa_offset, 8);
    // Not what rbp holds here: by that one can come to a frame that is none.
    case Rule::How::kUndefined:
      return CfiRow::Make(kind, state.cfa_offset, 0);
    case Rule::How::kSavedAtCfa:
      if (state.rbp.offset > -16) return kComplex;
      return CfiRow::Make(kind, state.cfa_offset, -state.rbp.offset);
    case Rule::How::kOther:
      break;
  }
  return kComplex;
}

// The FDE for `pc`, from the sorted table of .eh_frame_hdr. Null if no function there covers it.
const uint8_t* FindDescription(const uint8_t* header, uintptr_t pc) {
  const uintptr_t base = reinterpret_cast<uintptr_t>(header);
  Cursor c(header + 4);
  c.Encoded(header[1], base);  // where .eh_frame begins
  const uint64_t count = c.Encoded(header[2], base);
  struct Entry {
    int32_t function, description;  // relative to the header
  };
  const auto* table = reinterpret_cast<const Entry*>(c.at());
  const auto function = [&](uint64_t i) { return base + static_cast<uintptr_t>(int64_t{table[i].function}); };
  if (count == 0 || pc < function(0)) return nullptr;
  uint64_t low = 0, high = count;
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    (function(middle) <= pc ? low : high) = middle;
  }
  return header + table[low].description;
}

// What is described of the frame that stands at `pc`. False: nothing that we understand, and `*otherwise` says why.
bool ReadState(uintptr_t pc, UnwindState* state, CfiRow* otherwise, const link_map** object_map) {
  constexpr CfiRow kNoInfo = CfiRow::MakeSpecial(CfiRow::Special::kNoInfo);
  *otherwise = kNoInfo;
  dl_find_object object;
  if (_dl_find_object(reinterpret_cast<void*>(pc), &object) != 0 || object.dlfo_eh_frame == nullptr) return false;
  *object_map = object.dlfo_link_map;
  *otherwise = CfiRow::MakeSpecial(CfiRow::Special::kComplex);
  const auto* header = static_cast<const uint8_t*>(object.dlfo_eh_frame);
  constexpr uint8_t kVersion = 1, kTableEncoding = 0x3b;  // data-relative, signed 4 bytes: what every linker writes
  if (header[0] != kVersion || header[3] != kTableEncoding) return false;
  const uintptr_t base = reinterpret_cast<uintptr_t>(header);
  const uint8_t* description = FindDescription(header, pc);
  if (description == nullptr) {
    *otherwise = kNoInfo;
    return false;
  }
  Cursor c(description);
  const uint32_t length = c.Fixed<uint32_t>();
  if (length == 0 || length == 0xffffffff) return false;
  const uint8_t* end = c.at() + length;
  const uint8_t* common_pointer = c.at();
  const uint8_t* common = common_pointer - c.Fixed<int32_t>();
  CommonInfo info;
  if (!ParseCommonInfo(common, base, &info)) return false;
  const uintptr_t start = c.Encoded(info.pointer_encoding, base);
  const uintptr_t bytes = c.Encoded(info.pointer_encoding & 0x0f, 0);
  if (pc < start || pc - start >= bytes) {
    *otherwise = kNoInfo;
    return false;
  }
  if (info.has_augmentation) {
    const uint64_t augmentation_bytes = c.Unsigned();
    c.Skip(augmentation_bytes);
  }
  state->is_signal_frame = info.is_signal_frame;
  if (!Run(info.program, info.end, info, 0, ~uintptr_t{0}, *state, state)) return false;
  const UnwindState initial = *state;
  return Run(c.at(), end, info, start, pc, initial, state);
}

CfiRow Describe(uintptr_t pc) {
  UnwindState state;
  CfiRow otherwise;
  const link_map* object = nullptr;
  const bool is_described = ReadState(pc, &state, &otherwise, &object);
  if (state.is_signal_frame) return CfiRow::MakeSpecial(CfiRow::Special::kSignal);
  if (!is_described) return otherwise;
  const CfiRow row = ToRow(state);
  if (Faulty(Fault::kWrongRow) && row.kind() == CfiRow::Kind::kRsp && *object->l_name == '\0') {
    return CfiRow::Make(row.kind(), static_cast<int64_t>(row.cfa_offset()) + 16, static_cast<int64_t>(row.rbp_depth()));
  }
  return row;
}

// Evaluates an expression as far as loads matter: false if one of them would fault, or what it does is not known here.
class Evaluation {
 public:
  Evaluation(uintptr_t (*register_of)(void*, unsigned), void* frame) : register_of_(register_of), frame_(frame) {}

  bool LoadsWhatIsThere(const uint8_t* expression) {
    Cursor c(expression);
    const uint64_t bytes = c.Unsigned();
    const uint8_t* end = c.at() + bytes;
    while (c.at() < end) {
      if (!Do(c.Fixed<uint8_t>(), &c)) return false;
    }
    return true;
  }

 private:
  bool Do(uint8_t op, Cursor* c) {
    if (op >= 0x30 && op <= 0x4f) return Push(op - 0x30u);  // lit
    if (op >= 0x70 && op <= 0x80) {                         // breg: the first 16, and the return address
      const uintptr_t value = register_of_(frame_, op - 0x70u);
      return Push(value + static_cast<uintptr_t>(c->Signed()));
    }
    switch (op) {
      case 0x06:  // deref
        if (depth_ == 0 || !IsReadable(stack_[depth_ - 1])) return false;
        memcpy(&stack_[depth_ - 1], reinterpret_cast<const void*>(stack_[depth_ - 1]), sizeof stack_[0]);
        return true;
      case 0x08:
        return Push(c->Fixed<uint8_t>());
      case 0x09:
        return Push(static_cast<uintptr_t>(int64_t{c->Fixed<int8_t>()}));
      case 0x0a:
        return Push(c->Fixed<uint16_t>());
      case 0x0b:
        return Push(static_cast<uintptr_t>(int64_t{c->Fixed<int16_t>()}));
      case 0x0c:
        return Push(c->Fixed<uint32_t>());
      case 0x0d:
        return Push(static_cast<uintptr_t>(int64_t{c->Fixed<int32_t>()}));
      case 0x10:
        return Push(c->Unsigned());
      case 0x11:
        return Push(static_cast<uintptr_t>(c->Signed()));
      case 0x23:  // plus_uconst
        return depth_ != 0 && Push(stack_[--depth_] + c->Unsigned());
      default:
        break;
    }
    if (depth_ < 2) return false;
    const uintptr_t right = stack_[--depth_], left = stack_[--depth_];
    switch (op) {
      case 0x1a:
        return Push(left & right);
      case 0x1c:
        return Push(left - right);
      case 0x22:
        return Push(left + right);
      case 0x24:
        return Push(right < 64 ? left << right : 0);
      case 0x2a:  // ge, signed
        return Push(static_cast<int64_t>(left) >= static_cast<int64_t>(right) ? 1 : 0);
      default:
        return false;
    }
  }
  bool Push(uintptr_t value) {
    if (depth_ == kRoom) return false;
    stack_[depth_++] = value;
    return true;
  }

  static constexpr int kRoom = 8;
  uintptr_t (*register_of_)(void*, unsigned);
  void* frame_;
  uintptr_t stack_[kRoom] = {};
  int depth_ = 0;
};

constexpr uintptr_t kFirstCodeAddress = 4096, kLastCodeAddress = (uintptr_t{1} << 47) - 1;

// Whether the instruction before `pc` can be a call. `mapped`: it is known that there is code.
bool FollowsCall(uintptr_t pc, bool mapped) {
#if defined(__x86_64__)
  constexpr uintptr_t kLongest = 7;
  if (pc < kFirstCodeAddress || pc > kLastCodeAddress) return false;
  const bool crosses_page = (pc - kLongest) / kPage != (pc - 1) / kPage;
  if ((!mapped || crosses_page) && !IsReadable(pc - 8)) return false;
  unsigned char code[kLongest];  // the last bytes before pc
  memcpy(code, reinterpret_cast<const void*>(pc - kLongest), kLongest);
  if (code[2] == 0xe8) return true;  // call rel32
  constexpr uintptr_t kLengths[] = {2, 3, 4, 6, 7};
  for (const uintptr_t bytes : kLengths) {  // call r/m64: ff /2, and what the addressing takes
    if (code[kLongest - bytes] == 0xff && (code[kLongest - bytes + 1] & 0x38) == 0x10) return true;
  }
  return false;
#else
  return mapped || pc >= kFirstCodeAddress;
#endif
}

}  // namespace

CfiRow CompileCfiRow(uintptr_t return_address) {
  const CfiRow row = Describe(return_address - 1);                                    // the call, not what follows it
  if (row.is(CfiRow::Special::kEnd) || row.is(CfiRow::Special::kSignal)) return row;  // not entered by a call
  if (FollowsCall(return_address, row.IsDescribed())) return row;
  return CfiRow::MakeSpecial(row.IsDescribed() ? CfiRow::Special::kNoCall : CfiRow::Special::kNoCode);
}

CfiRow CompileInterruptedCfiRow(uintptr_t pc) { return Describe(pc); }

FrameExpressions CheckExpressions(uintptr_t instruction, uintptr_t (*register_of)(void* frame, unsigned number),
                                  void* frame) {
  UnwindState state;
  CfiRow otherwise;
  const link_map* object = nullptr;
  if (!ReadState(instruction, &state, &otherwise, &object)) {
    // Where nothing is described, nobody evaluates anything.
    return {otherwise.is(CfiRow::Special::kNoInfo), state.is_signal_frame};
  }
  const bool sound = !state.registers_load && (state.cfa_expression == nullptr ||
                                               Evaluation(register_of, frame).LoadsWhatIsThere(state.cfa_expression));
  return {sound, state.is_signal_frame};
}

}  // namespace allocline
