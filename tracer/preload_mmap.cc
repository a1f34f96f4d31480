// Anonymous mappings as a domain of their own (ALLOCLINE_MMAP=1), and what tells that code is gone: dlclose and iconv.
//
// Only calls that go through these symbols are seen: the allocator's own and the loader's do not.
#include <dlfcn.h>
#include <errno.h>
#include <iconv.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "base/raw_syscall.h"
#include "tracer/relied_on_memory.h"
#include "tracer/tracer.h"
#include "tracer/unwind_cfi.h"

#define ALLOCLINE_HOOK extern "C" __attribute__((visibility("default")))
#define HOOK_FRAME static_cast<const allocline::HookFrame*>(__builtin_frame_address(0))

using allocline::g_tracer;
namespace sys = allocline::sys;

namespace {

bool Recording() { return g_tracer.ready() && g_tracer.settings().record_mmap; }

constexpr size_t kLarge = 1 << 20;

// Memory that the program takes from the kernel itself, and means to write: address space alone costs nothing.
bool IsLarge(size_t bytes, int protection, int flags) {
  return bytes >= kLarge && (flags & (MAP_ANONYMOUS | MAP_NORESERVE)) == MAP_ANONYMOUS &&
         (protection & PROT_WRITE) != 0;
}

void* WithErrno(void* result) {
  if (!sys::IsError(result)) return result;
  errno = static_cast<int>(-reinterpret_cast<long>(result));
  return MAP_FAILED;
}

// [start, start + bytes) is not what it was: its memory is gone, or other memory stands there.
void NoteGone(void* start, size_t bytes) {
  if (allocline::g_relied_on.MayHold(reinterpret_cast<uintptr_t>(start), bytes)) allocline::ForgetReadable();
}

// The function behind our own of that name.
template <typename Function>
Function* NextOf(std::atomic<Function*>* next, const char* name) {
  Function* function = next->load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
    next->store(function, std::memory_order_relaxed);
  }
  return function;
}

}  // namespace

ALLOCLINE_HOOK void* mmap(void* hint, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if ((offset & 4095) != 0) {
    errno = EINVAL;
    return MAP_FAILED;
  }
  const bool replaces = Recording() && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
  if (replaces) g_tracer.BeforeUnmap(hint, bytes);
  void* start = WithErrno(sys::Mmap(hint, bytes, protection, flags, fd, static_cast<uint64_t>(offset)));
  if (start != MAP_FAILED && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED) NoteGone(hint, bytes);
  if (replaces) g_tracer.AfterUnmap(hint, bytes, start != MAP_FAILED);
  if (start != MAP_FAILED && (flags & MAP_ANONYMOUS) != 0) {
    if (Recording()) g_tracer.OnMap(start, bytes, HOOK_FRAME);
    if ((flags & MAP_PRIVATE) != 0) g_tracer.NoteMapping(start, bytes, HOOK_FRAME->return_address);
    if (bytes >= kLarge) g_tracer.CheckPythonAtMapping();
  }
  if (__builtin_expect(IsLarge(bytes, protection, flags), 0)) {
    if (start != MAP_FAILED) {
      g_tracer.OnLargeMapping(bytes);
    } else {
      g_tracer.OnFailedAlloc(bytes);
    }
  }
  return start;
}
ALLOCLINE_HOOK void* mmap64(void* hint, size_t bytes, int protection, int flags, int fd, off64_t offset)
    __attribute__((alias("mmap")));

ALLOCLINE_HOOK int munmap(void* start, size_t bytes) {
  const bool recording = Recording();
  if (recording) g_tracer.BeforeUnmap(start, bytes);
  const long result = sys::Munmap(start, bytes);
  if (recording) g_tracer.AfterUnmap(start, bytes, result == 0);
  if (result == 0) {
    g_tracer.NoteUnmapping(start, bytes);
    NoteGone(start, bytes);
    return 0;
  }
  errno = static_cast<int>(-result);
  return -1;
}

ALLOCLINE_HOOK void* mremap(void* old, size_t old_bytes, size_t bytes, int flags, ...) {
  void* target = nullptr;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {  // with the second it is a hint
    va_list arguments;
    va_start(arguments, flags);
    target = va_arg(arguments, void*);
    va_end(arguments);
  }
  const bool recording = Recording();
  const bool was_recorded =
      recording && g_tracer.Find(allocline::format::kDomainMmap, reinterpret_cast<uintptr_t>(old)).site != 0;
  const bool replaces = recording && (flags & MREMAP_FIXED) != 0;
  // With an old size of 0 the pages are shared with the old mapping, which stays; with DONTUNMAP it stays, empty.
  const bool leaves = was_recorded && old_bytes != 0 && (flags & MREMAP_DONTUNMAP) == 0;
  if (replaces) g_tracer.BeforeUnmap(target, bytes);
  if (leaves) g_tracer.BeforeUnmap(old, old_bytes);
  const uintptr_t mapped_by = g_tracer.WhoMapped(old);
  void* start =
      WithErrno(reinterpret_cast<void*>(sys::Call(SYS_mremap, reinterpret_cast<long>(old), static_cast<long>(old_bytes),
                                                  static_cast<long>(bytes), flags, reinterpret_cast<long>(target))));
  if (start != MAP_FAILED) {
    if ((flags & MREMAP_DONTUNMAP) == 0) g_tracer.NoteUnmapping(old, old_bytes);
    if (mapped_by != 0) g_tracer.NoteMapping(start, bytes, mapped_by);
    NoteGone(old, old_bytes);
    if (target != nullptr) NoteGone(target, bytes);
  }
  if (replaces) g_tracer.AfterUnmap(target, bytes, start != MAP_FAILED);
  if (leaves) g_tracer.AfterUnmap(old, old_bytes, start != MAP_FAILED);
  // As with realloc, the mapping is now the remapper's.
  if (was_recorded && start != MAP_FAILED) g_tracer.OnMap(start, bytes, HOOK_FRAME);
  return start;
}

// Of the unloads inside libc these are all: it closes a converter's library some calls after its last use, or at once
// if the other one that a pair needs is not found.
ALLOCLINE_HOOK iconv_t iconv_open(const char* to, const char* from) {
  static constinit std::atomic<iconv_t (*)(const char*, const char*)> next{nullptr};
  auto* const open = NextOf(&next, "iconv_open");
  g_tracer.BeforeUnload();
  const iconv_t converter = open(to, from);
  g_tracer.AfterUnload();
  return converter;
}

ALLOCLINE_HOOK int iconv_close(iconv_t converter) {
  static constinit std::atomic<int (*)(iconv_t)> next{nullptr};
  auto* const close = NextOf(&next, "iconv_close");
  g_tracer.BeforeUnload();
  const int result = close(converter);
  g_tracer.AfterUnload();
  return result;
}

ALLOCLINE_HOOK int dlclose(void* handle) {
  static constinit std::atomic<int (*)(void*)> next{nullptr};
  auto* const close = NextOf(&next, "dlclose");
  g_tracer.BeforeUnload();
  const int result = close(handle);
  g_tracer.AfterUnload();
  return result;
}
