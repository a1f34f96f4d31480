// The C++ face of allocline.h: the same functions, with scopes where a pair of calls belongs together.
//
// Header only and harmless without the tracer; C++11 and later. Threads, sizes and errors as in allocline.h. Labels are
// C strings on purpose: building a std::string would itself allocate.
#ifndef ALLOCLINE_ALLOCLINE_HPP_
#define ALLOCLINE_ALLOCLINE_HPP_

#include "allocline/allocline.h"

namespace allocline {

struct TracedBytes {
  uint64_t current;
  uint64_t peak;
};

inline bool IsTracing() { return allocline_is_tracing() != 0; }
inline int Start() { return allocline_start(); }
inline void Stop() { allocline_stop(); }
inline void Clear() { allocline_clear(); }
inline int TakeSnapshot(const char* label) { return allocline_take_snapshot(label); }
inline int Checkpoint(const char* label, uint64_t rows = ALLOCLINE_ROWS_NOT_GIVEN) {
  return allocline_checkpoint(label, rows);
}
inline TracedBytes TracedMemory() {
  TracedBytes bytes;
  allocline_traced_memory(&bytes.current, &bytes.peak);
  return bytes;
}
inline void ResetPeak() { allocline_reset_peak(); }
inline uint64_t TracerMemory() { return allocline_tracer_memory(); }
inline int Lookup(const void* block, allocline_block* out) { return allocline_lookup(block, out); }
inline int Track(uint32_t domain, const void* block, size_t bytes) { return allocline_track(domain, block, bytes); }
inline int Untrack(uint32_t domain, const void* block) { return allocline_untrack(domain, block); }
inline int LogMemoryUsage(const char* label) { return allocline_log_memory_usage(label); }
inline int LogTop(const char* label, unsigned lines = 10) { return allocline_log_top(label, lines); }
inline const char* RecordingPath() { return allocline_recording_path(); }

// What this thread allocates while the object lives is not recorded.
class IgnoreThisThread {
 public:
  IgnoreThisThread() { allocline_ignore_this_thread(1); }
  ~IgnoreThisThread() { allocline_ignore_this_thread(0); }
  IgnoreThisThread(const IgnoreThisThread&) = delete;
  IgnoreThisThread& operator=(const IgnoreThisThread&) = delete;
};

}  // namespace allocline

#endif  // ALLOCLINE_ALLOCLINE_HPP_
