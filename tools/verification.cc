#include "tools/verification.h"

#include <fmt/format.h>

#include "report/escape.h"
#include "report/size_text.h"
#include "tools/recording_files.h"

namespace allocline {
namespace {}  // namespace

Verification VerificationOf(const EndedRun& run) {
  Verification sum;
  const auto of_this_run = [&](const format::FileHeader& header) { return header.run_id == run.run_id; };
  for (const RecordingFile& file : FindRecordings(run.output_directory, of_this_run)) {
    const format::FileHeader& header = file.header;
    sum.stacks += header.verified_stacks;
    sum.different += header.different_stacks;
    sum.processes += header.verified_stacks > 0;
    if (header.different_stacks == 0) continue;
    if (sum.processes_different++ == 0) sum.first_different = file.path;
  }
  return sum;
}

std::string VerificationText(const Verification& verification) {
  const std::string processes =
      verification.processes > 1 ? fmt::format(" in {} processes", verification.processes) : "";
  if (verification.stacks == 0) {
    return "verify: no stack was compared: nothing was recorded, or libunwind gave no stacks";
  }
  if (verification.different == 0) {
    return fmt::format("verify: {}{}, all as libunwind takes them", CountText(verification.stacks, "stack"), processes);
  }
  return fmt::format("verify: {} of {}{} differ from libunwind's; `allocline info {}` shows the first{}",
                     verification.different, CountText(verification.stacks, "stack"), processes,
                     Printable(verification.first_different),
                     verification.processes_different > 1
                         ? fmt::format(" (others are in {} more recordings)", verification.processes_different - 1)
                         : "");
}

}  // namespace allocline
