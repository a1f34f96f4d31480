// System calls made without libc: no PLT entry that somebody may have interposed (we interpose mmap ourselves), no
// cancellation point, and above all no errno. Code that runs inside malloc uses these and nothing else.
//
// Every function returns what the kernel returns: a value, or -errno in [-4095, -1]; see IsError().
// Context: async-signal-safe, no allocation.
#ifndef ALLOCLINE_BASE_RAW_SYSCALL_H_
#define ALLOCLINE_BASE_RAW_SYSCALL_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace allocline::sys {

inline long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "allocline knows the system call convention of x86-64 and aarch64 only"
#endif
}

constexpr bool IsError(long result) { return result < 0 && result >= -4095; }
inline bool IsError(const void* result) { return IsError(reinterpret_cast<long>(result)); }

inline void* Mmap(void* address, size_t bytes, int protection, int flags, int fd = -1, uint64_t offset = 0) {
  return reinterpret_cast<void*>(Call(SYS_mmap, reinterpret_cast<long>(address), static_cast<long>(bytes), protection,
                                      flags, fd, static_cast<long>(offset)));
}
inline long Munmap(void* address, size_t bytes) {
  return Call(SYS_munmap, reinterpret_cast<long>(address), static_cast<long>(bytes));
}
inline long Madvise(void* address, size_t bytes, int advice) {
  return Call(SYS_madvise, reinterpret_cast<long>(address), static_cast<long>(bytes), advice);
}
inline long Open(const char* path, int flags, int mode = 0) {
  return Call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags, mode);
}
inline long Close(int fd) { return Call(SYS_close, fd); }
inline long Read(int fd, void* data, size_t bytes) {
  return Call(SYS_read, fd, reinterpret_cast<long>(data), static_cast<long>(bytes));
}
inline long Pread(int fd, void* data, size_t bytes, uint64_t offset) {
  return Call(SYS_pread64, fd, reinterpret_cast<long>(data), static_cast<long>(bytes), static_cast<long>(offset));
}
inline long Pwrite(int fd, const void* data, size_t bytes, uint64_t offset) {
  return Call(SYS_pwrite64, fd, reinterpret_cast<long>(data), static_cast<long>(bytes), static_cast<long>(offset));
}
inline long Write(int fd, const void* data, size_t bytes) {
  return Call(SYS_write, fd, reinterpret_cast<long>(data), static_cast<long>(bytes));
}
inline long Fcntl(int fd, int command, long argument) { return Call(SYS_fcntl, fd, command, argument); }
inline long Fstat(int fd, struct stat* out) { return Call(SYS_fstat, fd, reinterpret_cast<long>(out)); }
inline long Readlink(const char* path, char* out, size_t bytes) {
  return Call(SYS_readlinkat, AT_FDCWD, reinterpret_cast<long>(path), reinterpret_cast<long>(out),
              static_cast<long>(bytes));
}
inline long Unlink(const char* path) { return Call(SYS_unlinkat, AT_FDCWD, reinterpret_cast<long>(path), 0); }
inline int GetPid() { return static_cast<int>(Call(SYS_getpid)); }
inline int GetTid() { return static_cast<int>(Call(SYS_gettid)); }
inline void Yield() { Call(SYS_sched_yield); }

}  // namespace allocline::sys

#endif  // ALLOCLINE_BASE_RAW_SYSCALL_H_
