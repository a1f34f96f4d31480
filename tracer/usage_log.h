// What a program prints about itself through the API: one line of memory figures, and the top lines of its recording.
#ifndef ALLOCLINE_TRACER_USAGE_LOG_H_
#define ALLOCLINE_TRACER_USAGE_LOG_H_

namespace allocline {

// 0, or an errno.
int LogMemoryUsage(const char* label);
// Takes a snapshot and has the `allocline` program print its top `lines` to stderr; waits for it. No debug information
// is read in this process. ENOENT if the program is not found, EIO if it failed.
int LogTop(const char* label, unsigned lines);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_USAGE_LOG_H_
