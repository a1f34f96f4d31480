#include "tools/run_summary.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recording/reader.h"
#include "report/escape.h"
#include "report/explain.h"
#include "report/merge_profiles.h"
#include "report/path_text.h"
#include "report/render_explain.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/size_text.h"
#include "report/statistics.h"
#include "report/summary_json.h"
#include "tools/command.h"
#include "tools/connector_log.h"
#include "tools/process_table.h"
#include "tools/run_end.h"
#include "tools/run_processes.h"
#include "tools/target.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kJsonIndent = 2;
constexpr size_t kTableRows = 10;   // processes beyond that share one
constexpr size_t kMostAdded = 100;  // processes whose lines are added up: those that held most

// The recording that the summary is about, as `allocline top` would show it.
struct MainReport {
  Profile profile;
  std::vector<Statistic> lines;
  // What was live at the peak, where the end says little about it.
  std::optional<Profile> at_peak;
  std::vector<Statistic> lines_at_peak;
  std::string finding;  // the first of `allocline explain`, in one line
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
  SiteMap sites;
  ASSIGN_OR_RETURN(report.profile, LoadTarget(target, options, &sites));
  const absl::StatusOr<Explanation> explanation = ExplainRecording(target.recording, report.profile, sites, {});
  if (explanation.ok()) report.finding = RenderFirstFinding(report.profile, *explanation);
  ASSIGN_OR_RETURN(report.lines, ComputeStatistics(report.profile, report.view.statistics));
  if (EndSaysLittle(target.recording)) {
    target.label = kPeakLabel;
    target.moment.at_peak = true;
    ASSIGN_OR_RETURN(report.at_peak, LoadTarget(target, options));
    ASSIGN_OR_RETURN(report.lines_at_peak, ComputeStatistics(*report.at_peak, report.view.statistics));
  }
  return report;
}

std::string RenderAtPeak(const MainReport& report) {
  if (!report.at_peak) return "";
  const ProfileSummary& summary = report.at_peak->summary();
  return fmt::format("\nat the peak: {}; the copy was taken at {}, {:.1f} s after the start\n{}\n",
                     SizeText(static_cast<double>(summary.peak_bytes)),
                     SizeText(static_cast<double>(summary.live_bytes)), static_cast<double>(summary.elapsed_ns) / 1e9,
                     RenderStatistics(*report.at_peak, report.lines_at_peak, report.view.text));
}

// A run that has ended, seen from its recordings.
struct SummarisedRun {
  const EndedRun& run;
  std::vector<RunProcess> processes;
  ContainerVerdict verdict;

  bool was_ended() const { return verdict.deed != ContainerDeed::kNone; }
  // The one to be reported: that which the container ended, or else that of the highest peak.
  const RunProcess& main() const { return processes[verdict.victim.value_or(0)]; }
};

SummarisedRun Inspect(const EndedRun& run) {
  SummarisedRun summarised{.run = run, .processes = CollectProcesses(run.output_directory, run.run_id), .verdict = {}};
  // Who held most when it ended goes first where the container is asked who was killed.
  std::vector<size_t> order(summarised.processes.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](size_t i) { return summarised.processes[i].live_bytes; });
  std::vector<ContainerEvidence> evidence;
  for (const size_t i : order) evidence.push_back(summarised.processes[i].evidence);
  summarised.verdict = Judge(run.end, evidence, run.kills_before, run.kills_now);
  if (summarised.verdict.victim) summarised.verdict.victim = order[*summarised.verdict.victim];
  return summarised;
}

// Several processes shared the container that was full: the lines of all of them together.
struct JointReport {
  std::vector<const RunProcess*> processes;
  std::vector<Profile> parts;  // of `processes`
  size_t left_out = 0;         // processes beyond kMostAdded
  Profile profile;
  std::vector<Statistic> lines;
};

// Nothing where there are no several, or where it was not the container's memory that ran out.
absl::StatusOr<std::optional<JointReport>> LoadJointReport(const SummarisedRun& summarised, const SummaryFlags& flags,
                                                           const View& view) {
  const ContainerDeed deed = summarised.verdict.deed;
  const bool was_full = deed == ContainerDeed::kKilled || deed == ContainerDeed::kLikelyKilled;
  if (!was_full || !summarised.verdict.victim) return std::nullopt;
  JointReport report;
  report.processes = AliveWith(summarised.main(), summarised.processes);
  if (report.processes.size() < 2) return std::nullopt;
  std::ranges::stable_sort(report.processes, std::ranges::greater{}, &RunProcess::live_bytes);
  report.left_out = report.processes.size() - std::min(report.processes.size(), kMostAdded);
  report.processes.resize(report.processes.size() - report.left_out);

  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  Symbolizer symbolizer(options.symbolizer);
  options.shared_symbolizer = &symbolizer;
  for (const RunProcess* process : report.processes) {
    Target target;
    target.path = process->file.path;
    ASSIGN_OR_RETURN(target.recording, Recording::Open(target.path));
    options.without_inherited = process->forked_from.has_value();
    ASSIGN_OR_RETURN(Profile part, LoadTarget(target, options));
    report.parts.push_back(std::move(part));
  }
  report.profile = MergeProfiles(report.parts);
  ASSIGN_OR_RETURN(report.lines, ComputeStatistics(report.profile, view.statistics));
  return report;
}

