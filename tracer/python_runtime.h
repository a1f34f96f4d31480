// The CPython interpreter in this process: where it is, which version, and where its structures keep what we read.
//
// An interpreter is known by its exports (PyMem_SetAllocator), in the executable or in a shared library, also in one
// that is loaded later (Tracer::OnNewObject). There is one table of offsets for each minor version from 3.8 on; inside
// a minor version none of them has ever moved. Since 3.13 the runtime itself says them (_Py_DebugOffsets), and then
// that is what counts. Nothing is taken for granted all the same, for distributions patch: before the first frame is
// used, a whole stack is read with every access checked, and each object on it must be of the type it should be
// (python_frames .h, LookAtPythonFrames()).
//
// What we call of Python inside an allocation are two getters of the thread state, which read memory and do nothing
// else; but since 3.12 what they read is thread-local, and of a library that came by dlopen the loader allocates that
// at a thread's first look (AllocatesForState()). All else is read from memory; none of it changes while the calling
// thread's own stack holds on to it.
//
// Threads: filled in by AttachPython(), once, and never changed after.
#ifndef ALLOCLINE_TRACER_PYTHON_RUNTIME_H_
#define ALLOCLINE_TRACER_PYTHON_RUNTIME_H_

#include <link.h>

#include <cstdint>

#include "recording/format.h"

