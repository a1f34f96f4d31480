#include "tools/run_processes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "recording/reader.h"
#include "report/escape.h"
#include "report/inherited.h"
#include "report/path_text.h"
#include "report/size_text.h"

namespace allocline {
namespace {

constexpr size_t kFurtherProcesses = 10;         // more of them are only counted
constexpr uint64_t kSmallPeakBytes = 256 << 10;  // more than a shell comes to that runs a line

std::string NameOf(const RunProcess& process) { return Printable(Basename(process.file.header.program)); }

// A fork that went on to exec: all it knows it inherited, and its parent's recording has that.
bool RecordedNothing(const format::FileHeader& header) {
  return (header.flags & format::kFlagForked) != 0 && (header.state & format::kStateActive) == 0;
}

RunProcess Inspect(RecordingFile file) {
  RunProcess process{.file = std::move(file)};
  const absl::StatusOr<Recording> recording = Recording::Open(process.file.path);
  if (recording.ok()) {
    process.live_bytes = recording->live_bytes();
    process.peak_bytes = recording->peak_bytes();
    std::vector<SiteCounters> counters = recording->Counters();
    process.inherited_bytes = TakeOffInherited(*recording, &counters).allocated_bytes;
  }
  process.is_running = IsRunning(process.file.header);
  process.evidence = EvidenceOf(process.file.header);
  return process;
}

// Programs that in this run became another one: the shells of a script that looks for an interpreter, env, nohup. Of
// little interest each, and often many, with what else of them runs on the way. Gives the highest peak any came to.
std::map<std::string_view, uint64_t> Launchers(const std::vector<RunProcess>& processes) {
  std::map<uint32_t, uint64_t> last_start;
  for (const RunProcess& process : processes) {
    uint64_t& last = last_start[process.file.header.pid];
    last = std::max(last, process.file.header.start_monotonic_ns);
  }
  std::map<std::string_view, uint64_t> launchers;
  for (const RunProcess& process : processes) {
    const format::FileHeader& header = process.file.header;
    if (header.start_monotonic_ns >= last_start[header.pid]) continue;
    uint64_t& peak = launchers[header.program];
    peak = std::max(peak, process.peak_bytes);
  }
  return launchers;
}

std::string RenderProcess(const RunProcess& process) {
  return fmt::format("also {} (pid {}{}): peak {}, live {}: {}\n", NameOf(process), process.file.header.pid,
                     process.is_running ? ", still running" : "", SizeText(process.peak_bytes),
                     SizeText(process.live_bytes), Printable(process.file.path));
}

// `processes`: the highest peak first.
std::string RenderLaunchers(const std::vector<const RunProcess*>& processes) {
  std::map<std::string, int> counts;
  for (const RunProcess* process : processes) ++counts[NameOf(*process)];
  std::string text;
  for (const auto& [name, count] : counts) text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", name, count);
  return fmt::format("and of programs that ran others in their place: {}, peak at most {}\n", text,
                     SizeText(processes.front()->peak_bytes));
}

}  // namespace

std::vector<RunProcess> CollectProcesses(const std::string& directory, uint64_t run_id) {
  std::vector<RunProcess> processes;
  for (RecordingFile& file :
       FindRecordings(directory, [&](const format::FileHeader& header) { return header.run_id == run_id; })) {
    if (RecordedNothing(file.header) && !IsRunning(file.header) && unlink(file.path.c_str()) == 0) continue;
    processes.push_back(Inspect(std::move(file)));
  }
  std::ranges::stable_sort(processes, std::ranges::greater{}, &RunProcess::peak_bytes);
  std::vector<const format::FileHeader*> headers;
  for (const RunProcess& process : processes) headers.push_back(&process.file.header);
  const std::vector<std::optional<size_t>> parents = FindParents(headers);
  for (size_t i = 0; i < processes.size(); ++i) {
    processes[i].forked_from = parents[i];
    if (!parents[i]) processes[i].inherited_bytes = 0;
  }
  return processes;
}

std::vector<const RunProcess*> AliveWith(const RunProcess& victim, const std::vector<RunProcess>& processes) {
  std::vector<const RunProcess*> alive;
  for (const RunProcess& process : processes) {
    const format::FileHeader& header = process.file.header;
    const bool is_past = std::ranges::any_of(processes, [&](const RunProcess& other) {
      return other.file.header.pid == header.pid && other.file.header.start_monotonic_ns > header.start_monotonic_ns;
    });
    const bool had_ended = (header.state & format::kStateEndedByItself) != 0 &&
                           header.end_monotonic_ns < victim.file.header.sample_monotonic_ns;
    if (!is_past && !had_ended) alive.push_back(&process);
  }
  return alive;
}

std::string RenderFurtherProcesses(const std::vector<RunProcess>& processes) {
  const std::map<std::string_view, uint64_t> launchers = Launchers(processes);
  std::vector<const RunProcess*> further, on_the_way;
  for (size_t i = 1; i < processes.size(); ++i) {
    const auto launcher = launchers.find(processes[i].file.header.program);
    // A program that began itself anew may have workers, too: those that hold much more are processes like any.
    const bool is_launcher =
        launcher != launchers.end() && processes[i].peak_bytes <= std::max(2 * launcher->second, kSmallPeakBytes);
    (is_launcher ? on_the_way : further).push_back(&processes[i]);
  }
  std::string text;
  for (size_t i = 0; i < further.size() && i < kFurtherProcesses; ++i) text += RenderProcess(*further[i]);
  if (further.size() > kFurtherProcesses) {
    text += fmt::format("and {} more recordings beside them\n", further.size() - kFurtherProcesses);
  }
  if (!on_the_way.empty()) text += RenderLaunchers(on_the_way);
  return text;
}

ProcessRow RowOf(const RunProcess& process) {
  const format::FileHeader& header = process.file.header;
  const bool exited = (header.state & format::kStateEndedByItself) != 0;
  return {.program = NameOf(process),
          .pid = header.pid,
          .end = process.is_running ? "running"
                 : exited           ? "exited"
                                    : "killed",
          .live_bytes = process.live_bytes - std::min(process.inherited_bytes, process.live_bytes),
          .inherited_bytes = process.inherited_bytes,
          .peak_bytes = process.peak_bytes,
          .rss_bytes = header.rss_bytes,
          .leading_line = ""};
}

}  // namespace allocline
