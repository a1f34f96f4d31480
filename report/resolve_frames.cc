#include "report/resolve_frames.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "report/python_frames.h"

namespace allocline {
namespace {

ResolvedAddress FromRecording(const RecordedSymbol& symbol) {
  ResolvedAddress resolved{
      .level = static_cast<ResolutionLevel>(std::min(symbol.level, static_cast<uint32_t>(ResolutionLevel::kLine)))};
  for (const RecordedSymbol::Location& location : symbol.locations) {
    resolved.locations.push_back({location.function, location.file, location.line, location.inlined});
  }
  return resolved;
}

// A snapshot that stands alone knows its names: the files may be gone, or those of another machine. Takes the frames
// it names out of `frames`.
void UseRecordedSymbols(const Recording& recording, std::vector<format::Frame>* frames,
                        const ResolvedFrameVisitor& visit) {
  if (recording.symbols().empty()) return;
  absl::flat_hash_set<format::Frame> named;
  for (const RecordedSymbol& symbol : recording.symbols()) {
    if (!std::binary_search(frames->begin(), frames->end(), symbol.frame)) continue;
    if (!named.insert(symbol.frame).second) continue;
    visit(symbol.frame, recording.FindModule(symbol.frame), FromRecording(symbol));
  }
  std::erase_if(*frames, [&](format::Frame frame) { return named.contains(frame); });
}

// Gives what the symbolizer found wrong with the module, empty if nothing.
std::string ResolveModule(const RecordedModule& module, std::span<const format::Frame> frames, Symbolizer* symbolizer,
                          const ResolvedFrameVisitor& visit) {
  if (symbolizer == nullptr) {
    for (format::Frame frame : frames) visit(frame, &module, {});
    return "";
  }
  std::vector<uint64_t> addresses;
  addresses.reserve(frames.size());
  for (format::Frame frame : frames) addresses.push_back(CallAddressInFile(module, frame));
  const ModuleFile file{.path = module.path, .build_id = module.build_id};
  const std::vector<ResolvedAddress> resolved = symbolizer->Resolve(file, addresses);
  for (size_t i = 0; i < frames.size(); ++i) visit(frames[i], &module, resolved[i]);
  return symbolizer->Diagnose(file).problem;
}

}  // namespace

uint64_t CallAddressInFile(const RecordedModule& module, format::Frame frame) {
  return format::AddressOf(frame) - 1 - module.load_bias;
}

std::vector<ModuleProblem> ResolveFrames(const Recording& recording, Symbolizer* symbolizer,
                                         std::vector<format::Frame> frames, const ResolvedFrameVisitor& visit) {
  std::sort(frames.begin(), frames.end());
  frames.erase(std::unique(frames.begin(), frames.end()), frames.end());
  UseRecordedSymbols(recording, &frames, visit);

  // Frames are sorted by generation and address, so those of one module are neighbours; virtual ones come last, by
  // kind.
  constexpr format::Frame kPython = format::MakeVirtualFrame(format::VirtualKind::kPython, 0);
  constexpr format::Frame kBehindPython = kPython + (uint64_t{1} << 56);
  std::vector<ModuleProblem> problems;
  const auto python = std::partition_point(frames.begin(), frames.end(), [](format::Frame f) { return f < kPython; });
  const auto behind = std::partition_point(python, frames.end(), [](format::Frame f) { return f < kBehindPython; });
  ResolvePythonFrames(recording, std::span<const format::Frame>(python, behind),
                      [&](format::Frame frame, const ResolvedAddress& resolved) { visit(frame, nullptr, resolved); });
  frames.erase(python, behind);
  for (size_t begin = 0; begin < frames.size();) {
    const format::Frame frame = frames[begin];
    const RecordedModule* module = format::IsVirtual(frame) ? nullptr : recording.FindModule(frame);
    size_t end = begin + 1;
    if (module == nullptr) {
      visit(frame, nullptr, {});
    } else {
      while (end < frames.size() && recording.FindModule(frames[end]) == module) ++end;
      std::string problem = ResolveModule(*module, std::span(frames).subspan(begin, end - begin), symbolizer, visit);
      if (!problem.empty()) problems.push_back({.path = module->path, .problem = std::move(problem)});
    }
    begin = end;
  }
  return problems;
}

}  // namespace allocline
