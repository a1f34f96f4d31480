#include "tools/run_summary.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
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

// Programs that in this run became another one: the shells of a script that looks for an interpreter, env, nohup. Of
// little interest each, and often many, with what else of them runs on the way. Gives the highest peak any came to.
std::map<std::string_view, uint64_t> Launchers(const std::vector<RecordingFile>& files) {
  std::map<uint32_t, uint64_t> last_start;
  for (const RecordingFile& file : files) {
    uint64_t& last = last_start[file.header.pid];
    last = std::max(last, file.header.start_monotonic_ns);
  }
  std::map<std::string_view, uint64_t> launchers;
  for (const RecordingFile& file : files) {
    if (file.header.start_monotonic_ns >= last_start[file.header.pid]) continue;
    uint64_t& peak = launchers[file.header.program];
    peak = std::max(peak, file.header.peak_bytes);
  }
  return launchers;
}

std::string RenderProcess(const RecordingFile& file) {
  const format::FileHeader& header = file.header;
  const Traced traced = ReadTraced(file);
  return fmt::format("also {} (pid {}{}): peak {}, live {}: {}\n", Printable(Basename(header.program)), header.pid,
                     IsRunning(header) ? ", still running" : "", SizeText(static_cast<double>(traced.peak_bytes)),
                     SizeText(static_cast<double>(traced.live_bytes)), Printable(file.path));
}

// `files`: the highest peak first.
std::string RenderLaunchers(const std::vector<const RecordingFile*>& files) {
  std::map<std::string, int> counts;
  for (const RecordingFile* file : files) ++counts[Printable(Basename(file->header.program))];
  std::string text;
  for (const auto& [name, count] : counts) text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", name, count);
  return fmt::format("and of programs that ran others in their place: {}, peak at most {}\n", text,
                     SizeText(static_cast<double>(ReadTraced(*files.front()).peak_bytes)));
}

// All but the first, which the report is about.
std::string RenderFurtherProcesses(const std::vector<RecordingFile>& files) {
  const std::map<std::string_view, uint64_t> launchers = Launchers(files);
  std::vector<const RecordingFile*> further, on_the_way;
  for (size_t i = 1; i < files.size(); ++i) {
    const auto launcher = launchers.find(files[i].header.program);
    // A program that began itself anew may have workers, too: those that hold much more are processes like any.
    const bool is_launcher = launcher != launchers.end() && files[i].header.peak_bytes <= 2 * launcher->second;
    (is_launcher ? on_the_way : further).push_back(&files[i]);
  }
  std::string text;
  for (size_t i = 0; i < further.size() && i < kFurtherProcesses; ++i) text += RenderProcess(*further[i]);
  if (further.size() > kFurtherProcesses) {
    text += fmt::format("and {} more recordings beside them\n", further.size() - kFurtherProcesses);
  }
  if (!on_the_way.empty()) text += RenderLaunchers(on_the_way);
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
