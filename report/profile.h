// The model every report is a view of: sites with their resolved stacks, and what they allocated.
//
// Immutable once built (load_profile.h builds it from a recording). Locations are interned: equal frames have equal
// ids, across inlining, modules and runs, so grouping never compares strings. Stacks are most recent first, with
// inlined calls expanded into locations of their own.
#ifndef ALLOCLINE_REPORT_PROFILE_H_
#define ALLOCLINE_REPORT_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "symbolize/symbolizer.h"

namespace allocline {

using LocationId = uint32_t;

struct Location {
  std::string file;          // "<unknown>" when there is none: then module+offset stands in `function`
  uint32_t line = 0;
  std::string function;      // demangled, may be empty
  std::string module;        // path of the object
  bool inlined = false;
  bool synthetic = false;    // a virtual frame: [truncated: ...], [inside the tracer], a domain
  ResolutionLevel level = ResolutionLevel::kNone;
  bool operator==(const Location&) const = default;
};

// All blocks of one stack (and, in a profile by thread, of one thread).
struct Site {
  uint32_t domain = 0;                  // format::kDomainMalloc, ...
  std::vector<LocationId> stack;        // most recent first; never empty
  uint32_t user_index = 0;              // which element of `stack` is the user's line
  uint32_t thread = 0;                  // index into Profile::threads when split by thread, else 0
  int64_t live_bytes = 0, live_blocks = 0;
  uint64_t total_bytes = 0, total_blocks = 0;  // ever allocated
};

struct ProfileThread {
  uint32_t tid = 0;
  std::string name;
  uint32_t threads_served = 0;
};

struct Profile {
  std::vector<Location> locations;      // index: LocationId
  std::vector<Site> sites;
  std::vector<ProfileThread> threads;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PROFILE_H_
