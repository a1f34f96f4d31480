// Faults that tests plant in the unwinder, to show that verify mode finds what is wrong with it.
//
// They are compiled into liballocline_faulty.so only (ALLOCLINE_FAULT_POINTS), where ALLOCLINE_FAULT chooses one. In
// the tracer itself Faulty() is the constant false, and nothing is left of a fault point.
#ifndef ALLOCLINE_TRACER_FAULT_POINTS_H_
#define ALLOCLINE_TRACER_FAULT_POINTS_H_

namespace allocline {

enum class Fault {
  kNone,
  kWrongRow,        // "row": the CFA of the program's own functions is two words too far out
  kUncomparedSlot,  // "slot": of the frames further out than a joint, the second is taken for what it was
  kMissedUnload,    // "unload": code is taken for what was at its place before
};

#ifdef ALLOCLINE_FAULT_POINTS
[[gnu::visibility("hidden")]] extern constinit Fault g_fault;
inline bool Faulty(Fault fault) { return __builtin_expect(g_fault == fault, 0); }
#else
constexpr bool Faulty(Fault) { return false; }
#endif

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_FAULT_POINTS_H_
