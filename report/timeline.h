// What a process and its container held over time, and the moments that were marked on the way: one view of a
// recording, drawn in a terminal, or as CSV or JSON for other programs.
//
// Points are those the process kept (tracer/timeline.h): where its memory moved they are close together, and where it
// did not, far apart; a straight line between two is what is known of the time between.
#ifndef ALLOCLINE_REPORT_TIMELINE_H_
#define ALLOCLINE_REPORT_TIMELINE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recording/reader.h"

namespace allocline {

// A labelled snapshot.
struct TimelineMark {
  uint64_t elapsed_ns = 0;
  std::string label;  // as the program gave it
  format::SnapshotKind kind = format::SnapshotKind::kLabelled;
  uint64_t rows = format::kRowsNotGiven;
  TimelinePoint figures;
};

struct TimelineView {
  std::string recording, program, host;  // paths as recorded
  uint32_t pid = 0;
  bool running = false;
  uint64_t start_realtime_ns = 0;
  uint64_t end_ns = 0;                // after the start: the last that is known of
  uint64_t points_taken = 0;          // of which `points` are what was kept
  uint64_t emulated_limit = 0;        // bytes; 0: none
  std::vector<TimelinePoint> points;  // monotonic_ns: after the start
  std::vector<TimelineMark> marks;    // by rising time

  // The limit that counted last: the container's or the emulated one, the lower of both. 0: none.
  uint64_t limit() const;
};

// `now`: of a running process, what the kernel says of it at this moment.
TimelineView MakeTimeline(const Recording& recording, const std::optional<TimelinePoint>& now);

struct PlotOptions {
  size_t width = 80;   // columns in all
  size_t height = 16;  // rows of the plot itself
  bool utf8 = true;    // else ASCII alone
};

// A plot and a list of its marks. Each column shows the most that was held in its stretch of time, so that no peak is
// lost for want of columns. Text of the program is made printable.
std::string RenderTimeline(const TimelineView& timeline, const PlotOptions& options);
// RFC 4180, with a header line: points, and marks with their label, by rising time. Unknown figures are empty. Labels
// are as the program gave them, but for bytes that are not UTF-8.
std::string RenderTimelineCsv(const TimelineView& timeline);
// "allocline.timeline/1" of docs/json.md.
std::string RenderTimelineJson(const TimelineView& timeline);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_TIMELINE_H_
