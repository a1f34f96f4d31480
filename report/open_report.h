// Opens what a command line names, `RECORDING` or `RECORDING@LABEL`, as a profile: one call.
//
//   absl::StatusOr<OpenedReport> report = OpenReport("collect_all.4711.allocline@after fetch", {});
//   auto lines = ComputeStatistics(report->profile, {.by = GroupBy::kLine});
#ifndef ALLOCLINE_REPORT_OPEN_REPORT_H_
#define ALLOCLINE_REPORT_OPEN_REPORT_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "recording/reader.h"
#include "report/load_profile.h"
#include "report/profile.h"
#include "symbolize/symbolizer.h"

namespace allocline {

// RECORDING@peak: what was live at the peak.
inline constexpr std::string_view kPeakLabel = "peak";

struct RecordingSpec {
  std::string path;
  std::optional<std::string> label;
};
// The longest prefix that ends before an '@' (or at the end) and names an existing file is the path: both file names
// and labels may hold an '@'. If none exists, the text before the first '@' is.
RecordingSpec ParseRecordingSpec(std::string_view text);

// The moment of a recording that a label names.
struct LabelledMoment {
  std::optional<size_t> snapshot;  // neither: the end of the recording
  bool at_peak = false;
};
// A snapshot of that label; or, if there is none, with the label "peak", what was live at the peak. No label: the end.
absl::StatusOr<LabelledMoment> FindMoment(const Recording& recording, const std::optional<std::string>& label);

struct OpenReportOptions {
  SymbolizerOptions symbolizer;
  UserLineOptions user_line;
  bool by_thread = false;
  bool without_inherited = false;  // as in LoadProfileOptions
  // Instead of one that is made of `symbolizer`: for recordings that share their modules.
  Symbolizer* shared_symbolizer = nullptr;
};
struct OpenedReport {
  Recording recording;
  Profile profile;
};
absl::StatusOr<OpenedReport> OpenReport(std::string_view spec, const OpenReportOptions& options);

// The second half alone, for a recording that is open already. `label` as in RecordingSpec, `sites` as in LoadProfile.
absl::StatusOr<Profile> LoadReport(const Recording& recording, const std::optional<std::string>& label,
                                   const OpenReportOptions& options, SiteMap* sites = nullptr);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_OPEN_REPORT_H_
