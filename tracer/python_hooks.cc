#include "tracer/python_hooks.h"

#include <errno.h>

#include <iterator>

#include "base/atomic.h"
#include "tracer/elf_exports.h"
#include "tracer/loaded_object.h"
#include "tracer/python_events.h"
#include "tracer/python_next.h"
#include "tracer/tracer.h"

#define HOOK_FRAME static_cast<const HookFrame*>(__builtin_frame_address(0))

namespace allocline {

PythonAllocator g_next_python[kPythonDomains][kPythonLayers];
void (*g_get_python_allocator)(int domain, PythonAllocator*);

namespace {

// PyObjectArenaAllocator.
struct ArenaAllocator {
  void* context;
  void* (*alloc)(void* context, size_t bytes);
  void (*free)(void* context, void* arena, size_t bytes);
};

int g_layers[kPythonDomains];  // so many of them may be in use
ArenaAllocator g_next_arenas;
struct {
  void (*set_allocator)(int domain, const PythonAllocator*);
  void (*get_arenas)(ArenaAllocator*);
  void (*set_arenas)(const ArenaAllocator*);
  int (*add_pending_call)(int (*)(void*), void*);
} g_api;

// Which domains were reached, a bit each: noted while a probe is under way on this thread.
constinit thread_local bool g_probing = false;
constinit thread_local uint32_t g_reached = 0;

using PythonEvent = Tracer::PythonEvent;

// After the call, where it is not the usual one. Out of line: it is rarer, and these are many.
template <PythonForm kForm>
__attribute__((noinline)) void* Record(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  return g_tracer.OnPythonAlloc<kForm>(state, block, bytes, hook);
}

// `call` asks the next allocator.
template <int kDomain, PythonForm kForm, typename Call>
__attribute__((noinline)) void* AllocateOther(size_t bytes, const HookFrame* hook, Call call) {
  if (g_probing) g_reached |= 1u << kDomain;
  ThreadState* state = nullptr;
  switch (g_tracer.BeginPythonEvent(hook, &state)) {
    case PythonEvent::kRecorded: {
      void* block = call();
      return Record<kForm>(state, block, bytes, hook);
    }
    case PythonEvent::kSampled: {
      void* block = call();
      if (block != nullptr) g_tracer.OnSampledPythonAlloc(state, block, hook);
      return block;
    }
    case PythonEvent::kPassedOn:
      break;
  }
  return call();
}

// `kInline`: what follows the call is compiled into the hook, for those that most events come by. Part of the hook, so
// HOOK_FRAME is the hook's; said anew where it is needed, so that it takes up no register over the call.
template <int kDomain, PythonForm kForm, int kLayer, bool kInline, typename Call>
inline __attribute__((always_inline)) void* Allocate(size_t bytes, Call call) {
  ThreadState* state = Tracer::this_thread;
  if (kLayer != 0 || __builtin_expect(state == nullptr || state->gate != Gate::kOpen, 0)) {  // an outer layer is rare
    return AllocateOther<kDomain, kForm>(bytes, HOOK_FRAME, call);
  }
  Tracer::EnterPython(state, HOOK_FRAME);
  void* block = call();
  return kInline ? g_tracer.OnPythonAlloc<kForm>(state, block, bytes, HOOK_FRAME)
                 : Record<kForm>(state, block, bytes, HOOK_FRAME);
}

template <int kDomain, PythonForm kForm, int kLayer>
struct Hooks {
  static const PythonAllocator& next() { return g_next_python[kDomain][kLayer]; }

  static void* Malloc(void*, size_t bytes) {
    return Noted(Allocate<kDomain, kForm, kLayer, kDomain != kRaw>(
        bytes, [bytes] { return next().malloc(next().context, bytes); }));
  }

  static void* Calloc(void*, size_t count, size_t bytes_each) {
    // Python has seen to it that the product fits.
    return Noted(Allocate<kDomain, kForm, kLayer, false>(
        count * bytes_each, [count, bytes_each] { return next().calloc(next().context, count, bytes_each); }));
  }

  // Of a block that may become a thread's state, where the state of the GIL's holder is looked at.
  static void* Noted(void* block) {
    if constexpr (kDomain == kRaw && HasHolder<kForm>()) {
      const ThreadState* state = Tracer::this_thread;
      if (state != nullptr && state->python != nullptr) state->python->NoteRawBlock(block);
    }
    return block;
  }

