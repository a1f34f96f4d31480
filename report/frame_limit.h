// Cuts stacks to their innermost frames, as tracemalloc.start(N) does while it traces: stacks that differ further out
// become one.
#ifndef ALLOCLINE_REPORT_FRAME_LIMIT_H_
#define ALLOCLINE_REPORT_FRAME_LIMIT_H_

#include <cstdint>

#include "report/profile.h"

namespace allocline {

// A new profile over a StackTable of its own, whose stacks have at most `frames` frames, at least 1; with LineOf::kUser
// more where the user's line is further out, for that is what such a report is about. Inlined calls are frames, and
// native ones between those of Python, too.
Profile LimitFrames(const Profile& profile, uint32_t frames, LineOf line_of);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_FRAME_LIMIT_H_