// `victim`: header of the recording that the verdict follows from; null if from none.
std::string HowItEnded(const EndedRun& run, const ContainerVerdict& verdict, const format::FileHeader* victim) {
  std::string name;
  if (verdict.deed != ContainerDeed::kNone && run.end.signal != SIGKILL) {
    name = victim == nullptr ? "a process of it"
                             : fmt::format("{} (pid {})", Printable(Basename(victim->program)), victim->pid);
  }
  return fmt::format("{} {}", Printable(Basename(run.program)), EndText(run.end, run.elapsed_ns, verdict, name));
}
std::string HowItEnded(const SummarisedRun& summarised) {
  const bool has_victim = summarised.verdict.victim.has_value();
  return "allocline: " +
         HowItEnded(summarised.run, summarised.verdict, has_victim ? &summarised.main().file.header : nullptr);
}

std::string ProcessCount(size_t count) { return fmt::format("{} {}", count, count == 1 ? "process" : "processes"); }

// Where most of it is; "" if nothing is live.
std::string LeadingLine(const Profile& profile, std::vector<Statistic> lines, const View& view) {
  if (lines.empty()) return "";
  lines.resize(1);
  const std::string line = RenderStatistics(profile, lines, view.text);
  return line.substr(0, line.find('\n'));
}

// What each process held, and on which line most of it.
std::string RenderProcesses(const SummarisedRun& summarised, const std::optional<JointReport>& joint, const View& view,
                            const SummaryFlags& flags) {
  std::vector<ProcessRow> rows;
  for (const RunProcess& process : summarised.processes) {
    rows.push_back(RowOf(process));
    if (rows.size() > kTableRows) continue;
    std::string& leading_line = rows.back().leading_line;
    const auto part = joint ? std::ranges::find(joint->processes, &process) : decltype(joint->processes.begin())();
    if (joint && part != joint->processes.end()) {
      const Profile& profile = joint->parts[static_cast<size_t>(part - joint->processes.begin())];
      const absl::StatusOr<std::vector<Statistic>> lines = ComputeStatistics(profile, view.statistics);
      if (lines.ok()) leading_line = LeadingLine(profile, *lines, view);
    } else if (const absl::StatusOr<MainReport> report = LoadMainReport(process.file, flags); report.ok()) {
      leading_line = LeadingLine(report->profile, report->lines, view);
    }
  }
  return fmt::format("by process:\n{}", RenderProcessTable(rows, kTableRows));
}

std::string RenderText(const SummarisedRun& summarised, const MainReport& report,
                       const std::optional<JointReport>& joint, const SummaryFlags& flags) {
  const Profile& profile = joint ? joint->profile : report.profile;
  std::string header = RenderHeader(profile, report.view.text);
  if (joint && joint->left_out > 0) {
    header += fmt::format("{} that held least are not in the lines above\n\n", ProcessCount(joint->left_out));
  }
  const std::string lines = RenderStatistics(profile, joint ? joint->lines : report.lines, report.view.text);
  const std::string finding = report.finding.empty() ? "" : fmt::format("explain: {}\n", report.finding);
  const bool in_table = flags.by_process || (summarised.was_ended() && summarised.processes.size() > 1);
  return fmt::format("{}{}recording: {}\n{}",
                     summarised.was_ended() ? lines + finding + "\n" + header : header + lines + RenderAtPeak(report),
                     in_table ? RenderProcesses(summarised, joint, report.view, flags) : "",
                     Printable(summarised.main().file.path),
                     in_table ? "" : RenderFurtherProcesses(summarised.processes));
}

const char* NameOf(ContainerDeed deed) {
  switch (deed) {
    case ContainerDeed::kNone:
      break;
    case ContainerDeed::kKilled:
      return "killed";
    case ContainerDeed::kLikelyKilled:
      return "likely-killed";
    case ContainerDeed::kGivenLimit:
      return "given-limit";
  }
  return "none";
}

