#include "tracer/python_runtime.h"

#include <string.h>

#include "tracer/elf_exports.h"
#include "tracer/loaded_object.h"

extern "C" void* __tls_get_addr(void*);

namespace allocline {

PythonRuntime g_python;

namespace {

using format::LineTableKind;

// By offsetof() on each version's own headers, for machines with 64-bit pointers.
constexpr PythonLayout kCommon = [] {
  PythonLayout l{};
  l.type = 8;
  l.str_length = 16;
  l.str_state = 32;
  l.bytes_size = 16;
  l.bytes_data = 32;
  l.first_shim_owner = 255;
  return l;
}();

constexpr PythonLayout k3_8 = [] {
  PythonLayout l = kCommon;
  l.top = 24;
  l.thread_id = 176;
  l.previous = 24;
  l.code = 32;
  l.instruction = 104;
  l.instruction_mask = 0xffffffff;
  l.bytes_per_instruction = 1;
  l.co_filename = 104;
  l.co_name = 112;
  l.co_line_table = 120;
  l.co_first_line = 40;
  l.line_table_kind = LineTableKind::kLnotab;
  l.str_ascii = 48;
  l.str_compact = 72;
  l.arena_bytes = 256 << 10;
  return l;
}();

constexpr PythonLayout k3_10 = [] {
  PythonLayout l = k3_8;
  l.instruction = 96;
  l.bytes_per_instruction = 2;
  l.line_table_kind = LineTableKind::kLineTable;
  l.arena_bytes = 1 << 20;
  return l;
}();

constexpr PythonLayout k3_11 = [] {
  PythonLayout l = kCommon;
  l.top = 56;
  l.thread_id = 152;
  l.chunk = 296;
  l.has_c_frames = true;
  l.c_frame_top = 8;
  l.c_frame_previous = 16;
  l.previous = 48;
  l.code = 32;
  l.instruction = 56;
  l.instruction_is_pointer = true;
  l.instruction_mask = ~uint64_t{0};
  l.owner = 69;
  l.has_entry_mark = true;
  l.co_filename = 112;
  l.co_name = 128;  // co_qualname, from here on
  l.co_line_table = 136;
  l.co_first_line = 72;
  l.co_first_traceable = 168;
  l.co_code = 184;
  l.line_table_kind = LineTableKind::kLocations;
  l.str_ascii = 48;
  l.str_compact = 72;
  l.arena_bytes = 1 << 20;
  return l;
}();

constexpr PythonLayout k3_12 = [] {
  PythonLayout l = k3_11;
  l.chunk = 232;
  l.c_frame_top = 0;
  l.c_frame_previous = 8;
  l.previous = 8;
  l.code = 0;
  l.owner = 70;
  l.has_entry_mark = false;
  l.first_shim_owner = 3;
  l.co_first_line = 68;
  l.co_first_traceable = 176;
  l.co_code = 192;
  l.str_ascii = 40;
  l.str_compact = 56;
  return l;
}();

static_assert(IsOfForm<PythonForm::kIndices>(k3_8) && IsOfForm<PythonForm::kIndices>(k3_10) &&
              IsOfForm<PythonForm::k3_11>(k3_11) && IsOfForm<PythonForm::k3_12>(k3_12));

// Where _Py_DebugOffsets has what we need, in bytes from its beginning. It differs between minor versions, too.
struct DebugOffsets {
  uint16_t current_frame, previous, code_filename, ob_type, bytes_size, str_state;
};
constexpr DebugOffsets k3_13 = {184, 232, 280, 360, 520, 544};
constexpr DebugOffsets k3_14 = {208, 256, 320, 408, 600, 624};
constexpr DebugOffsets k3_15 = {208, 320, 384, 472, 696, 720};

// 0, or the PythonBit that says why not.
uint32_t ReadDebugOffsets(const char* runtime, uint32_t minor, PythonLayout* layout) {
  const DebugOffsets& at = minor == 13 ? k3_13 : minor == 14 ? k3_14 : k3_15;
  const auto word = [runtime](uint64_t offset) {
    uint64_t value = 0;
    memcpy(&value, runtime + offset, sizeof value);
    return value;
  };
  const auto small = [&word](uint64_t offset) { return static_cast<uint16_t>(word(offset)); };
  if (memcmp(runtime, "xdebugpy", 8) != 0 || word(8) >> 16 != (0x300 | minor)) return format::kPythonBadLayout;
  if (word(16) != 0) return format::kPythonFreeThreaded;
  PythonLayout l = k3_12;
  l.has_c_frames = false;
  l.top = small(at.current_frame);
  l.chunk = minor < 15 ? small(at.current_frame + 24) : 0;
  l.previous = small(at.previous);
  l.code = small(at.previous + 8);
  l.instruction = small(at.previous + 16);
  l.owner = small(at.previous + 32);
  l.co_filename = small(at.code_filename);
  l.co_name = small(at.code_filename + 16);
  l.co_line_table = small(at.code_filename + 24);
  l.co_first_line = small(at.code_filename + 32);
  l.co_code = small(at.code_filename + 64);
  if (l.co_code < 16) return format::kPythonBadLayout;
  l.co_first_traceable = static_cast<uint16_t>(l.co_code - 16);
  l.type = small(at.ob_type);
  l.bytes_size = small(at.bytes_size);
  l.bytes_data = small(at.bytes_size + 8);
  l.str_state = small(at.str_state);
  l.str_length = small(at.str_state + 8);
  l.str_ascii = small(at.str_state + 16);
  l.str_compact = static_cast<uint16_t>(l.str_ascii + 16);
  *layout = l;
  return 0;
}

// Since 3.11 it is a variable; before, a text that begins with it.
uint32_t FindVersion(const link_map* object) {
  const Export number = FindExport(object, "Py_Version");
  if (number.address != 0) return static_cast<uint32_t>(*reinterpret_cast<const unsigned long*>(number.address));
  const char* (*text)() = nullptr;
  if (!BindExport(object, "Py_GetVersion", text)) return 0;
  uint32_t parts[3] = {};
  const char* p = text();
  for (int i = 0; p != nullptr && i < 3; ++i) {
    for (; *p >= '0' && *p <= '9'; ++p) parts[i] = parts[i] * 10 + static_cast<uint32_t>(*p - '0');
    if (*p != '.') break;
    ++p;
  }
  if (parts[0] == 0) return 0;
  constexpr uint32_t kFinalRelease = 0xf0;
  return parts[0] << 24 | (parts[1] & 0xff) << 16 | (parts[2] & 0xff) << 8 | kFinalRelease;
}

// Of _PyRuntime.gilstate.tstate_current.
uint64_t OffsetOfHolder(uint32_t minor) { return minor == 8 ? 1368 : minor == 11 ? 576 : 568; }
// Of 3.8's _PyRuntime.ceval.pending.finishing.
constexpr uint64_t kFinishing = 600;

}  // namespace

bool HoldsPython(const link_map* object) { return FindExport(object, "PyMem_SetAllocator").address != 0; }

bool HoldsPyPy(const link_map* object) { return FindExport(object, "PyPyObject_Malloc").address != 0; }

uint32_t AttachPython(const link_map* object) {
  PythonRuntime python;
  python.object = object;
  python.version = FindVersion(object);
  g_python.version = python.version;
  g_python.object = object;
  const uint32_t minor = python.minor();
  const uintptr_t runtime = FindExport(object, "_PyRuntime").address;
  if (python.version >> 24 != 3 || minor < 8 || minor > 15) return format::kPythonUnknownVersion;
  if (runtime == 0) return format::kPythonBadLayout;
  if (minor >= 13) {
    const uint32_t refused = ReadDebugOffsets(reinterpret_cast<const char*>(runtime), minor, &python.layout);
    if (refused != 0) return refused;
    python.layout.has_base_frame = minor >= 15;
  } else {
    python.layout = minor == 12 ? k3_12 : minor == 11 ? k3_11 : minor == 10 ? k3_10 : k3_8;
  }
  python.form = minor <= 10 ? PythonForm::kIndices : minor == 11 ? PythonForm::k3_11 : PythonForm::k3_12;
  if (minor > 11 && !IsOfForm<PythonForm::k3_12>(python.layout)) python.form = PythonForm::kPointers;
  if (minor <= 11) {
    python.holder = reinterpret_cast<const uintptr_t*>(runtime + OffsetOfHolder(minor));
    if (minor == 8) python.refuses_calls = reinterpret_cast<const int*>(runtime + kFinishing);
  } else if (!BindExport(object, minor == 12 ? "_PyThreadState_UncheckedGet" : "PyThreadState_GetUnchecked",
                         python.attached_thread_state)) {
    return format::kPythonBadLayout;
  }
  LoadedObject loader;
  if (python.attached_thread_state != nullptr && FindObject(reinterpret_cast<uintptr_t>(&__tls_get_addr), &loader)) {
    python.loader_start = loader.start;
    python.loader_end = loader.end;
  }
  if (!BindExport(object, "Py_IsFinalizing", python.is_finalizing)) {
    BindExport(object, "_Py_IsFinalizing", python.is_finalizing);
  }
  python.code_type = FindExport(object, "PyCode_Type").address;
  python.str_type = FindExport(object, "PyUnicode_Type").address;
  python.bytes_type = FindExport(object, "PyBytes_Type").address;
  const Export evaluation = FindExport(object, "_PyEval_EvalFrameDefault");
  python.evaluation_start = evaluation.address;
  python.evaluation_end = evaluation.address + evaluation.bytes;
  const bool complete = BindExport(object, "PyGILState_GetThisThreadState", python.own_thread_state) &&
                        BindExport(object, "Py_IsInitialized", python.is_initialized) && python.code_type != 0 &&
                        python.str_type != 0 && python.bytes_type != 0;
  if (!complete) return format::kPythonBadLayout;
  g_python = python;
  return 0;
}

}  // namespace allocline
