// Writing to the standard error of a program that is not ours.
//
// A write that the program did not ask for must not hurt it: the reader of a pipe may be gone (SIGPIPE, which kills),
// or not be reading (a write that never returns). So a line is written only if it fits at once, with the signal held
// back and taken away if it was ours.
//
// Context: async-signal-safe, no errno.
#ifndef ALLOCLINE_BASE_STDERR_LINE_H_
#define ALLOCLINE_BASE_STDERR_LINE_H_

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "base/spin_lock.h"

namespace allocline {

// One write, which must not block. Bytes written, or -errno.
inline long WriteWithoutSignal(const char* text, size_t bytes) {
  const SignalsBlocked blocked;
  uint64_t pending = 0;
  sys::Call(SYS_rt_sigpending, reinterpret_cast<long>(&pending), sizeof pending);
  const long written = sys::Write(2, text, bytes);
  if (written == -EPIPE && (pending & SignalBit(SIGPIPE)) == 0) {
    const uint64_t pipe = SignalBit(SIGPIPE);
    const timespec none = {};
    sys::Call(SYS_rt_sigtimedwait, reinterpret_cast<long>(&pipe), 0, reinterpret_cast<long>(&none), sizeof pipe);
  }
  return written;
}

// Waits for room if `wait`, else gives up when there is none. 0, or an errno.
inline int WriteToStderr(const char* text, size_t bytes, bool wait) {
  while (bytes > 0) {
    pollfd file = {.fd = 2, .events = POLLOUT, .revents = 0};
    const timespec none = {};
    const long ready =
        sys::Call(SYS_ppoll, reinterpret_cast<long>(&file), 1, wait ? 0 : reinterpret_cast<long>(&none), 0, 8);
    if (ready == -EINTR && wait) continue;
    if (ready <= 0) return ready == 0 ? EAGAIN : static_cast<int>(-ready);
    if ((file.revents & (POLLERR | POLLNVAL)) != 0) return EPIPE;
    // Ready means, of a pipe, that a page fits, and a line is shorter.
    const long written = WriteWithoutSignal(text, bytes);
    if (written < 0) return static_cast<int>(-written);
    text += written;
    bytes -= static_cast<size_t>(written);
  }
  return 0;
}

}  // namespace allocline

#endif  // ALLOCLINE_BASE_STDERR_LINE_H_