  static void* Realloc(void*, void* old, size_t bytes) {
    const auto call = [old, bytes] { return next().realloc(next().context, old, bytes); };
    if (old == nullptr) return Allocate<kDomain, kForm, kLayer, false>(bytes, call);
    ThreadState* state = Tracer::this_thread;
    if (kDomain != kRaw && kLayer == 0 && __builtin_expect(state != nullptr && state->gate == Gate::kOpen, 1)) {
      Tracer::UsualPythonBlock taken;
      if (__builtin_expect(g_tracer.TakeUsualPython(state, old, &taken), 1)) {
        Tracer::EnterPython(state, HOOK_FRAME);
        void* block = call();
        if (__builtin_expect(block != nullptr, 1)) {
          if (__builtin_expect(g_tracer.ChargeUsualPython(state, taken), 0)) g_tracer.PublishShare();
        } else {
          Tracer::PutBackUsualPython(taken);
        }
        return Record<kForm>(state, block, bytes, HOOK_FRAME);
      }
    }
    const PythonEvent event = g_tracer.BeginPythonEvent(HOOK_FRAME, &state);
    if (event == PythonEvent::kPassedOn && !g_tracer.TakesFreedPython(state)) return call();
    // The record comes out before the block may move: another thread may be given the old address before we return.
    const Tracer::PythonLeaving leaving =
        g_tracer.TakeOutPython(state, old, /*with_malloc=*/event == PythonEvent::kRecorded);
    void* block = call();
    if (block == nullptr) {
      g_tracer.PutBackPython(state, old, leaving);
      if (event == PythonEvent::kRecorded) Record<kForm>(state, nullptr, bytes, HOOK_FRAME);
      return nullptr;
    }
    g_tracer.ChargePython(state, leaving);
    if (event == PythonEvent::kRecorded) return Record<kForm>(state, block, bytes, HOOK_FRAME);
    if (event == PythonEvent::kSampled) g_tracer.OnSampledPythonAlloc(state, block, HOOK_FRAME);
    return block;
  }
};

template <int kDomain, PythonForm kForm, int kLayer = 0>
void SetLayer(int layer, const PythonAllocator& present) {
  if constexpr (kLayer < kPythonLayers) {
    if (layer != kLayer) return SetLayer<kDomain, kForm, kLayer + 1>(layer, present);
    using Ours = Hooks<kDomain, kForm, kLayer>;
    if (present.malloc == &Ours::Malloc) return;  // certainly there
    g_next_python[kDomain][kLayer] = present;
    const PythonAllocator ours = {present.context, &Ours::Malloc, &Ours::Calloc, &Ours::Realloc,
                                  &FreePython<kDomain, kLayer>};
    g_api.set_allocator(kDomain, &ours);
  }
}

bool IsIn(const link_map* map, const void* function) {
  LoadedObject object;
  return FindObject(reinterpret_cast<uintptr_t>(function), &object) && object.map == map;
}

// Python's own allocators do not call us, but for tracemalloc's, whom we are not asked to wrap while they do.
bool IsPythons(const PythonAllocator& allocator) {
  return IsIn(g_python.object, reinterpret_cast<const void*>(allocator.malloc));
}

// On top of what is there, with functions that it does not call. Should no more of those be left, we stay out.
template <int kDomain, PythonForm kForm>
void WrapBy() {
  PythonAllocator present{};
  g_get_python_allocator(kDomain, &present);
  int layer = g_layers[kDomain];
  if (IsPythons(present)) {
    for (layer = 0; layer < g_layers[kDomain] && g_next_python[kDomain][layer].malloc != present.malloc;) ++layer;
  }
  if (layer == kPythonLayers) return;
  if (layer == g_layers[kDomain]) ++g_layers[kDomain];
  SetLayer<kDomain, kForm>(layer, present);
}

template <int kDomain>
void Wrap() {
  switch (g_python.form) {
    case PythonForm::kIndices:
      return WrapBy<kDomain, PythonForm::kIndices>();
    case PythonForm::k3_11:
      return WrapBy<kDomain, PythonForm::k3_11>();
    case PythonForm::k3_12:
      return WrapBy<kDomain, PythonForm::k3_12>();
    case PythonForm::kPointers:
      return WrapBy<kDomain, PythonForm::kPointers>();
  }
}

// ---------------------------------------------------------------- arenas

void* AllocateArena(void*, size_t bytes) {
  if (bytes != g_python.layout.arena_bytes)
    return g_next_arenas.alloc(g_next_arenas.context, bytes);  // of the data stack
  const Tracer::PythonInside inside(HOOK_FRAME);
  void* arena = g_next_arenas.alloc(g_next_arenas.context, bytes);
  if (arena != nullptr) g_tracer.OnPythonArena(arena, bytes);
  return arena;
}

void FreeArena(void*, void* arena, size_t bytes) {
  if (bytes != g_python.layout.arena_bytes) return g_next_arenas.free(g_next_arenas.context, arena, bytes);
  const Tracer::PythonInside inside(HOOK_FRAME);
  g_tracer.OnPythonArenaGone(arena, bytes);
  g_next_arenas.free(g_next_arenas.context, arena, bytes);
}

// Nobody wraps these, so that ours are there tells that we are.
void WrapArenas() {
  ArenaAllocator present{};
  g_api.get_arenas(&present);
  if (present.alloc == &AllocateArena) return;
  g_next_arenas = present;
  const ArenaAllocator ours = {present.context, AllocateArena, FreeArena};
  g_api.set_arenas(&ours);
}

// ---------------------------------------------------------------- the check

// Small for all, small for Python, larger than pymalloc's blocks and than most pools'. None that malloc would map:
// glibc learns from the free of one what to map. Of Python's own allocators the first is enough: they treat all sizes
// alike, and where tracemalloc is at work, the program sees in its figures what we ask for.
constexpr size_t kProbes[] = {16, 400, 5000, 65536};

template <int kDomain>
bool AllComesByUs(const char* allocate, const char* release) {
  void* (*malloc)(size_t) = nullptr;
  void (*free)(void*) = nullptr;
  if (!BindExport(g_python.object, allocate, malloc) || !BindExport(g_python.object, release, free)) return true;
  PythonAllocator present{};
  g_get_python_allocator(kDomain, &present);
  const size_t probes = IsPythons(present) ? 1 : std::size(kProbes);
  bool all = true;
  for (size_t i = 0; i < probes; ++i) {
    g_probing = true;
    g_reached = 0;
    void* block = malloc(kProbes[i]);
    g_probing = false;
    free(block);
    all = all && (g_reached & (1u << kDomain)) != 0;
  }
  return all;
}

// Sees to it that all of the domain comes by us. False if it did not.
template <int kDomain>
bool StayIn(const char* allocate, const char* release) {
  if (AllComesByUs<kDomain>(allocate, release)) return true;
  Wrap<kDomain>();
  return false;
}

// With the GIL, on the main thread, between two instructions of Python code. What is allocated here is not recorded.
int Check(void*) {
  g_tracer.OnPythonCheck();
  const Tracer::Ignored ignored;
  if (!ignored.possible()) return 0;
  StayIn<kRaw>("PyMem_RawMalloc", "PyMem_RawFree");
  const bool mem = StayIn<kMem>("PyMem_Malloc", "PyMem_Free");
  const bool obj = StayIn<kObj>("PyObject_Malloc", "PyObject_Free");
  WrapArenas();
  // What went by RAW meanwhile came to malloc's hooks.
  if (!mem || !obj) g_tracer.OnPythonHooksReplaced();
  return 0;
}

}  // namespace

bool InstallPythonHooks() {
  const link_map* python = g_python.object;
  if (!BindExport(python, "PyMem_GetAllocator", g_get_python_allocator) ||
      !BindExport(python, "PyMem_SetAllocator", g_api.set_allocator) ||
      !BindExport(python, "PyObject_GetArenaAllocator", g_api.get_arenas) ||
      !BindExport(python, "PyObject_SetArenaAllocator", g_api.set_arenas)) {
    return false;
  }
  BindExport(python, "Py_AddPendingCall", g_api.add_pending_call);
  WrapArenas();
  Wrap<kRaw>();
  Wrap<kMem>();
  Wrap<kObj>();
  return true;
}

// Py_AddPendingCall() may be called from anywhere, it is said. What it does inside malloc:
//   - It takes the lock of the queue, for a few instructions. Nobody who has it allocates or frees, or waits for
//     anything but processor time, so that no thread waits here for one that waits for us. A thread that has it itself
//     is in Python's code for the queue, which allocates nothing. (A signal handler that allocates just there would
//     wait for ever; CPython's own handlers do not.)
//   - The lock is a mutex of 3.13's own kind, where whoever finds it taken gives up the GIL to wait. A caller that
//     comes from PyMem_RawMalloc does not expect that. But those who take it have the GIL, but for other libraries'
//     callers and interpreters with a GIL of their own.
//   - Up to 3.11 it reads the state of whoever holds the GIL, to find the interpreter. Who does not hold it himself
//     might read that of a thread that is just ending.
//   - 3.8 refuses calls once it has begun to end, before Py_IsInitialized() says so, by printing an exception: it
//     allocates then, and needs the GIL.
//   - The interpreter must not end meanwhile. It ends with the GIL.
// So only who holds the GIL calls it. Those who allocate native memory for Python do, sooner or later.
bool SchedulePythonCheck() {
  if (g_api.add_pending_call == nullptr) return true;
  if (g_python.is_initialized() == 0 || !g_python.IsHolder()) return false;
  if (g_python.refuses_calls != nullptr && LoadRelaxed(*g_python.refuses_calls) != 0) return false;
  const int error = errno;
  const bool scheduled = g_api.add_pending_call(Check, nullptr) == 0;
  errno = error;
  return scheduled;
}

}  // namespace allocline
