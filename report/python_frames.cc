#include "report/python_frames.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "recording/python_lines.h"

namespace allocline {
namespace {

// The lines of a code's instructions, asked for by rising offset: one walk through its table answers all.
class LinesOfCode {
 public:
  explicit LinesOfCode(const RecordedCode& code)
      : code_(code), ranges_(code.line_table_kind, code.first_line, code.line_table) {}

  int32_t At(uint64_t offset) {
    if (offset == format::kNoCodeOffset) {
      return PythonLine(code_.line_table_kind, code_.first_line, code_.line_table, offset);
    }
    while (offset >= range_.end) {
      if (!ranges_.Next(&range_)) return kNoPythonLine;
    }
    return range_.line;
  }

 private:
  const RecordedCode& code_;
  PythonLineRanges ranges_;
  PythonLineRange range_;
};

}  // namespace

std::string PythonFileName(const Recording& recording, const RecordedCode& code) {
  const std::string directory = recording.header().directory;
  if (code.file.empty() || code.file.starts_with('/') || code.file.starts_with('<') || directory.empty()) {
    return code.file;
  }
  std::string path = fmt::format("{}/{}", directory, code.file);
  return access(path.c_str(), F_OK) == 0 ? path : code.file;
}

void ResolvePythonFrames(const Recording& recording, std::span<const format::Frame> frames,
                         const std::function<void(format::Frame, const ResolvedAddress&)>& visit) {
  for (size_t begin = 0; begin < frames.size();) {
    const RecordedCode* code = recording.FindCode(frames[begin]);
    if (code == nullptr) {
      visit(frames[begin++], {});
      continue;
    }
    const std::string file = PythonFileName(recording, *code);
    LinesOfCode lines(*code);
    for (; begin < frames.size() && format::CodeOf(frames[begin]) == code->id; ++begin) {
      const int32_t line = std::max<int32_t>(lines.At(format::CodeOffsetOf(frames[begin])), 0);
      ResolvedAddress resolved{.level = line > 0 ? ResolutionLevel::kLine : ResolutionLevel::kSymbol};
      resolved.locations.push_back(
          {.function = code->name, .file = file, .line = static_cast<uint32_t>(line), .inlined = false});
      visit(frames[begin], resolved);
    }
  }
}

}  // namespace allocline
