#include "report/frame_resolver.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/path_text.h"

namespace allocline {
namespace {

// The address of the call in the module's file: a return address is that of the instruction after it, which may belong
// to another line or even to another function.
uint64_t CallAddressInFile(const RecordedModule& module, format::Frame frame) {
  return format::AddressOf(frame) - 1 - module.load_bias;
}

std::string SyntheticText(format::Frame frame) {
  uint64_t payload = format::PayloadOf(frame);
  switch (format::KindOf(frame)) {
    case format::VirtualKind::kTruncated:
      switch (static_cast<format::TruncationReason>(payload)) {
        case format::TruncationReason::kTooDeep:
          return fmt::format("[callers beyond {} frames]", format::kMaxDepth);
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
    : recording_(recording), symbolizer_(symbolizer), builder_(builder) {}

std::span<const LocationId> FrameResolver::LocationsOf(format::Frame frame) const {
  auto range = ranges_.find(frame);
  if (range == ranges_.end()) return {};
  return std::span(locations_).subspan(range->second.first, range->second.second - range->second.first);
}

void FrameResolver::Resolve(std::vector<format::Frame> frames) {
  std::sort(frames.begin(), frames.end());
  frames.erase(std::unique(frames.begin(), frames.end()), frames.end());
  UseRecordedSymbols(&frames);

  // Frames are sorted by generation and address, so those of one module are neighbours; virtual ones come last.
  for (size_t begin = 0; begin < frames.size();) {
    format::Frame frame = frames[begin];
    const RecordedModule* module = format::IsVirtual(frame) ? nullptr : recording_.FindModule(frame);
    size_t end = begin + 1;
    if (module == nullptr) {
      AddResolved(frame, nullptr, {});
    } else {
      while (end < frames.size() && recording_.FindModule(frames[end]) == module) ++end;
      ResolveModule(*module, FramesOfModule(frames).subspan(begin, end - begin));
    }
    begin = end;
  }
}

// A snapshot that stands alone knows its names: the files may be gone, or those of another machine.
void FrameResolver::UseRecordedSymbols(std::vector<format::Frame>* frames) {
  if (recording_.symbols().empty()) return;
  for (const RecordedSymbol& symbol : recording_.symbols()) {
    if (!std::binary_search(frames->begin(), frames->end(), symbol.frame) || ranges_.contains(symbol.frame)) continue;
    ResolvedAddress resolved{
        .level = static_cast<ResolutionLevel>(std::min(symbol.level, static_cast<uint32_t>(ResolutionLevel::kLine)))};
    for (const RecordedSymbol::Location& location : symbol.locations) {
      resolved.locations.push_back({location.function, location.file, location.line, location.inlined});
    }
    AddResolved(symbol.frame, recording_.FindModule(symbol.frame), resolved);
  }
  std::erase_if(*frames, [this](format::Frame frame) { return ranges_.contains(frame); });
}

void FrameResolver::ResolveModule(const RecordedModule& module, FramesOfModule frames) {
  std::vector<ResolvedAddress> resolved(frames.size());
  if (symbolizer_ != nullptr) {
    std::vector<uint64_t> addresses;
    addresses.reserve(frames.size());
    for (format::Frame frame : frames) addresses.push_back(CallAddressInFile(module, frame));
    ModuleFile file{.path = module.path, .build_id = module.build_id};
    resolved = symbolizer_->Resolve(file, addresses);
    std::string problem = symbolizer_->Diagnose(file).problem;
    if (!problem.empty()) problems_.push_back({.path = module.path, .problem = problem});
  }
  for (size_t i = 0; i < frames.size(); ++i) AddResolved(frames[i], &module, resolved[i]);
}

void FrameResolver::AddResolved(format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved) {
  uint32_t begin = static_cast<uint32_t>(locations_.size());
  for (const SourceLocation& source : resolved.locations) {
    if (source.file.empty() && source.function.empty()) continue;
    std::string file = NormalizedPath(source.file);
    locations_.push_back(builder_->AddLocation({.file = file,
                                                .line = source.line,
                                                .function = source.function,
                                                .module = module == nullptr ? std::string_view() : module->path,
                                                .level = LevelOf(source, resolved.level),
                                                .inlined = source.inlined}));
  }
  bool is_domain = format::IsVirtual(frame) && format::KindOf(frame) == format::VirtualKind::kDomain;
  if (locations_.size() == begin && !is_domain) locations_.push_back(AddUnresolved(module, frame));
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
