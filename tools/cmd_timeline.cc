// allocline timeline: memory over time, as a plot, CSV or JSON.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/clock.h"
#include "report/timeline.h"
#include "tools/command.h"
#include "tools/live_process.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct TimelineFlags {
  std::string target;
  size_t width = 0, height = 0;  // 0: as the terminal is
  bool csv = false, json = false;
};

constexpr size_t kUsualWidth = 100, kUsualHeight = 16;

// As the terminal shows characters: the first of these that is set decides (POSIX).
bool TerminalIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale = value;
    std::transform(locale.begin(), locale.end(), locale.begin(), [](unsigned char c) { return tolower(c); });
    return locale.find("utf-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

PlotOptions OptionsOf(const TimelineFlags& flags) {
  PlotOptions options{.width = kUsualWidth, .height = kUsualHeight, .utf8 = TerminalIsUtf8()};
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width = size.ws_col;
    // The plot, what stands above and below it, and some marks.
    if (size.ws_row > 0) options.height = std::clamp<size_t>(size.ws_row / 2, 8, 40);
  }
  if (flags.width != 0) options.width = flags.width;
  if (flags.height != 0) options.height = flags.height;
  return options;
}

// Of a running process, what the kernel says of it now.
std::optional<TimelinePoint> PresentOf(const Target& target) {
  if (!target.process) return std::nullopt;
  const ProcessMemory memory = ReadProcessMemory(*target.process);
  if (memory.rss_bytes == 0) return std::nullopt;  // it has ended meanwhile
  return TimelinePoint{.monotonic_ns = MonotonicNow(),
                       .live_bytes = target.recording.live_bytes(),
                       .rss_bytes = memory.rss_bytes,
                       .container_usage_bytes = memory.container.usage_bytes,
                       .container_limit_bytes = memory.container.limit_bytes};
}

// Why there is no point.
std::string WhyEmpty(const Recording& recording) {
  const format::FileHeader& header = recording.header();
  if ((header.flags & format::kFlagSnapshot) != 0) {
    return "a snapshot that stands alone is of one moment; ask the recording it was made of";
  }
  if (header.minor < 3) {
    return fmt::format("format {}.{} had none; record it again with this version", header.major, header.minor);
  }
  for (const std::string& damage : recording.damage()) {
    if (damage.ends_with("table of timeline are not in the file")) return "the file was cut short: " + damage;
  }
  if ((header.state & format::kStateDiskFull) != 0) return "its disk was full before the first";
  if ((header.state & format::kStateTableFull) != 0) return "the recording had no room for the first";
  return header.timeline_points == 0 ? "it ended before the first" : "they are missing from the file";
}

absl::Status ShowTimeline(const TimelineFlags& flags) {
  ASSIGN_OR_RETURN(const Target target, OpenTarget(flags.target));
  const TimelineView timeline = MakeTimeline(target.recording, PresentOf(target));
  if (timeline.points.empty()) {
    return absl::NotFoundError(fmt::format("{}: has no points over time: {}", target.path, WhyEmpty(target.recording)));
  }
  RETURN_IF_ERROR(PrintAnswer(flags.csv    ? RenderTimelineCsv(timeline)
                              : flags.json ? RenderTimelineJson(timeline)
                                           : RenderTimeline(timeline, OptionsOf(flags))));
  return CheckWhole(target);
}

}  // namespace

int TimelineMain(Arguments arguments) {
  CLI::App app("Shows what a process and its container held over time.", "allocline timeline");
  TimelineFlags flags;
  app.add_option("RECORDING", flags.target, "a recording, or the PID of a running traced process")->required();
  app.add_option("--width", flags.width, "columns in all (default: the terminal's, or 100)")
      ->check(CLI::Range(20, 1000))
      ->type_name("COLUMNS");
  app.add_option("--height", flags.height, "rows of the plot (default: half of the terminal's, or 16)")
      ->check(CLI::Range(2, 200))
      ->type_name("ROWS");
  CLI::Option* csv = app.add_flag("--csv", flags.csv, "print the points and the marks as CSV");
  app.add_flag("--json", flags.json, "print one JSON object")->excludes(csv);
  return RunCommand(app, std::move(arguments), [&] { return ShowTimeline(flags); });
}

}  // namespace allocline
