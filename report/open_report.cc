#include "report/open_report.h"

#include <sys/stat.h>

#include <utility>

#include "base/status_macros.h"

namespace allocline {
namespace {

bool Exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

}  // namespace

RecordingSpec ParseRecordingSpec(std::string_view text) {
  auto split_at = [text](size_t at) {
    RecordingSpec spec{.path = std::string(text.substr(0, at))};
    if (at != std::string_view::npos) spec.label = std::string(text.substr(at + 1));
    return spec;
  };
  size_t at = std::string_view::npos;
  do {
    RecordingSpec spec = split_at(at);
    if (Exists(spec.path)) return spec;
    at = at == 0 ? std::string_view::npos : text.rfind('@', at == std::string_view::npos ? at : at - 1);
  } while (at != std::string_view::npos);
  return split_at(text.find('@'));
}

absl::StatusOr<LabelledMoment> FindMoment(const Recording& recording, const std::optional<std::string>& label) {
  if (!label) return LabelledMoment{};
  const absl::StatusOr<size_t> snapshot = recording.FindSnapshot(*label);
  if (snapshot.ok()) return LabelledMoment{.snapshot = *snapshot};
  if (*label == kPeakLabel) {
    RETURN_IF_ERROR(CheckPeakCopy(recording));
    return LabelledMoment{.at_peak = true};
  }
  return snapshot.status();
}

absl::StatusOr<Profile> LoadReport(const Recording& recording, const std::optional<std::string>& label,
                                   const OpenReportOptions& options, SiteMap* sites) {
  ASSIGN_OR_RETURN(const LabelledMoment moment, FindMoment(recording, label));
  const LoadProfileOptions load{.snapshot = moment.snapshot,
                                .at_peak = moment.at_peak,
                                .by_thread = options.by_thread,
                                .without_inherited = options.without_inherited,
                                .user_line = options.user_line};
  if (options.shared_symbolizer != nullptr) return LoadProfile(recording, options.shared_symbolizer, load, sites);
  Symbolizer symbolizer(options.symbolizer);
  return LoadProfile(recording, &symbolizer, load, sites);
}

absl::StatusOr<OpenedReport> OpenReport(std::string_view text, const OpenReportOptions& options) {
  RecordingSpec spec = ParseRecordingSpec(text);
  ASSIGN_OR_RETURN(Recording recording, Recording::Open(spec.path));
  ASSIGN_OR_RETURN(Profile profile, LoadReport(recording, spec.label, options));
  return OpenedReport{.recording = std::move(recording), .profile = std::move(profile)};
}

}  // namespace allocline
