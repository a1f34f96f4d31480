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

// What stands outermost in the domain now.
template <int kDomain>
PythonAllocator Present() {
  PythonAllocator present{};
  g_get_python_allocator(kDomain, &present);
  return present;
}

// While the interpreter ends. To wait for readers may take a while, and meanwhile another thread may take out what we
// stand on top of, and us with it: tracemalloc, whose lock is then gone. Then the block goes to what was put back. That
// somebody else stands outermost says nothing: he may stand on top of us, and call us.
template <int kDomain, int kLayer>
void FreeAtTheEnd(void* block) {
  const PythonAllocator before = kLayer > 0 ? Present<kDomain>() : PythonAllocator{};
  g_tracer.WaitForReaders();
  g_tracer.OnPythonFree(block);
  if (kLayer > 0) {
    const PythonAllocator after = Present<kDomain>();
    if (after.free != before.free) return after.free(after.context, block);
  }
  FreeByNext<kDomain, kLayer>(block);
}

template <int kDomain, int kLayer>
__attribute__((noinline)) void FreeOther(void* block) {
  if (kDomain == kRaw && Tracer::PythonEnds()) return FreeAtTheEnd<kDomain, kLayer>(block);
  g_tracer.OnPythonFree(block);
  FreeByNext<kDomain, kLayer>(block);
}

template <int kDomain, int kLayer>
__attribute__((noinline)) void PublishAndFree(void* block) {
  g_tracer.PublishShare();
  FreeByNext<kDomain, kLayer>(block);
}

}  // namespace

template <int kDomain, int kLayer>
void FreePython(void*, void* block) {
  ThreadState* state = Tracer::this_thread;
  // Blocks of RAW are never pymalloc's.
  if (kDomain == kRaw || __builtin_expect(state == nullptr, 0)) return FreeOther<kDomain, kLayer>(block);
  switch (g_tracer.OnUsualPythonFree(state, block)) {
    case Freed::kDone:
      return FreeByNext<kDomain, kLayer>(block);
    case Freed::kPublish:
      return PublishAndFree<kDomain, kLayer>(block);
    case Freed::kOther:
      return FreeOther<kDomain, kLayer>(block);
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
