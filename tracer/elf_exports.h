// What a loaded object exports, read from its own tables in memory: dlsym without the loader's lock, which a thread
// that is inside malloc must not wait for, and without the message that dlsym allocates when it finds nothing.
//
// Threads: any. Context: async-signal-safe. The object must stay loaded during a call.
#ifndef ALLOCLINE_TRACER_ELF_EXPORTS_H_
#define ALLOCLINE_TRACER_ELF_EXPORTS_H_

#include <link.h>

#include <cstdint>

namespace allocline {

struct Export {
  uintptr_t address = 0;  // 0: there is none
  uint64_t bytes = 0;     // as the object says, 0 if it does not
};

// A function or variable that `object` defines for others under that name, of whatever version. No thread-local ones.
Export FindExport(const link_map* object, const char* name);

template <typename Function>
bool BindExport(const link_map* object, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(FindExport(object, name).address);
  return out != nullptr;
}

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_ELF_EXPORTS_H_
