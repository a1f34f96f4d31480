#include "tools/target.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/clock.h"
#include "report/inherited.h"
#include "report/merge_profiles.h"
#include "tools/command.h"
#include "tools/live_process.h"
#include "tools/progress_bar.h"
#include "tools/recording_files.h"

namespace allocline {
namespace {

bool Exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

}  // namespace

absl::StatusOr<Target> OpenTarget(std::string_view text) {
  Target target;
  RecordingSpec spec = ParseRecordingSpec(text);
  target.path = std::move(spec.path);
  target.label = std::move(spec.label);
  if (!Exists(target.path)) target.pid = ParsePid(target.path);
  if (target.pid) {
    absl::StatusOr<std::string> path = FindRecordingOf(*target.pid);
    if (!path.ok()) return path.status();
    target.path = *std::move(path);
  }

  absl::StatusOr<Recording> recording = Recording::Open(target.path);
  if (!recording.ok()) return WithExitCode(ExitCode::kUnreadable, recording.status());
  target.recording = *std::move(recording);
  target.process = target.pid ? target.pid : FindWriterOf(target.path, target.recording.header());
  if (target.label) {
    const absl::StatusOr<LabelledMoment> moment = FindMoment(target.recording, target.label);
    if (!moment.ok()) return WithExitCode(ExitCode::kUnknownLabel, moment.status());
    target.moment = *moment;
  }
  return target;
}

absl::Status CheckWhole(const Target& target) {
  const std::vector<std::string>& damage = target.recording.damage();
  if (damage.empty() || target.process) return absl::OkStatus();
  return WithExitCode(ExitCode::kUnreadable,
                      absl::DataLossError(fmt::format("{} is damaged, and what could be read of it is shown: {}{}",
                                                      target.path, damage.front(), damage.size() > 1 ? ", ..." : "")));
}

absl::StatusOr<Profile> LoadTarget(const Target& target, OpenReportOptions options, SiteMap* sites) {
  ProgressBar progress("reading symbols", [&] { return CountFrames(target.recording); });
  options.symbolizer.progress = [&](size_t done, size_t total) { progress.Update(done, total); };
  absl::StatusOr<Profile> profile = LoadReport(target.recording, target.label, options, sites);
  if (!profile.ok()) return WithExitCode(ExitCode::kUsage, profile.status());  // --by thread where it cannot be
  ProfileSummary summary = WithPresentFigures(target, profile->summary());
  return std::move(*profile).WithSummary(std::move(summary));
}

ProfileSummary WithPresentFigures(const Target& target, ProfileSummary summary) {
  if (!target.process || target.label) return summary;
  const ProcessMemory memory = ReadProcessMemory(*target.process);
  if (memory.rss_bytes == 0) return summary;  // it has ended meanwhile: its own last figures stand
  summary.running = true;
  summary.elapsed_ns = MonotonicNow() - target.recording.header().start_monotonic_ns;
  summary.rss_bytes = memory.rss_bytes;
  summary.container_usage_bytes = memory.container.usage_bytes;
  summary.container_limit_bytes = memory.container.limit_bytes;
  return summary;
}

Checkpoint PresentOf(const ProfileSummary& summary) {
  return {.snapshot = std::nullopt,
          .label = "now",
          .monotonic_ns = 0,
          .rss_bytes = summary.rss_bytes,
          .container_usage_bytes = summary.container_usage_bytes,
          .container_limit_bytes = summary.container_limit_bytes,
          .rows = format::kRowsNotGiven};
}

absl::StatusOr<Profile> LoadTargets(std::span<const Target> targets, const OpenReportOptions& options) {
  std::vector<const format::FileHeader*> headers;
  for (const Target& target : targets) headers.push_back(&target.recording.header());
  const std::vector<std::optional<size_t>> parents = FindParents(headers);
  std::vector<Profile> profiles;
  Symbolizer symbolizer(options.symbolizer);
  for (size_t i = 0; i < targets.size(); ++i) {
    OpenReportOptions of_one = options;
    of_one.without_inherited = parents[i].has_value();
    of_one.shared_symbolizer = &symbolizer;
    ASSIGN_OR_RETURN(Profile profile, LoadTarget(targets[i], of_one));
    if (targets[i].process && !targets[i].label) {
      ProfileSummary summary = profile.summary();
      summary.pss_bytes = ReadProportionalBytes(*targets[i].process);
      profile = std::move(profile).WithSummary(std::move(summary));
    }
    profiles.push_back(std::move(profile));
  }
  return MergeProfiles(profiles);
}

size_t CountFrames(const Recording& recording) {
  absl::flat_hash_set<format::Frame> frames;
  for (const RecordedNode& node : recording.nodes()) {
    if (node.frame != 0 && !format::IsVirtual(node.frame)) frames.insert(node.frame);
  }
  return frames.size();
}

}  // namespace allocline
