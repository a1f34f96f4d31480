// What a command line calls RECORDING: a file, RECORDING@LABEL, or the number of a running traced process.
#ifndef ALLOCLINE_TOOLS_TARGET_H_
#define ALLOCLINE_TOOLS_TARGET_H_

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "recording/reader.h"
#include "report/checkpoints.h"
#include "report/open_report.h"
#include "report/profile.h"

namespace allocline {

struct Target {
  std::string path;  // of the recording
  std::optional<std::string> label;
  LabelledMoment moment;         // the label's
  std::optional<pid_t> pid;      // a running process was named
  std::optional<pid_t> process;  // that process, or the one found to be writing the file that was named
  Recording recording;
};

// A file of the very name comes first, even if the name is a number or holds an '@'; then PID and PID@LABEL.
// Errors say which exit code they mean: kUnreadable, kNoTracedProcess, kUnknownLabel.
absl::StatusOr<Target> OpenTarget(std::string_view text);

// The target as a profile, at its label or as it is now; of a running process, with the kernel's present figures. A
// progress bar shows up on a terminal when symbols take long. `sites` as in LoadProfile.
absl::StatusOr<Profile> LoadTarget(const Target& target, OpenReportOptions options, SiteMap* sites = nullptr);

// `summary`, of that profile, with the kernel's present figures if the target is a running process as it is now.
ProfileSummary WithPresentFigures(const Target& target, ProfileSummary summary);

// Several, added up (merge_profiles.h). What a process has from another of them that forked it is taken off.
absl::StatusOr<Profile> LoadTargets(std::span<const Target> targets, const OpenReportOptions& options);

// Ends a command that has shown what can be read: an error (kUnreadable) if that was not the whole recording. While its
// process runs, what looks like damage may be a moment of its work.
absl::Status CheckWhole(const Target& target);

// A running process as it is now: the last checkpoint.
Checkpoint PresentOf(const ProfileSummary& summary);

// How many distinct addresses the recording's stacks are made of: the work of naming them.
size_t CountFrames(const Recording& recording);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_TARGET_H_
