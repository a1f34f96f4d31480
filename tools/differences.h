// The stacks that libunwind took otherwise than the tracer did (ALLOCLINE_VERIFY=1), with names.
#ifndef ALLOCLINE_TOOLS_DIFFERENCES_H_
#define ALLOCLINE_TOOLS_DIFFERENCES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "recording/reader.h"
#include "symbolize/symbolizer.h"

namespace allocline {

// One frame of a stack as recorded, and what it resolved to.
struct NamedFrame {
  uint64_t address = 0;
  std::string module;                     // path; empty outside any
  std::vector<SourceLocation> locations;  // innermost inlined function first; empty where nothing is known
};

struct Difference {
  std::vector<NamedFrame> ours, theirs;  // most recent first
  size_t common() const;                 // how many of the innermost frames are the same
};

// Without a `symbolizer` only names that the recording carries are known.
std::vector<Difference> NameDifferences(const Recording& recording, Symbolizer* symbolizer);

// What follows a line that says how many there were: where the two part, and each from there. Empty without any.
std::string RenderDifferences(const std::vector<Difference>& differences);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_DIFFERENCES_H_
