// What gives blocks of Python back. As in preload_free.cc the record is cleared before, and the last call is a jump.
#include "tracer/python_events.h"
#include "tracer/python_next.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

using Freed = Tracer::Freed;

template <int kDomain, int kLayer>
inline __attribute__((always_inline)) void FreeByNext(void* block) {
  const PythonAllocator& next = g_next_python[kDomain][kLayer];
  next.free(next.context, block);
}

// These two have the hook's arguments, so that it need not move any.
template <int kDomain, int kLayer>
__attribute__((noinline)) void FreeOther(void*, void* block) {
  const bool ends = kDomain == kRaw && g_tracer.OnRawPythonFree();
  g_tracer.OnPythonFree(block);
  if (kLayer > 0 && ends) {
    // What we stand on top of may have been taken out meanwhile, and us with it: tracemalloc, whose lock is then gone.
    PythonAllocator present{};
    g_get_python_allocator(kDomain, &present);
    if (present.free != &FreePython<kDomain, kLayer>) return present.free(present.context, block);
  }
  FreeByNext<kDomain, kLayer>(block);
}

template <int kDomain, int kLayer>
__attribute__((noinline)) void PublishAndFree(void*, void* block) {
  g_tracer.PublishShare();
  FreeByNext<kDomain, kLayer>(block);
}

}  // namespace

template <int kDomain, int kLayer>
void FreePython(void* context, void* block) {
  ThreadState* state = Tracer::this_thread;
  // Blocks of RAW are never pymalloc's.
  if (kDomain == kRaw || __builtin_expect(state == nullptr, 0)) return FreeOther<kDomain, kLayer>(context, block);
  switch (g_tracer.OnUsualPythonFree(state, block)) {
    case Freed::kDone:
      return FreeByNext<kDomain, kLayer>(block);
    case Freed::kPublish:
      return PublishAndFree<kDomain, kLayer>(context, block);
    case Freed::kOther:
      return FreeOther<kDomain, kLayer>(context, block);
  }
}

static_assert(kPythonDomains == 3 && kPythonLayers == 3);
template void FreePython<kRaw, 0>(void*, void*);
template void FreePython<kRaw, 1>(void*, void*);
template void FreePython<kRaw, 2>(void*, void*);
template void FreePython<kMem, 0>(void*, void*);
template void FreePython<kMem, 1>(void*, void*);
template void FreePython<kMem, 2>(void*, void*);
template void FreePython<kObj, 0>(void*, void*);
template void FreePython<kObj, 1>(void*, void*);
template void FreePython<kObj, 2>(void*, void*);

}  // namespace allocline
