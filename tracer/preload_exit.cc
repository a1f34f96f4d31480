// _exit: workers that a program forks end by it, Python's all do. It runs no exit handlers, ours neither; without this
// the recording of one that left long ago would look like that of one that was killed.
//
// exit() ends by a call inside of libc, which does not come here.
#include <sys/syscall.h>

#include "base/raw_syscall.h"
#include "tracer/tracer.h"

#define ALLOCLINE_HOOK extern "C" __attribute__((visibility("default"), noreturn))

namespace sys = allocline::sys;

ALLOCLINE_HOOK void _exit(int status) {
  allocline::g_tracer.OnLeave();
  for (;;) sys::Call(SYS_exit_group, status);
}

ALLOCLINE_HOOK void _Exit(int status) noexcept { _exit(status); }
