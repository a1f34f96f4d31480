#include "report/frame_resolver.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/path_text.h"
#include "report/resolve_frames.h"

namespace allocline {
namespace {

std::string SyntheticText(format::Frame frame) {
  uint64_t payload = format::PayloadOf(frame);
  switch (format::KindOf(frame)) {
    case format::VirtualKind::kTruncated:
      switch (static_cast<format::TruncationReason>(payload)) {
        case format::TruncationReason::kTooDeep:
          return fmt::format("[callers unknown: more than {} frames]", format::kMaxDepth);
        case format::TruncationReason::kNested:
          return "[callers unknown: allocated by a signal handler inside the tracer]";
        case format::TruncationReason::kNoUnwinder:
          return "[callers unknown: no unwinder]";
        case format::TruncationReason::kNoUnwindInfo:
          return "[callers unknown: code without unwind information]";
        case format::TruncationReason::kBadUnwindInfo:
          return "[callers unknown: unwind information that leads astray]";
      }
      return "[callers unknown]";
    case format::VirtualKind::kOverflow:
      return "[not attributed: the recording was full]";
    case format::VirtualKind::kInherited:
      return "[inherited]";
    case format::VirtualKind::kPython:
      return "[code of Python that is missing]";
    default:
      return fmt::format("[frame of kind {}: {}]", static_cast<uint32_t>(format::KindOf(frame)), payload);
  }
}

ResolutionLevel LevelOf(const SourceLocation& location, ResolutionLevel of_address) {
  if (!location.file.empty()) return of_address;
  if (location.function.empty()) return ResolutionLevel::kModule;
  return std::min(of_address, ResolutionLevel::kSymbol);
}

}  // namespace

FrameResolver::FrameResolver(const Recording& recording, Symbolizer* symbolizer, ProfileBuilder* builder)
    : recording_(recording), symbolizer_(symbolizer), builder_(builder), python_paths_(FindPythonPaths()) {}

PythonPaths FrameResolver::FindPythonPaths() const {
  std::vector<std::string_view> files;
  for (const RecordedCode& code : recording_.codes()) files.push_back(code.file);
  return PythonPaths(files);
}

std::span<const LocationId> FrameResolver::LocationsOf(format::Frame frame) const {
  auto range = ranges_.find(frame);
  if (range == ranges_.end()) return {};
  return std::span(locations_).subspan(range->second.first, range->second.second - range->second.first);
}

void FrameResolver::Resolve(std::vector<format::Frame> frames) {
  problems_ = ResolveFrames(recording_, symbolizer_, std::move(frames),
                            [this](format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved) {
                              AddResolved(frame, module, resolved);
                            });
}

void FrameResolver::AddResolved(format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved) {
  uint32_t begin = static_cast<uint32_t>(locations_.size());
  const bool is_python = format::IsVirtual(frame) && format::KindOf(frame) == format::VirtualKind::kPython;
  for (const SourceLocation& source : resolved.locations) {
    if (source.file.empty() && source.function.empty()) continue;
    std::string file = NormalizedPath(source.file);
    locations_.push_back(builder_->AddLocation({.file = file,
                                                .line = source.line,
                                                .function = source.function,
                                                .module = is_python           ? python_paths_.ModuleOf(file)
                                                          : module == nullptr ? std::string_view()
                                                                              : module->path,
                                                .level = LevelOf(source, resolved.level),
                                                .inlined = source.inlined,
                                                .python = is_python}));
  }
  // A domain, or that it is an estimate, is told of the whole stack.
  const bool is_mark = format::IsVirtual(frame) && (format::KindOf(frame) == format::VirtualKind::kDomain ||
                                                    format::KindOf(frame) == format::VirtualKind::kSampled);
  if (locations_.size() == begin && !is_mark) locations_.push_back(AddUnresolved(module, frame));
  ranges_[frame] = {begin, static_cast<uint32_t>(locations_.size())};
}

LocationId FrameResolver::AddUnresolved(const RecordedModule* module, format::Frame frame) {
  if (format::IsVirtual(frame)) {
    return builder_->AddLocation({.where = SyntheticText(frame), .role = FrameRole::kSynthetic});
  }
  // An address outside any module (code made at run time) is not named: it would be another one in the next run.
  if (module == nullptr) return builder_->AddLocation({.where = "<unknown>"});
  std::string where = fmt::format("{}+{:#x}", Basename(module->path), CallAddressInFile(*module, frame));
  return builder_->AddLocation({.where = where, .module = module->path, .level = ResolutionLevel::kModule});
}

}  // namespace allocline
