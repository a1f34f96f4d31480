// The main path for a thread that times one of its next events (event_timer.h).
#include "tracer/next_allocator.h"
#include "tracer/tracer.h"

namespace allocline {

// If its gate is open, in one of the two ways. That is read once: a handler may do all of this in the middle.
void Tracer::BeAttentive(ThreadState* state) {
  const Gate gate = LoadRelaxed(state->gate);
  if (gate != Gate::kOpen && gate != Gate::kSampled) return;
  state->timer.BeAttentive();
  state->gate_behind = gate;
  state->usual_frees = -1;
  OpenGate(state, Gate::kTimed);
}

// Opens the gate for one event. Whether that is the one to be timed; then the thread is attentive no more.
bool Tracer::OpenForAttentive(ThreadState* state) {
  const bool is_now = state->timer.IsNow();
  if (is_now && state->gate_behind == Gate::kOpen) state->usual_frees = state->timer.FreesUntilAttentive();
  OpenGate(state, state->gate_behind);
  return is_now;
}

// An event may have closed the gate or opened it otherwise: sampling began, the program ignores the thread.
void Tracer::StayAttentive(ThreadState* state) {
  if (state->gate == state->gate_behind) OpenGate(state, Gate::kTimed);
}

void Tracer::InterruptAttention(ThreadState* state) {
  if (__builtin_expect(state->gate == Gate::kTimed, 0)) OpenGate(state, state->gate_behind);
}

void* Tracer::OnAttentiveAlloc(ThreadState* state, void* block, size_t bytes, const HookFrame* hook) {
  if (!OpenForAttentive(state)) {
    OnAlloc(block, bytes, hook);
    StayAttentive(state);
    return block;
  }
  format::ThreadRecord& record = *state->record;
  EventTimer::Time(record.timed_allocations, record.timed_allocation_ns, [&] { OnAlloc(block, bytes, hook); });
  return block;
}

bool Tracer::OnAttentiveFree(ThreadState* state, void* block) {
  if (state->gate == Gate::kOpen) BeAttentive(state);  // its usual frees are used up
  if (!OpenForAttentive(state)) {
    const bool known = OnOpenFree(state, block);
    StayAttentive(state);
    return known;
  }
  bool known = false;
  format::ThreadRecord& record = *state->record;
  EventTimer::Time(record.timed_frees, record.timed_free_ns, [&] { known = OnOpenFree(state, block); });
  return known;
}

// OnFree(), by the usual path where that will do.
bool Tracer::OnOpenFree(ThreadState* state, void* block) {
  switch (state->gate == Gate::kOpen ? OnUsualFree(state, block) : OnUsualSampledFree(state, block)) {
    case Freed::kDone:
      return true;
    case Freed::kPublish:
      PublishShare();
      return true;
    case Freed::kOther:
      break;
  }
  return OnFree(block);
}

}  // namespace allocline
