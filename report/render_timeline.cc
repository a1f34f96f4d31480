// The timeline as a plot:
//
//     512 MiB ┤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄     limit
//             ┤                          ══╪═══
//     256 MiB ┤                ════════──────█     container, RSS: lines, over
//             ┤      ══════────────▄▄▄███████      live bytes, which are filled
//           0 ┼───────────a─────────────b─────
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/escape.h"
#include "report/path_text.h"
#include "report/size_text.h"
#include "report/timeline.h"

namespace allocline {
namespace {

using Series = uint64_t TimelinePoint::*;

struct Glyphs {
  const char* eighths[9];  // of a cell, from the bottom
  const char *rss, *container, *limit, *axis, *corner, *tick;
};
constexpr Glyphs kUtf8 = {{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "─", "═", "┄", "─", "┼", "┤"};
constexpr Glyphs kAscii = {{" ", " ", ".", ".", ".", ":", ":", "#", "#"}, "-", "=", "~", "-", "+", "|"};

constexpr std::string_view kNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr size_t kLabelColumns = 40;
constexpr size_t kMostColumns = 1000;

std::string Bytes(uint64_t bytes) { return SizeText(static_cast<double>(bytes)); }

// "0.25 s", "90 s", "5 min", "3.5 h": with as many digits as `span` calls for.
std::string TimeText(uint64_t ns, uint64_t span_ns) {
  const double seconds = static_cast<double>(ns) / 1e9, span = static_cast<double>(span_ns) / 1e9;
  if (span >= 36'000) return fmt::format("{:.1f} h", seconds / 3600);
  if (span >= 600) return fmt::format("{:.1f} min", seconds / 60);
  return fmt::format("{:.{}f} s", seconds, span < 0.1 ? 4 : span < 1 ? 3 : span < 10 ? 2 : 1);
}

// What a series comes to in each column's stretch of time, its highest; negative where it is not known.
std::vector<double> Sample(const std::vector<TimelinePoint>& points, Series series, uint64_t end_ns, size_t columns) {
  std::vector<double> highest(columns, -1);
  const double scale = static_cast<double>(columns) / static_cast<double>(std::max<uint64_t>(end_ns, 1));
  const auto position = [&](const TimelinePoint& point) { return static_cast<double>(point.monotonic_ns) * scale; };
  const auto raise = [&](double at, double value) {
    const size_t column = std::min(columns - 1, static_cast<size_t>(at));
    highest[column] = std::max(highest[column], value);
  };
  const auto known = [&](const TimelinePoint& point) {
    return series == &TimelinePoint::live_bytes || point.*series != 0;
  };
  for (size_t i = 0; i < points.size(); ++i) {
    if (!known(points[i])) continue;
    const double at = position(points[i]), value = static_cast<double>(points[i].*series);
    raise(at, value);
    if (i + 1 == points.size() || !known(points[i + 1])) continue;
    // The straight line to the next one, where it enters each column and where it leaves it.
    const double next_at = position(points[i + 1]), next_value = static_cast<double>(points[i + 1].*series);
    for (double edge = std::floor(at) + 1; edge < next_at; edge += 1) {
      const double there = value + (next_value - value) * (edge - at) / (next_at - at);
      raise(edge - 0.5, there);
      raise(edge, there);
    }
  }
  return highest;
}

uint64_t Highest(const std::vector<TimelinePoint>& points, Series series) {
  uint64_t highest = 0;
  for (const TimelinePoint& point : points) highest = std::max(highest, point.*series);
  return highest;
}

class Plot {
 public:
  Plot(const TimelineView& timeline, const PlotOptions& options)
      : timeline_(timeline),
        glyphs_(options.utf8 ? kUtf8 : kAscii),
        height_(std::clamp<size_t>(options.height, 2, 200)),
        limit_(timeline.limit()) {
    const uint64_t held = std::max({Highest(timeline.points, &TimelinePoint::live_bytes),
                                    Highest(timeline.points, &TimelinePoint::rss_bytes),
                                    Highest(timeline.points, &TimelinePoint::container_usage_bytes), uint64_t{1}});
    // A limit that is far away would leave nothing to see.
    shows_limit_ = limit_ != 0 && limit_ / 4 <= held;
    top_ = static_cast<double>(shows_limit_ ? std::max(held, limit_) : held);
    for (size_t row = 0; row <= height_; ++row) label_columns_ = std::max(label_columns_, LabelOf(row).size());
    const size_t width = std::min(options.width, kMostColumns);
    columns_ = width > label_columns_ + 12 ? width - label_columns_ - 2 : 10;
  }

  std::string Render() const {
    const auto live = Sample(timeline_.points, &TimelinePoint::live_bytes, timeline_.end_ns, columns_);
    const auto rss = Sample(timeline_.points, &TimelinePoint::rss_bytes, timeline_.end_ns, columns_);
    const auto container = Sample(timeline_.points, &TimelinePoint::container_usage_bytes, timeline_.end_ns, columns_);
    std::string text;
    for (size_t row = height_; row > 0; --row) {
      text += fmt::format("{:>{}} {}", LabelOf(row), label_columns_, glyphs_.tick);
      for (size_t column = 0; column < columns_; ++column) {
        const size_t cell = row - 1;  // counted from the bottom
        const char* glyph = Filled(live[column], cell);
        if (shows_limit_ && CellOf(static_cast<double>(limit_)) == cell) glyph = glyphs_.limit;
        if (rss[column] >= 0 && CellOf(rss[column]) == cell) glyph = glyphs_.rss;
        if (container[column] >= 0 && CellOf(container[column]) == cell) glyph = glyphs_.container;
        text += glyph;
      }
      TrimEnd(&text);
      text += "\n";
    }
    return text + Axis() + Times() + Legend();
  }

 private:
  // The line that separates `row` cells from those above is at this size.
  std::string LabelOf(size_t row) const {
    if (row == 0) return "0";
    const size_t distance = std::max<size_t>(height_ / 4, 1);
    if (row != height_ && (row % distance != 0 || height_ - row < distance)) return "";
    return Bytes(static_cast<uint64_t>(top_ * static_cast<double>(row) / static_cast<double>(height_)));
  }
  size_t CellOf(double value) const {
    const double cell = std::ceil(value / top_ * static_cast<double>(height_)) - 1;
    return static_cast<size_t>(std::clamp(cell, 0.0, static_cast<double>(height_ - 1)));
  }
  const char* Filled(double value, size_t cell) const {
    const double filled = value / top_ * static_cast<double>(height_) - static_cast<double>(cell);
    return glyphs_.eighths[static_cast<size_t>(std::lround(std::clamp(filled, 0.0, 1.0) * 8))];
  }
  size_t ColumnOf(uint64_t elapsed_ns) const {
    const double part = static_cast<double>(elapsed_ns) / static_cast<double>(std::max<uint64_t>(timeline_.end_ns, 1));
    return std::min(columns_ - 1, static_cast<size_t>(part * static_cast<double>(columns_)));
  }
  static void TrimEnd(std::string* text) { text->erase(text->find_last_not_of(' ') + 1); }

  std::string Axis() const {
    std::vector<std::string> axis(columns_, glyphs_.axis);
    for (size_t i = 0; i < std::min(timeline_.marks.size(), kNames.size()); ++i) {
      axis[ColumnOf(timeline_.marks[i].elapsed_ns)] = kNames.substr(i, 1);
    }
    std::string text = fmt::format("{:>{}} {}", "0", label_columns_, glyphs_.corner);
    for (const std::string& cell : axis) text += cell;
    return text + "\n";
  }
  std::string Times() const {
    const std::string end = TimeText(timeline_.end_ns, timeline_.end_ns);
    const std::string middle = TimeText(timeline_.end_ns / 2, timeline_.end_ns);
    std::string line(columns_, ' ');
    const auto put = [&](size_t at, const std::string& text) {
      if (at + text.size() <= line.size()) line.replace(at, text.size(), text);
    };
    put(0, "0 s");
    if (columns_ > 3 * (end.size() + middle.size())) put(columns_ / 2 - middle.size() / 2, middle);
    put(columns_ - std::min(columns_, end.size()), end);
    return std::string(label_columns_ + 2, ' ') + line + "\n";
  }
  std::string Legend() const {
    std::vector<std::pair<std::string, std::string>> entries;  // a glyph, and what it stands for
    const auto add = [&](const char* glyph, std::string_view name, Series series) {
      const uint64_t highest = Highest(timeline_.points, series);
      if (highest > 0) entries.emplace_back(glyph, fmt::format("{}, most {}", name, Bytes(highest)));
    };
    add(glyphs_.eighths[8], "live bytes", &TimelinePoint::live_bytes);
    add(glyphs_.rss, "RSS", &TimelinePoint::rss_bytes);
    add(glyphs_.container, "container", &TimelinePoint::container_usage_bytes);
    if (limit_ != 0) {
      entries.emplace_back(shows_limit_ ? glyphs_.limit : " ",
                           fmt::format("limit {}{}{}", Bytes(limit_), shows_limit_ ? "" : ", far above",
                                       limit_ == timeline_.emulated_limit ? " (emulated)" : ""));
    }
    // Side by side as far as there is room.
    std::string text;
    size_t used = columns_;
    for (const auto& [glyph, meaning] : entries) {
      const size_t columns = meaning.size() + 5;
      if (used + columns > columns_) {
        text += fmt::format("{}{:{}}", text.empty() ? "" : "\n", "", label_columns_ + 2);
        used = 0;
      } else {
        text += "   ";
      }
      text += fmt::format("{} {}", glyph, meaning);
      used += columns;
    }
    return text + "\n";
  }

  const TimelineView& timeline_;
  const Glyphs& glyphs_;
  const size_t height_;
  const uint64_t limit_;
  bool shows_limit_ = false;
  double top_ = 1;
  size_t label_columns_ = 0;
  size_t columns_ = 10;
};

std::string MarkList(const TimelineView& timeline) {
  std::string text;
  for (size_t i = 0; i < std::min(timeline.marks.size(), kNames.size()); ++i) {
    const TimelineMark& mark = timeline.marks[i];
    std::string label = Printable(mark.label);
    if (label.size() > kLabelColumns) {
      size_t end = kLabelColumns - 3;
      while (end > 0 && (static_cast<unsigned char>(label[end]) & 0xc0) == 0x80) --end;  // not within a character
      label = label.substr(0, end) + "...";
    }
    const uint64_t usage = mark.figures.container_usage_bytes;
    text +=
        fmt::format("  {}  {:>9}  {:<20}  live {}, RSS {}{}{}\n", kNames[i], TimeText(mark.elapsed_ns, timeline.end_ns),
                    label.empty() ? "(no label)" : label, Bytes(mark.figures.live_bytes), Bytes(mark.figures.rss_bytes),
                    usage == 0 ? "" : fmt::format(", container {}", Bytes(usage)),
                    mark.rows == format::kRowsNotGiven ? "" : fmt::format(", {} rows", mark.rows));
  }
  if (timeline.marks.size() > kNames.size()) {
    text += fmt::format("  {} more: --json or --csv lists all\n", timeline.marks.size() - kNames.size());
  }
  return text;
}

}  // namespace

std::string RenderTimeline(const TimelineView& timeline, const PlotOptions& options) {
  std::string text =
      fmt::format("{} (pid {}), {} after {}", Printable(Basename(timeline.program)), timeline.pid,
                  timeline.running ? "running" : "last seen", TimeText(timeline.end_ns, timeline.end_ns));
  text += timeline.points_taken > timeline.points.size()
              ? fmt::format("; {} of {} points\n", timeline.points.size(), timeline.points_taken)
              : fmt::format("; {}\n", CountText(static_cast<int64_t>(timeline.points.size()), "point"));
  return text + Plot(timeline, options).Render() + MarkList(timeline);
}

}  // namespace allocline
