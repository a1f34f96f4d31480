#include "tools/run_summary.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "recording/reader.h"
#include "report/escape.h"
#include "report/path_text.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/size_text.h"
#include "report/statistics.h"
#include "tools/command.h"
#include "tools/recording_files.h"
#include "tools/target.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFurtherProcesses = 10;  // more of them are only counted
constexpr int kJsonIndent = 2;

// A fork that went on to exec: all it knows it inherited, and its parent's recording has that.
bool RecordedNothing(const format::FileHeader& header) {
  return (header.flags & format::kFlagForked) != 0 && (header.state & format::kStateActive) == 0;
}

// The recordings of the run, the one of the highest peak first; those that recorded nothing are gone.
std::vector<RecordingFile> CollectRecordings(const EndedRun& run) {
  std::vector<RecordingFile> files = FindRecordings(
      run.output_directory, [&](const format::FileHeader& header) { return header.run_id == run.run_id; });
  std::erase_if(files, [](const RecordingFile& file) {
    return RecordedNothing(file.header) && !IsRunning(file.header) && unlink(file.path.c_str()) == 0;
  });
  std::stable_sort(files.begin(), files.end(), [](const RecordingFile& a, const RecordingFile& b) {
    return a.header.peak_bytes > b.header.peak_bytes;
  });
  return files;
}

// The recording that the summary is about, as `allocline top` would show it.
struct MainReport {
  Profile profile;
  std::vector<Statistic> lines;
  // What was live at the peak, where the end says little about it.
  std::optional<Profile> at_peak;
  std::vector<Statistic> lines_at_peak;
  View view;
};

// Less live at the end than half the peak: most of what a user wants to know of was given back.
bool EndSaysLittle(const Recording& recording) {
  return recording.peak_copy().has_value() && recording.live_bytes() < recording.peak_bytes() / 2;
}

absl::StatusOr<MainReport> LoadMainReport(const RecordingFile& file, const SummaryFlags& flags) {
  ViewFlags view_flags;
  view_flags.limit = flags.lines;
  MainReport report;
  ASSIGN_OR_RETURN(report.view, View::Parse(view_flags));
  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  Target target;
  target.path = file.path;
  ASSIGN_OR_RETURN(target.recording, Recording::Open(file.path));
  ASSIGN_OR_RETURN(report.profile, LoadTarget(target, options));
  ASSIGN_OR_RETURN(report.lines, ComputeStatistics(report.profile, report.view.statistics));
  if (EndSaysLittle(target.recording)) {
    target.label = kPeakLabel;
    target.moment.at_peak = true;
    ASSIGN_OR_RETURN(report.at_peak, LoadTarget(target, options));
    ASSIGN_OR_RETURN(report.lines_at_peak, ComputeStatistics(*report.at_peak, report.view.statistics));
  }
  return report;
}

std::string HowItEnded(const EndedRun& run) {
  const double seconds = static_cast<double>(run.elapsed_ns) / 1e9;
  if (run.end.signal != 0) {
    const char* name = sigabbrev_np(run.end.signal);
    return fmt::format("was ended by signal {}{} after {:.1f} s", run.end.signal,
                       name != nullptr ? fmt::format(" (SIG{})", name) : "", seconds);
  }
  return fmt::format("exited with {} after {:.1f} s", run.end.code, seconds);
}

// Live and peak bytes with what the threads had not yet added to the header. Zero if the file cannot be read.
struct Traced {
  uint64_t live_bytes = 0, peak_bytes = 0;
};
Traced ReadTraced(const RecordingFile& file) {
  const absl::StatusOr<Recording> recording = Recording::Open(file.path);
  return recording.ok() ? Traced{recording->live_bytes(), recording->peak_bytes()} : Traced{};
}