std::string RenderJson(const SummarisedRun& summarised, const MainReport* report,
                       const std::optional<JointReport>& joint) {
  const EndedRun& run = summarised.run;
  Json document = {{"schema", "allocline.run/1"},
                   {"program", ValidUtf8(run.program)},
                   {"exit_code", run.end.exit_code()},
                   {"signal", run.end.signal},
                   {"elapsed_ns", run.elapsed_ns},
                   {"output_directory", ValidUtf8(run.output_directory)},
                   {"container", nullptr},
                   {"processes", Json::array()},
                   {"finding", nullptr},
                   {"report", nullptr},
                   {"report_at_peak", nullptr},
                   {"report_of_all", nullptr}};
  if (summarised.was_ended()) {
    const ContainerVerdict& verdict = summarised.verdict;
    document["container"] = {{"deed", NameOf(verdict.deed)},
                             {"pid", verdict.victim ? Json(summarised.main().file.header.pid) : Json(nullptr)},
                             {"usage_bytes", KnownOrNull(verdict.usage_bytes)},
                             {"limit_bytes", KnownOrNull(verdict.limit_bytes)}};
  }
  for (const RunProcess& process : summarised.processes) {
    const format::FileHeader& header = process.file.header;
    document["processes"].push_back({{"pid", header.pid},
                                     {"program", ValidUtf8(header.program)},
                                     {"recording", ValidUtf8(process.file.path)},
                                     {"peak_bytes", process.peak_bytes},
                                     {"live_bytes", process.live_bytes},
                                     {"inherited_bytes", process.inherited_bytes},
                                     {"rss_bytes", header.rss_bytes},
                                     {"verified_stacks", header.verified_stacks},
                                     {"different_stacks", header.different_stacks},
                                     {"running", process.is_running}});
  }
  if (report != nullptr) {
    document["report"] = Json::parse(RenderJson(report->profile, report->lines, report->view.json_options()));
  }
  if (report != nullptr && !report->finding.empty()) document["finding"] = report->finding;
  if (report != nullptr && report->at_peak) {
    document["report_at_peak"] =
        Json::parse(RenderJson(*report->at_peak, report->lines_at_peak, report->view.json_options()));
  }
  if (joint) {
    document["report_of_all"] = Json::parse(RenderJson(joint->profile, joint->lines, report->view.json_options()));
  }
  return document.dump(kJsonIndent) + "\n";
}

// Where the summary goes, piece by piece: stderr, or a file.
class Output {
 public:
  explicit Output(const SummaryFlags& flags)
      : file_(flags.file), out_(file_.empty() ? stderr : fopen(file_.c_str(), "we")) {
    if (out_ == nullptr) error_ = errno;
  }
  void Print(std::string_view text) {
    if (out_ == nullptr || error_ != 0) return;
    if (fwrite(text.data(), 1, text.size(), out_) != text.size() || fflush(out_) != 0) error_ = errno;
  }
  absl::Status Close() {
    if (out_ != nullptr && out_ != stderr && fclose(out_) != 0 && error_ == 0) error_ = errno;
    if (error_ == 0 || file_.empty()) return absl::OkStatus();
    return absl::UnavailableError(fmt::format("cannot write the summary to {}: {}", file_, strerror(error_)));
  }

 private:
  const std::string& file_;
  FILE* out_;
  int error_ = 0;
};

}  // namespace

std::string DescribeEnd(const EndedRun& run) {
  std::vector<RecordingFile> files = FindRecordings(
      run.output_directory, [&](const format::FileHeader& header) { return header.run_id == run.run_id; });
  std::ranges::stable_sort(files, std::ranges::greater{},
                           [](const RecordingFile& file) { return file.header.live_bytes; });
  std::vector<ContainerEvidence> evidence;
  for (const RecordingFile& file : files) evidence.push_back(EvidenceOf(file.header));
  const ContainerVerdict verdict = Judge(run.end, evidence, run.kills_before, run.kills_now);
  return HowItEnded(run, verdict, verdict.victim ? &files[*verdict.victim].header : nullptr);
}

absl::Status SummariseRun(const EndedRun& run, const SummaryFlags& flags) {
  const SummarisedRun summarised = Inspect(run);
  if (flags.quiet) return absl::OkStatus();
  Output output(flags);
  const bool is_bad = summarised.was_ended() || run.end.signal != 0;
  const auto print = [&](const std::string& text) {
    output.Print(flags.log_json ? LogLines(is_bad ? LogLevel::kSevere : LogLevel::kInfo, text) : text);
  };
  if (summarised.processes.empty()) {
    if (flags.json) {
      output.Print(RenderJson(summarised, nullptr, std::nullopt));
    } else {
      print(fmt::format("{}; it left no recording in {}\n", HowItEnded(summarised), Printable(run.output_directory)));
    }
    return output.Close();
  }
  // At once: what comes next may take a while, and what ended the program may end us.
  if (!flags.json) print(HowItEnded(summarised) + (summarised.was_ended() ? "; live by line:\n" : "\n"));
  ASSIGN_OR_RETURN(const MainReport report, LoadMainReport(summarised.main().file, flags));
  ASSIGN_OR_RETURN(const std::optional<JointReport> joint, LoadJointReport(summarised, flags, report.view));
  if (flags.json) {
    output.Print(RenderJson(summarised, &report, joint));
  } else {
    print(RenderText(summarised, report, joint, flags));
  }
  return output.Close();
}

}  // namespace allocline
