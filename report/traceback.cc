#include "report/traceback.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "report/python_repr.h"
#include "report/source_lines.h"

namespace allocline {

std::strong_ordering Frame::operator<=>(const Frame& other) const {
  if (auto order = file <=> other.file; order != 0) return order;
  return line <=> other.line;
}

Frame FrameOf(const Location& location) {
  return {.file = location.where,
          .line = location.file.empty() ? 0 : location.line,
          .function = location.function,
          .module = location.module,
          .is_file = !location.file.empty()};
}

Traceback::Traceback(std::vector<Frame> frames, std::optional<uint32_t> total_frames)
    : frames_(std::move(frames)), total_frames_(total_frames) {}

Traceback::Traceback(const StackTable& stacks, StackId stack) {
  for (LocationId id : stacks.Frames(stack)) frames_.push_back(FrameOf(stacks.locations()[id]));
  std::reverse(frames_.begin(), frames_.end());
}

std::vector<std::string> Traceback::Format(std::optional<int> limit, bool most_recent_first) const {
  size_t begin = 0, end = frames_.size();
  if (limit && *limit > 0) {
    begin = end - std::min(end, static_cast<size_t>(*limit));
  } else if (limit) {  // [:limit]: without the -limit most recent ones, and nothing for 0
    size_t cut = static_cast<size_t>(-static_cast<int64_t>(*limit));
    end = cut == 0 ? 0 : end - std::min(end, cut);
  }
  std::vector<std::string> lines;
  SourceLines sources;
  for (size_t i = begin; i < end; ++i) {
    const Frame& frame = frames_[most_recent_first ? end - 1 - (i - begin) : i];
    lines.push_back(fmt::format("  File \"{}\", line {}", frame.file, frame.line));
    std::string_view source = sources.Get(frame.file, frame.line);
    if (!source.empty()) lines.push_back(fmt::format("    {}", source));
  }
  return lines;
}

std::string Str(const Frame& frame) { return fmt::format("{}:{}", frame.file, frame.line); }

std::string Repr(const Frame& frame) {
  return fmt::format("<Frame filename={} lineno={}>", PythonRepr(frame.file), frame.line);
}

std::string Str(const Traceback& traceback) { return traceback.size() == 0 ? "" : Str(traceback[0]); }

std::string Repr(const Traceback& traceback) {
  std::string frames;
  for (size_t i = 0; i < traceback.size(); ++i) {
    if (i > 0) frames += ", ";
    frames += Repr(traceback[i]);
  }
  if (traceback.size() == 1) frames += ',';  // how Python writes a tuple of one
  std::string total = traceback.total_frames() ? fmt::format(" total_nframe={}", *traceback.total_frames()) : "";
  return fmt::format("<Traceback ({}){}>", frames, total);
}

}  // namespace allocline
