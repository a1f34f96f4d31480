#include "tracer/next_operators.h"

#include <dlfcn.h>
#include <string.h>

#include "base/text.h"
#include "tracer/loaded_object.h"
#include "tracer/next_allocator.h"

namespace allocline {
namespace {

void* FindOperator(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found != nullptr) return found;
  // libstdc++ came with a library opened RTLD_LOCAL: it is not in the global scope.
  void* library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  return library == nullptr ? nullptr : dlsym(library, name);
}

bool BelongsToStandardLibrary(void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_fname == nullptr) return false;
  const char* file = Basename(info.dli_fname);
  return strncmp(file, "libstdc++.so", 12) == 0 || strncmp(file, "libc++", 6) == 0;
}

template <typename Function>
void Bind(Function*& out, const char* name) {
  out = reinterpret_cast<Function*>(FindOperator(name));
}

}  // namespace

NextOperators g_next_operators;  // all zero: static storage

// By their mangled names (Itanium C++ ABI, 64-bit size_t).
void FindNextOperators() {
  NextOperators& o = g_next_operators;
  Bind(o.make, "_Znwm");
  Bind(o.make_array, "_Znam");
  Bind(o.make_nothrow, "_ZnwmRKSt9nothrow_t");
  Bind(o.make_array_nothrow, "_ZnamRKSt9nothrow_t");
  Bind(o.make_aligned, "_ZnwmSt11align_val_t");
  Bind(o.make_array_aligned, "_ZnamSt11align_val_t");
  Bind(o.make_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t");
  Bind(o.make_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t");
  Bind(o.destroy, "_ZdlPv");
  Bind(o.destroy_array, "_ZdaPv");
  Bind(o.destroy_aligned, "_ZdlPvSt11align_val_t");
  Bind(o.destroy_array_aligned, "_ZdaPvSt11align_val_t");
  o.foreign = o.make != nullptr && o.destroy != nullptr && !BelongsToStandardLibrary(reinterpret_cast<void*>(o.make));
  LoadedObject allocator{};
  const NextAllocator* next = NextOrNull();
  if (next != nullptr && FindObject(reinterpret_cast<uintptr_t>(next->malloc), &allocator)) {
    o.allocator_start = allocator.start;
    o.allocator_bytes = allocator.end - allocator.start;
  }
  o.known.store(true, std::memory_order_release);
  o.plain.store(!o.foreign, std::memory_order_relaxed);
}

}  // namespace allocline
