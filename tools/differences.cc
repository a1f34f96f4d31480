#include "tools/differences.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "absl/container/flat_hash_map.h"
#include "report/escape.h"
#include "report/path_text.h"
#include "report/resolve_frames.h"

namespace allocline {
namespace {

constexpr size_t kShownFrames = 12;  // of each part of a stack

std::string FrameText(const NamedFrame& frame) {
  const std::string module = frame.module.empty() ? "no module" : Printable(Basename(frame.module));
  if (frame.locations.empty()) return fmt::format("      {:#x} [{}]\n", frame.address, module);
  std::string text;
  for (const SourceLocation& location : frame.locations) {
    const std::string function = location.function.empty() ? fmt::format("{:#x}", frame.address) : location.function;
    const std::string place = location.file.empty() ? fmt::format("[{}]", module)
                                                    : fmt::format("{}:{}", Printable(location.file), location.line);
    text += fmt::format("      {} {}{}\n", Printable(function), place, location.inlined ? " (inlined)" : "");
  }
  return text;
}

std::string FramesText(std::span<const NamedFrame> frames) {
  std::string text;
  for (const NamedFrame& frame : frames.subspan(0, std::min(frames.size(), kShownFrames))) text += FrameText(frame);
  if (frames.size() > kShownFrames) text += fmt::format("      ... {} frames more\n", frames.size() - kShownFrames);
  return text;
}

}  // namespace

size_t Difference::common() const {
  const auto same = [](const NamedFrame& a, const NamedFrame& b) {
    return a.address == b.address && a.module == b.module;
  };
  return static_cast<size_t>(std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end(), same).first -
                             ours.begin());
}

std::vector<Difference> NameDifferences(const Recording& recording, Symbolizer* symbolizer) {
  std::vector<format::Frame> frames;
  for (const RecordedDifference& difference : recording.differences()) {
    for (const auto* stack : {&difference.ours, &difference.theirs}) {
      std::copy_if(stack->begin(), stack->end(), std::back_inserter(frames), [](auto frame) { return frame != 0; });
    }
  }
  absl::flat_hash_map<format::Frame, NamedFrame> names;
  ResolveFrames(recording, symbolizer, std::move(frames),
                [&](format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved) {
                  names[frame] = {.address = format::AddressOf(frame),
                                  .module = module != nullptr ? module->path : "",
                                  .locations = resolved.locations};
                });
  std::vector<Difference> differences;
  for (const RecordedDifference& recorded : recording.differences()) {
    Difference& difference = differences.emplace_back();
    for (format::Frame frame : recorded.ours) difference.ours.push_back(names[frame]);
    for (format::Frame frame : recorded.theirs) difference.theirs.push_back(names[frame]);
  }
  return differences;
}

std::string RenderDifferences(const std::vector<Difference>& differences) {
  std::string text;
  for (size_t i = 0; i < differences.size(); ++i) {
    const std::span<const NamedFrame> ours = differences[i].ours, theirs = differences[i].theirs;
    const size_t common = differences[i].common();
    text += fmt::format("  {}. in both, most recent first ({} frames):\n", i + 1, common);
    // Where they part is what matters: of a long common part its outer end.
    const size_t left_out = common - std::min(common, kShownFrames);
    if (left_out > 0) text += fmt::format("      ... {} frames before\n", left_out);
    text += FramesText(ours.subspan(left_out, common - left_out));
    text += fmt::format("    then the tracer ({} frames):\n{}", ours.size() - common, FramesText(ours.subspan(common)));
    text +=
        fmt::format("    and libunwind ({} frames):\n{}", theirs.size() - common, FramesText(theirs.subspan(common)));
  }
  return text;
}

}  // namespace allocline
