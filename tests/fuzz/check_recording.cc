#include "tests/fuzz/check_recording.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "recording/builder.h"
#include "recording/reader.h"

namespace allocline {
namespace {

std::string CheckRefusal(const absl::Status& status) {
  const std::string message(status.message());
  if (message.find("fuzzed") != 0) return fmt::format("'{}' does not begin with the name of the file", message);
  if (message.find('\n') != std::string::npos) return fmt::format("'{}' is not one line", message);
  return "";
}

bool Ends(const char* text, size_t capacity) { return memchr(text, '\0', capacity) != nullptr; }

std::string CheckValues(const Recording& recording) {
  const size_t sites = recording.sites().size();
  if (recording.Counters().size() != sites) return "counters of another number of sites";
  for (SiteId site = 0; site <= sites; ++site) {
    const std::vector<format::Frame> stack = recording.Stack(site);
    if (stack.size() > recording.nodes().size()) return fmt::format("the stack of site {} has no end", site);
    for (format::Frame frame : stack) {
      if (frame == 0) return fmt::format("the stack of site {} has an empty frame", site);
      const RecordedModule* module = recording.FindModule(frame);
      const uint64_t call = format::AddressOf(frame) - 1;
      if (module != nullptr && (call < module->start || call >= module->end)) return "a frame in the wrong module";
      const RecordedCode* code = recording.FindCode(frame);
      if (code != nullptr && code->id != format::CodeOf(frame)) return "a frame of the wrong code";
    }
  }
  for (const RecordedThread& thread : recording.threads()) {
    SiteId next = 0;
    for (const auto& [site, counters] : thread.counters) {
      if (site < next || site >= sites || !counters.any()) return fmt::format("a thread counts for site {}", site);
      next = site + 1;
    }
  }
  for (size_t i = 0; i < recording.snapshots().size(); ++i) {
    if (recording.CountersAt(i).size() != sites) return "a snapshot of another number of sites";
    SiteId next = 0;
    for (const auto& [site, growth] : recording.snapshots()[i].growth) {
      if (site < next || site >= sites) return fmt::format("a snapshot counts for site {}", site);
      next = site + 1;
    }
    const auto found = recording.FindSnapshot(recording.snapshots()[i].label);
    if (!found.ok() || *found < i) return "a label that is not found";
  }
  if (recording.peak_copy()) {
    int64_t previous = -1;
    for (const auto& [site, live] : recording.peak_copy()->live) {
      if (site <= previous || site >= sites || live.freed_bytes != 0)
        return fmt::format("live at the peak: site {}", site);
      previous = site;
    }
  }
  uint64_t before = 0;
  for (const TimelinePoint& point : recording.timeline()) {
    if (point.monotonic_ns < before) return "a timeline that goes back";
    before = point.monotonic_ns;
  }
  const format::FileHeader& header = recording.header();
  if (!Ends(header.program, sizeof(header.program)) || !Ends(header.host, sizeof(header.host)) ||
      !Ends(header.allocator, sizeof(header.allocator)) ||
      !Ends(header.python_runtime, sizeof(header.python_runtime)) ||
      !Ends(header.directory, sizeof(header.directory)) ||
      !Ends(header.container_path, sizeof(header.container_path))) {
    return "a text of the header has no end";
  }
  if (recording.peak_bytes() < recording.live_bytes()) return "a peak below what is live";
  return "";
}

std::string CheckWritingAgain(const Recording& recording) {
  for (const RecordedSnapshot& snapshot : recording.snapshots()) {
    if (snapshot.label.size() > format::kMaxLabelBytes) return "";  // is cut
  }
  const std::string written = RecordingBuilder(recording).Build();
  const absl::StatusOr<Recording> again = Recording::Parse(written, "written again");
  if (!again.ok()) return fmt::format("what was read cannot be written: {}", std::string(again.status().message()));
  if (again->modules() != recording.modules()) return "other modules when written again";
  if (again->nodes() != recording.nodes()) return "other nodes when written again";
  if (again->sites() != recording.sites()) return "other sites when written again";
  if (again->threads() != recording.threads()) return "other threads when written again";
  if (again->snapshots() != recording.snapshots()) return "other snapshots when written again";
  if (again->codes() != recording.codes()) return "other code when written again";
  if (again->symbols() != recording.symbols()) return "other symbols when written again";
  if (again->differences() != recording.differences()) return "other differences when written again";
  if (again->timeline() != recording.timeline()) return "another timeline when written again";
  if (again->ledger() != recording.ledger()) return "another ledger when written again";
  if (again->peak_copy() != recording.peak_copy()) return "another copy of the peak when written again";
  if (again->live_bytes() != recording.live_bytes()) return "other live bytes when written again";
  return "";
}

}  // namespace

std::string CheckRecording(std::string_view bytes) {
  const absl::StatusOr<Recording> recording = Recording::Parse(bytes, "fuzzed");
  if (!recording.ok()) return CheckRefusal(recording.status());
  if (std::string wrong = CheckValues(*recording); !wrong.empty()) return wrong;
  return recording->damage().empty() ? CheckWritingAgain(*recording) : "";
}

}  // namespace allocline
