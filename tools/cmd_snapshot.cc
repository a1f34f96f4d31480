// allocline snapshot: keeps one state of a process in a file that can be read anywhere, without the process's help.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "report/escape.h"
#include "tools/command.h"
#include "tools/live_process.h"
#include "tools/options.h"
#include "tools/progress_bar.h"
#include "tools/stand_alone.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct SnapshotFlags {
  std::string target, label, output;
  bool force = false, json = false;
  SymbolFlags symbols;
};

absl::Status UsageError(const std::string& message) {
  return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(message));
}

// RECORDING@LABEL, so that the same words name the snapshot afterwards.
absl::StatusOr<std::string> DefaultOutput(const Target& target, const std::string& label) {
  if (target.path.starts_with("/proc/")) {
    return UsageError(fmt::format("the recording of process {} has no name here: say where to write with -o FILE",
                                  target.recording.header().pid));
  }
  if (label.find('/') != label.npos || label.find('\0') != label.npos) {
    return UsageError(
        fmt::format("the label '{}' cannot be part of a file name: say where to write with -o FILE", label));
  }
  return fmt::format("{}@{}", target.path, label);
}

// When the snapshot is of, and what the kernel said of the process then.
RecordedSnapshot MomentOf(const Target& target, const std::string& label) {
  if (target.moment.snapshot) {
    RecordedSnapshot moment = target.recording.snapshots()[*target.moment.snapshot];
    moment.label = label;
    return moment;
  }
  if (target.moment.at_peak) return {.label = label, .monotonic_ns = target.recording.peak_copy()->monotonic_ns};
  const format::FileHeader& header = target.recording.header();
  RecordedSnapshot moment{
      .label = label,
      .monotonic_ns = header.end_monotonic_ns != 0 ? header.end_monotonic_ns : header.sample_monotonic_ns,
      .rss_bytes = header.rss_bytes,
      .container_usage_bytes = header.container_usage_bytes,
      .container_limit_bytes = header.container_limit_bytes};
  if (!target.process) return moment;
  const ProcessMemory memory = ReadProcessMemory(*target.process);
  if (memory.rss_bytes == 0) return moment;
  moment.monotonic_ns = MonotonicNow();
  moment.rss_bytes = memory.rss_bytes;
  moment.container_usage_bytes = memory.container.usage_bytes;
  moment.container_limit_bytes = memory.container.limit_bytes;
  return moment;
}

std::string JsonOf(const RecordedSnapshot& moment, const Target& target, const std::string& output) {
  const nlohmann::ordered_json document = {{"schema", "allocline.snapshot/1"},
                                           {"file", ValidUtf8(output)},
                                           {"label", ValidUtf8(moment.label)},
                                           {"recording", ValidUtf8(target.path)},
                                           {"pid", target.recording.header().pid},
                                           {"rss_bytes", moment.rss_bytes},
                                           {"container_usage_bytes", moment.container_usage_bytes},
                                           {"container_limit_bytes", moment.container_limit_bytes}};
  return document.dump(2) + "\n";
}

absl::Status Snapshot(const SnapshotFlags& flags) {
  if (flags.label.empty() || flags.label.size() > format::kMaxLabelBytes) {
    return UsageError(fmt::format("--label: expected 1 to {} bytes", format::kMaxLabelBytes));
  }
  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  ASSIGN_OR_RETURN(const Target target, OpenTarget(flags.target));
  std::string output = flags.output;
  if (output.empty()) {
    ASSIGN_OR_RETURN(output, DefaultOutput(target, flags.label));
  }

  const RecordedSnapshot moment = MomentOf(target, flags.label);
  {
    ProgressBar progress("reading symbols", [&] { return CountFrames(target.recording); });
    options.symbolizer.progress = [&](size_t done, size_t total) { progress.Update(done, total); };
    Symbolizer symbolizer(options.symbolizer);
    const RecordingBuilder copy = MakeStandAlone(target.recording, target.moment, moment, &symbolizer);
    const absl::Status written = copy.WriteFile(output, flags.force);
    if (!written.ok()) return WithExitCode(ExitCode::kCannotWrite, written);
  }
  RETURN_IF_ERROR(PrintAnswer(flags.json ? JsonOf(moment, target, output) : Printable(output) + "\n"));
  return CheckWhole(target);
}

}  // namespace

int SnapshotMain(Arguments arguments) {
  CLI::App app("Keeps the state of a recording or a running process in a file that stands alone.",
               "allocline snapshot");
  SnapshotFlags flags;
  app.add_option("RECORDING", flags.target, "a recording, RECORDING@LABEL, or the PID of a running traced process")
      ->required();
  app.add_option("--label", flags.label, "what the snapshot is called")->type_name("NAME")->required();
  app.add_option("-o,--output", flags.output, "where to write it; without, RECORDING@NAME")->type_name("FILE");
  app.add_flag("--force", flags.force, "replace a file that is there");
  app.add_flag("--json", flags.json, "print what was written as one JSON object");
  flags.symbols.AddNamesTo(app);
  return RunCommand(app, std::move(arguments), [&] { return Snapshot(flags); });
}

}  // namespace allocline