namespace allocline {

// Byte offsets. What a version does not have is 0.
struct PythonLayout {
  // PyThreadState
  uint16_t top;        // the innermost frame; 3.11 and 3.12: the innermost _PyCFrame
  uint16_t thread_id;  // pthread_self() of its thread; needed up to 3.11
  uint16_t chunk;      // 3.11 to 3.14: the chunk of the stack that its frames lie on
  // _PyCFrame, 3.11 and 3.12: one for each call of the evaluation loop, and in its stack frame
  bool has_c_frames;
  uint16_t c_frame_top, c_frame_previous;
  // A frame: PyFrameObject up to 3.10, then _PyInterpreterFrame
  uint16_t previous, code;
  uint16_t instruction;  // an index (4 bytes) up to 3.10, then a pointer into the code
  bool instruction_is_pointer;
  uint64_t instruction_mask;      // of 8 bytes there
  uint8_t bytes_per_instruction;  // what an index counts
  uint16_t owner;                 // 1 byte: FRAME_OWNED_BY_...; 3.11 has is_entry in the byte in front of it
  bool has_entry_mark;            // 3.11
  bool has_base_frame;            // 3.15: behind the outermost frame, or alone, lies one that is none
  uint8_t first_shim_owner;       // from this owner on it is no Python frame, but marks a call of the evaluation loop
  // PyCodeObject
  uint16_t co_filename, co_name, co_line_table, co_first_line, co_code;
  uint16_t co_first_traceable;  // frames that stand before it are not set up yet
  format::LineTableKind line_table_kind;
  // PyObject, str and bytes
  uint16_t type, str_length, str_state, str_ascii, str_compact, bytes_size, bytes_data;
  uint32_t arena_bytes;  // of pymalloc
};

// What is known of a layout when code is compiled for it, so that the usual way has it in its instructions.
enum class PythonForm : uint8_t {
  kIndices,   // 3.8 to 3.10
  k3_11,      //
  k3_12,      // 3.12 to 3.14
  kPointers,  // whatever has pointers to instructions
};
template <PythonForm kForm>
constexpr bool HasPointers() {
  return kForm != PythonForm::kIndices;
}
// Whether a variable says whose state it is that holds the GIL; else each thread knows its own.
template <PythonForm kForm>
constexpr bool HasHolder() {
  return kForm == PythonForm::kIndices || kForm == PythonForm::k3_11;
}
template <PythonForm kForm>
constexpr uint16_t PreviousIn(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 ? 48 : kForm == PythonForm::k3_12 ? 8 : layout.previous;
}
template <PythonForm kForm>
constexpr uint16_t InstructionIn(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 || kForm == PythonForm::k3_12 ? 56 : layout.instruction;
}
template <PythonForm kForm>
constexpr uint16_t TopIn(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 ? 56 : layout.top;
}
template <PythonForm kForm>
constexpr uint16_t ThreadIdIn(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 ? 152 : layout.thread_id;
}
template <PythonForm kForm>
constexpr uint16_t ChunkIn(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 ? 296 : kForm == PythonForm::kIndices ? 0 : layout.chunk;
}
template <PythonForm kForm>
constexpr bool HasCFrames(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 || (kForm != PythonForm::kIndices && layout.has_c_frames);
}
template <PythonForm kForm>
constexpr uint16_t CFrameTopIn(const PythonLayout& layout) {
  return kForm == PythonForm::k3_11 ? 8 : layout.c_frame_top;
}
template <PythonForm kForm>
constexpr bool HasFramesOf(const PythonLayout& layout) {
  return layout.instruction_is_pointer == HasPointers<kForm>() && layout.previous == PreviousIn<kForm>(layout) &&
         layout.instruction == InstructionIn<kForm>(layout);
}
template <PythonForm kForm>
constexpr bool IsOfForm(const PythonLayout& layout) {
  return HasFramesOf<kForm>(layout) && layout.top == TopIn<kForm>(layout) &&
         layout.thread_id == ThreadIdIn<kForm>(layout) && layout.chunk == ChunkIn<kForm>(layout) &&
         layout.has_c_frames == HasCFrames<kForm>(layout) && layout.c_frame_top == CFrameTopIn<kForm>(layout);
}

struct PythonRuntime {
  uint32_t version = 0;  // PY_VERSION_HEX; 0: there is none
  PythonLayout layout{};
  PythonForm form = PythonForm::kPointers;
  const link_map* object = nullptr;
  // PyThreadState* of the thread that holds the GIL, up to 3.11. Later each thread has its own.
  const uintptr_t* holder = nullptr;
  void* (*attached_thread_state)() = nullptr;  // PyThreadState_GetUnchecked and its forerunner; not up to 3.11
  void* (*own_thread_state)() = nullptr;       // PyGILState_GetThisThreadState: also of threads without the GIL
  int (*is_finalizing)() = nullptr;
  int (*is_initialized)() = nullptr;
  const int* refuses_calls = nullptr;  // 3.8's: not 0 when it is about to end, and asked for a call prints an error
  uintptr_t code_type = 0, str_type = 0, bytes_type = 0;
  uintptr_t evaluation_start = 0, evaluation_end = 0;  // _PyEval_EvalFrameDefault
  uintptr_t loader_start = 0, loader_end = 0;          // the dynamic linker, if thread states are thread-local

  // Whether the calling thread holds the GIL. In a sub-interpreter it may say no up to 3.11.
  bool IsHolder() const {
    if (holder == nullptr) return attached_thread_state() != nullptr;
    const auto own = reinterpret_cast<uintptr_t>(own_thread_state());
    return own != 0 && own == __atomic_load_n(holder, __ATOMIC_RELAXED);
  }
  uint32_t minor() const { return version >> 16 & 0xff; }
  bool IsEvaluation(uintptr_t pc) const { return pc - 1 - evaluation_start < evaluation_end - evaluation_start; }
  // Of a call of malloc in the middle of an event: whether it is the loader's, for the variables that a getter reads.
  bool AllocatesForState(uintptr_t caller) const { return caller - loader_start < loader_end - loader_start; }
};

[[gnu::visibility("hidden")]] extern PythonRuntime g_python;

// Whether there is a CPython of whatever version in the object.
bool HoldsPython(const link_map* object);

// Whether there is PyPy, whose API has other names. It keeps its frames otherwise, and has a garbage collector of its
// own for its objects.
bool HoldsPyPy(const link_map* object);

// Fills g_python in. Else gives the PythonBit that says why not.
uint32_t AttachPython(const link_map* object);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_RUNTIME_H_
