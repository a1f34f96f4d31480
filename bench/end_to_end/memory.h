// Whose memory is resident in a traced process, told by /proc/PID/smaps.
//
//   recording     pages of the recording that are mapped, by the mapping's name
//   tables        anonymous pages of the tracer: the only ones that are kept out of core dumps and of huge pages both
//   library       liballocline.so, and libunwind and liblzma, which it opens; code and data
//   pointer_map   anonymous pages of the tracer that are advised to be read at random
//   heap          the brk heap and the other anonymous mappings: the program's
//
// The first three together are what the tracer costs apart from the pointer map. All of it is counted in full, also
// pages of libraries that other processes share.
#ifndef ALLOCLINE_BENCH_END_TO_END_MEMORY_H_
#define ALLOCLINE_BENCH_END_TO_END_MEMORY_H_

#include <sys/types.h>

#include <cstdint>

namespace allocline::bench {

struct Residency {
  uint64_t recording = 0;
  uint64_t tables = 0;
  uint64_t library = 0;
  uint64_t pointer_map = 0;
  uint64_t heap = 0;

  uint64_t tracer() const { return recording + tables + library; }
};

Residency ResidencyOf(pid_t pid);

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_MEMORY_H_
