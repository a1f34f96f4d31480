// What `allocline run --verify` was asked to find out: whether libunwind took every stack of the run as we did.
#ifndef ALLOCLINE_TOOLS_VERIFICATION_H_
#define ALLOCLINE_TOOLS_VERIFICATION_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/run_summary.h"

namespace allocline {

struct Verification {
  uint64_t stacks = 0, different = 0;  // of all processes of the run
  size_t processes = 0;                // in which stacks were compared
  size_t processes_different = 0;
  std::string first_different;  // path of a recording, or empty

  // A run of which nothing was compared is not verified either.
  bool passed() const { return stacks > 0 && different == 0; }
};

// Adds up the headers of the run's recordings.
Verification VerificationOf(const EndedRun& run);

// One sentence, safe to print.
std::string VerificationText(const Verification& verification);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_VERIFICATION_H_