std::string RenderFurtherProcesses(const std::vector<RecordingFile>& files) {
  std::string text;
  for (size_t i = 1; i < files.size() && i <= kFurtherProcesses; ++i) {
    const format::FileHeader& header = files[i].header;
    const Traced traced = ReadTraced(files[i]);
    text += fmt::format("also {} (pid {}{}): peak {}, live {}: {}\n", Printable(Basename(header.program)), header.pid,
                        IsRunning(header) ? ", still running" : "", SizeText(static_cast<double>(traced.peak_bytes)),
                        SizeText(static_cast<double>(traced.live_bytes)), Printable(files[i].path));
  }
  if (files.size() > kFurtherProcesses + 1) {
    text += fmt::format("and {} more recordings beside them\n", files.size() - kFurtherProcesses - 1);
  }
  return text;
}

std::string RenderAtPeak(const MainReport& report) {
  if (!report.at_peak) return "";
  const ProfileSummary& summary = report.at_peak->summary();
  return fmt::format("\nat the peak: {}; the copy was taken at {}, {:.1f} s after the start\n{}\n",
                     SizeText(static_cast<double>(summary.peak_bytes)),
                     SizeText(static_cast<double>(summary.live_bytes)), static_cast<double>(summary.elapsed_ns) / 1e9,
                     RenderStatistics(*report.at_peak, report.lines_at_peak, report.view.text));
}

std::string RenderText(const EndedRun& run, const std::vector<RecordingFile>& files, const MainReport& report) {
  return fmt::format("allocline: {} {}\n{}{}{}recording: {}\n{}", Printable(Basename(run.program)), HowItEnded(run),
                     RenderHeader(report.profile, report.view.text),
                     RenderStatistics(report.profile, report.lines, report.view.text), RenderAtPeak(report),
                     Printable(files[0].path), RenderFurtherProcesses(files));
}

std::string RenderJson(const EndedRun& run, const std::vector<RecordingFile>& files, const MainReport* report) {
  Json document = {{"schema", "allocline.run/1"},      {"program", ValidUtf8(run.program)},
                   {"exit_code", run.end.exit_code()}, {"signal", run.end.signal},
                   {"elapsed_ns", run.elapsed_ns},     {"output_directory", ValidUtf8(run.output_directory)},
                   {"processes", Json::array()},       {"report", nullptr},
                   {"report_at_peak", nullptr}};
  for (const RecordingFile& file : files) {
    const Traced traced = ReadTraced(file);
    document["processes"].push_back({{"pid", file.header.pid},
                                     {"program", ValidUtf8(file.header.program)},
                                     {"recording", ValidUtf8(file.path)},
                                     {"peak_bytes", traced.peak_bytes},
                                     {"live_bytes", traced.live_bytes},
                                     {"verified_stacks", file.header.verified_stacks},
                                     {"different_stacks", file.header.different_stacks},
                                     {"running", IsRunning(file.header)}});
  }
  if (report != nullptr) {
    document["report"] = Json::parse(RenderJson(report->profile, report->lines, report->view.json_options()));
  }
  if (report != nullptr && report->at_peak) {
    document["report_at_peak"] =
        Json::parse(RenderJson(*report->at_peak, report->lines_at_peak, report->view.json_options()));
  }
  return document.dump(kJsonIndent) + "\n";
}

absl::Status Write(const std::string& text, const std::string& file) {
  FILE* out = file.empty() ? stderr : fopen(file.c_str(), "we");
  bool written = out != nullptr;
  if (written) {
    written = fwrite(text.data(), 1, text.size(), out) == text.size();
    written &= (out == stderr ? fflush(out) : fclose(out)) == 0;
  }
  if (written || file.empty()) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("cannot write the summary to {}: {}", file, strerror(errno)));
}

}  // namespace

absl::Status SummariseRun(const EndedRun& run, const SummaryFlags& flags) {
  const std::vector<RecordingFile> files = CollectRecordings(run);
  if (flags.quiet) return absl::OkStatus();
  if (files.empty()) {
    if (flags.json) return Write(RenderJson(run, files, nullptr), flags.file);
    return Write(fmt::format("allocline: {} {}; it left no recording in {}\n", Printable(Basename(run.program)),
                             HowItEnded(run), Printable(run.output_directory)),
                 flags.file);
  }
  ASSIGN_OR_RETURN(const MainReport report, LoadMainReport(files[0], flags));
  return Write(flags.json ? RenderJson(run, files, &report) : RenderText(run, files, report), flags.file);
}

}  // namespace allocline
