#include "report/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/escape.h"
#include "report/summary_json.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

std::string_view KindName(format::SnapshotKind kind) {
  switch (kind) {
    case format::SnapshotKind::kLabelled:
      return "label";
    case format::SnapshotKind::kCheckpoint:
      return "checkpoint";
    case format::SnapshotKind::kRung:
      return "limit";
    case format::SnapshotKind::kFailedAllocation:
      return "failed-allocation";
    case format::SnapshotKind::kTooLargeRequest:
      return "too-large-request";
  }
  return "unknown";
}

std::string KnownOrEmpty(uint64_t value) { return value == 0 ? "" : fmt::format("{}", value); }

Json FiguresJson(uint64_t elapsed_ns, const TimelinePoint& point) {
  return {{"elapsed_ns", elapsed_ns},
          {"live_bytes", point.live_bytes},
          {"rss_bytes", KnownOrNull(point.rss_bytes)},
          {"container_usage_bytes", KnownOrNull(point.container_usage_bytes)},
          {"container_limit_bytes", KnownOrNull(point.container_limit_bytes)}};
}

std::string CsvText(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : ValidUtf8(text)) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string CsvLine(uint64_t elapsed_ns, const TimelinePoint& point, const std::string& mark) {
  return fmt::format("{}.{:09},{},{},{},{},{}\r\n", elapsed_ns / 1'000'000'000, elapsed_ns % 1'000'000'000,
                     point.live_bytes, KnownOrEmpty(point.rss_bytes), KnownOrEmpty(point.container_usage_bytes),
                     KnownOrEmpty(point.container_limit_bytes), mark);
}

}  // namespace

uint64_t TimelineView::limit() const {
  const uint64_t container = points.empty() ? 0 : points.back().container_limit_bytes;
  if (container == 0 || emulated_limit == 0) return std::max(container, emulated_limit);
  return std::min(container, emulated_limit);
}

TimelineView MakeTimeline(const Recording& recording, const std::optional<TimelinePoint>& now) {
  const format::FileHeader& header = recording.header();
  const auto after_start = [&](uint64_t ns) {
    return ns > header.start_monotonic_ns ? ns - header.start_monotonic_ns : 0;
  };
  TimelineView timeline{.recording = recording.path(),
                        .program = header.program,
                        .host = header.host,
                        .pid = header.pid,
                        .running = now.has_value(),
                        .start_realtime_ns = header.start_realtime_ns,
                        .end_ns = after_start(header.end_monotonic_ns),
                        .points_taken = header.timeline_points,
                        .emulated_limit = header.emulated_limit_bytes,
                        .points = recording.timeline(),
                        .marks = {}};
  if (now) {
    timeline.points.push_back(*now);
    // As in the tracer: a clock that went back stands still.
    if (const size_t count = timeline.points.size(); count > 1) {
      uint64_t& last = timeline.points.back().monotonic_ns;
      last = std::max(last, timeline.points[count - 2].monotonic_ns);
    }
  }
  for (TimelinePoint& point : timeline.points) {
    point.monotonic_ns = after_start(point.monotonic_ns);
    timeline.end_ns = std::max(timeline.end_ns, point.monotonic_ns);
  }
  for (const RecordedSnapshot& snapshot : recording.snapshots()) {
    timeline.marks.push_back({.elapsed_ns = after_start(snapshot.monotonic_ns),
                              .label = snapshot.label,
                              .kind = snapshot.kind,
                              .rows = snapshot.rows,
                              .figures = {.monotonic_ns = after_start(snapshot.monotonic_ns),
                                          .live_bytes = snapshot.live_bytes,
                                          .rss_bytes = snapshot.rss_bytes,
                                          .container_usage_bytes = snapshot.container_usage_bytes,
                                          .container_limit_bytes = snapshot.container_limit_bytes}});
    timeline.end_ns = std::max(timeline.end_ns, timeline.marks.back().elapsed_ns);
  }
  std::stable_sort(timeline.marks.begin(), timeline.marks.end(),
                   [](const TimelineMark& a, const TimelineMark& b) { return a.elapsed_ns < b.elapsed_ns; });
  return timeline;
}

std::string RenderTimelineCsv(const TimelineView& timeline) {
  std::string csv = "seconds,live_bytes,rss_bytes,container_usage_bytes,container_limit_bytes,kind,label,rows\r\n";
  auto mark = timeline.marks.begin();
  const auto add_marks_up_to = [&](uint64_t time) {
    for (; mark != timeline.marks.end() && mark->elapsed_ns <= time; ++mark) {
      const std::string rows = mark->rows == format::kRowsNotGiven ? "" : fmt::format("{}", mark->rows);
      csv += CsvLine(mark->elapsed_ns, mark->figures,
                     fmt::format("{},{},{}", KindName(mark->kind), CsvText(mark->label), rows));
    }
  };
  for (const TimelinePoint& point : timeline.points) {
    add_marks_up_to(point.monotonic_ns);
    csv += CsvLine(point.monotonic_ns, point, ",,");
  }
  add_marks_up_to(UINT64_MAX);
  return csv;
}

std::string RenderTimelineJson(const TimelineView& timeline) {
  Json points = Json::array(), marks = Json::array();
  for (const TimelinePoint& point : timeline.points) points.push_back(FiguresJson(point.monotonic_ns, point));
  for (const TimelineMark& mark : timeline.marks) {
    Json json = FiguresJson(mark.elapsed_ns, mark.figures);
    json["kind"] = KindName(mark.kind);
    json["label"] = ValidUtf8(mark.label);
    json["rows"] = mark.rows == format::kRowsNotGiven ? Json(nullptr) : Json(mark.rows);
    marks.push_back(std::move(json));
  }
  const Json document = {{"schema", "allocline.timeline/1"},
                         {"recording", ValidUtf8(timeline.recording)},
                         {"program", ValidUtf8(timeline.program)},
                         {"pid", timeline.pid},
                         {"host", ValidUtf8(timeline.host)},
                         {"running", timeline.running},
                         {"start_realtime_ns", timeline.start_realtime_ns},
                         {"elapsed_ns", timeline.end_ns},
                         {"limit_bytes", KnownOrNull(timeline.limit())},
                         {"emulated_limit_bytes", KnownOrNull(timeline.emulated_limit)},
                         {"points_taken", timeline.points_taken},
                         {"points", std::move(points)},
                         {"marks", std::move(marks)}};
  return document.dump(2) + "\n";
}

}  // namespace allocline
