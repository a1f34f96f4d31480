// The usual way of a block of Python, from its hook to the gate's opening: inline, for it is all that most events are.
// What is not usual is in tracer_python.cc.
#ifndef ALLOCLINE_TRACER_PYTHON_EVENTS_H_
#define ALLOCLINE_TRACER_PYTHON_EVENTS_H_

#include "tracer/tracer.h"

namespace allocline {

// Counters first, then the map, as in RecordAt().
inline __attribute__((always_inline)) void* Tracer::RecordPython(ThreadState* state, format::Counter* counter,
                                                                 SiteId site, void* block, size_t bytes) {
  AddOwned(counter->allocated_bytes, bytes);
  AddOwned(counter->allocated_blocks, 1);
  const PythonBlockMap::Place place = python_blocks_.PlaceOf(reinterpret_cast<uintptr_t>(block));
  if (__builtin_expect(!PythonBlockMap::InsertUsual(place, site, bytes), 0)) {
    return InsertPythonAndOpen(state, counter, site, block, bytes);
  }
  format::ThreadRecord& record = *state->record;
  AddOwned(reinterpret_cast<uint64_t&>(record.python_small_bytes), bytes);
  if (__builtin_expect(AddPending(record, bytes), 0)) return FlushAndOpen(state, block);
  OpenGate(state);
  return block;
}

template <PythonForm kForm>
inline __attribute__((always_inline)) void* Tracer::OnPythonAlloc(ThreadState* state, void* block, size_t bytes,
                                                                  const HookFrame* hook) {
  if (__builtin_expect(block == nullptr, 0)) {
    OpenGate(state);
    return nullptr;
  }
  StoreRelaxed(state->gate, Gate::kInside);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  // The mode only now, as in OnAllocOpen().
  PythonThread* python = state->python;
  const uint32_t mode = mode_.load(std::memory_order_relaxed);
  if (__builtin_expect(mode != (kPython | kPythonSound) || python == nullptr, 0)) {
    return OnPythonAllocInMode(state, block, bytes, hook);
  }
  PythonThread::Usual usual;
  const PythonStack::Kept* rest = nullptr;
  switch (python->Compare<kForm>(g_python, codes_.epoch(), &usual, &rest)) {
    case PythonThread::Likeness::kSame:
      return RecordPython(state, usual.counter, usual.site, block, bytes);
    case PythonThread::Likeness::kSameButForInstruction:
      return OnPythonAllocGoneOn<kForm>(state, block, bytes, hook);
    case PythonThread::Likeness::kDeep:
      return OnPythonAllocDeep<kForm>(state, block, bytes, hook, rest);
    case PythonThread::Likeness::kOther:
      break;
  }
  return OnPythonAllocOtherStack(state, block, bytes, hook);
}

// For a deep stack, whose entries from `rest` outward are still to be compared.
template <PythonForm kForm>
__attribute__((noinline)) void* Tracer::OnPythonAllocDeep(ThreadState* state, void* block, size_t bytes,
                                                          const HookFrame* hook, const PythonStack::Kept* rest) {
  PythonThread& python = *state->python;
  const uintptr_t chunk = python.ChunkOf<kForm>(g_python.layout);
  const PythonStack::Outer outer = python.stack().CompareOuter<kForm>(g_python.layout, chunk, rest);
  if (__builtin_expect(outer == PythonStack::Outer::kUnknown, 0)) {
    return OnPythonAllocDeepAnew<kForm>(state, block, bytes, hook, rest);
  }
  if (__builtin_expect(outer == PythonStack::Outer::kOther, 0)) {
    return OnPythonAllocOtherStack(state, block, bytes, hook);
  }
  const PythonThread::Usual usual = python.FindDeep<kForm>(g_python, codes_.epoch());
  if (__builtin_expect(usual.counter == nullptr, 0)) return OnPythonAllocOtherStack(state, block, bytes, hook);
  return RecordPython(state, usual.counter, usual.site, block, bytes);
}

// A function of its own: one that calls nothing but as its last deed needs few registers.
template <PythonForm kForm>
__attribute__((noinline)) void* Tracer::OnPythonAllocDeepAnew(ThreadState* state, void* block, size_t bytes,
                                                              const HookFrame* hook, const PythonStack::Kept* rest) {
  state->python->stack().MakeDigests(rest);
  return OnPythonAllocDeep<kForm>(state, block, bytes, hook, rest);
}

// For a stack whose innermost frame has gone on to another instruction. A function of its own: it uses more registers.
template <PythonForm kForm>
__attribute__((noinline)) void* Tracer::OnPythonAllocGoneOn(ThreadState* state, void* block, size_t bytes,
                                                            const HookFrame* hook) {
  const PythonThread::Usual usual = state->python->FindByMemo<kForm>(g_python, codes_.epoch());
  if (__builtin_expect(usual.counter == nullptr, 0)) return OnPythonAllocOtherStack(state, block, bytes, hook);
  return RecordPython(state, usual.counter, usual.site, block, bytes);
}

inline __attribute__((always_inline)) bool Tracer::TakeUsualPython(ThreadState* state, void* block,
                                                                   UsualPythonBlock* taken) {
  if (__builtin_expect(state->gate == Gate::kWiped, 0)) return false;
  const PythonBlockMap::Place place = python_blocks_.PlaceOf(reinterpret_cast<uintptr_t>(block));
  if (__builtin_expect(place.leaf == nullptr, 0)) return false;
  const TakingMark mark(state);
  // Acquire: as in OnUsualFree().
  if (__builtin_expect(clearing_.load(std::memory_order_acquire) != 0, 0)) return false;
  uint32_t site = 0;
  uint64_t bytes = 0;
  format::Counter* counter = nullptr;
  const auto can_be_charged = [&](Block found) {
    site = found.site;
    bytes = found.bytes;
    counter = state->counters.Known(found.site);
    return counter != nullptr;
  };
  if (__builtin_expect(!PythonBlockMap::TakeUsual(place, can_be_charged), 0)) return false;
  *taken = {place, {site, bytes}, counter};
  return true;
}

inline __attribute__((always_inline)) bool Tracer::ChargeUsualPython(ThreadState* state,
                                                                     const UsualPythonBlock& taken) {
  AddOwned(taken.counter->freed_bytes, taken.block.bytes);
  AddOwned(taken.counter->freed_blocks, 1);
  format::ThreadRecord& record = *state->record;
  AddOwned(reinterpret_cast<uint64_t&>(record.python_small_bytes), ~taken.block.bytes + 1);
  return SubtractPending(record, taken.block.bytes);
}

inline __attribute__((always_inline)) Tracer::Freed Tracer::OnUsualPythonFree(ThreadState* state, void* block) {
  UsualPythonBlock taken;
  if (!TakeUsualPython(state, block, &taken)) return Freed::kOther;
  return __builtin_expect(ChargeUsualPython(state, taken), 0) ? Freed::kPublish : Freed::kDone;
}

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_EVENTS_H_
