// Frames and tracebacks as tracemalloc has them: a traceback is ordered from the oldest frame to the most recent one,
// frames compare by (file, line) alone, and the text forms are the same to the letter.
//
// Views into the profile they come from, whose StackTable must outlive them.
#ifndef ALLOCLINE_REPORT_TRACEBACK_H_
#define ALLOCLINE_REPORT_TRACEBACK_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/profile.h"

namespace allocline {

struct Frame {
  std::string_view file;  // Location::where
  uint32_t line = 0;
  std::string_view function = {};
  std::string_view module = {};
  bool is_file = true;  // `file` is a source file, not what stands for one

  bool operator==(const Frame& other) const { return file == other.file && line == other.line; }
  std::strong_ordering operator<=>(const Frame& other) const;
};

Frame FrameOf(const Location& location);

class Traceback {
 public:
  Traceback() = default;
  // `frames` oldest first. `total_frames`: how many there were before the stack was cut, if known.
  explicit Traceback(std::vector<Frame> frames, std::optional<uint32_t> total_frames = std::nullopt);
  // The frames of `stack`.
  Traceback(const StackTable& stacks, StackId stack);

  size_t size() const { return frames_.size(); }
  const Frame& operator[](size_t index) const { return frames_[index]; }  // [0] is the oldest
  const std::vector<Frame>& frames() const { return frames_; }
  std::optional<uint32_t> total_frames() const { return total_frames_; }

  bool operator==(const Traceback& other) const { return frames_ == other.frames_; }
  std::strong_ordering operator<=>(const Traceback& other) const { return frames_ <=> other.frames_; }

  // tracemalloc's Traceback.format(): two-space indented `File "...", line N` lines, each followed by its source line
  // if the file is there to be read. limit > 0: the `limit` most recent frames; limit <= 0: Python's [:limit].
  std::vector<std::string> Format(std::optional<int> limit = std::nullopt, bool most_recent_first = false) const;

 private:
  std::vector<Frame> frames_;
  std::optional<uint32_t> total_frames_;
};

// Python's str() and repr() of the classes of the same name.
std::string Str(const Frame& frame);          // a.py:2
std::string Repr(const Frame& frame);         // <Frame filename='a.py' lineno=2>
std::string Str(const Traceback& traceback);  // the oldest frame; empty for an empty traceback
std::string Repr(const Traceback& traceback);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_TRACEBACK_H_
