// Recorded frames -> locations of a profile under construction. One step of load_profile.cc; not part of the library's
// interface.
#ifndef ALLOCLINE_REPORT_FRAME_RESOLVER_H_
#define ALLOCLINE_REPORT_FRAME_RESOLVER_H_

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "recording/reader.h"
#include "report/profile_builder.h"
#include "report/python_paths.h"
#include "symbolize/symbolizer.h"

namespace allocline {

class FrameResolver {
 public:
  // `symbolizer` may be null. All three must outlive the resolver.
  FrameResolver(const Recording& recording, Symbolizer* symbolizer, ProfileBuilder* builder);

  // Resolves every frame of `frames` (no 0 among them; duplicates allowed). Call it once.
  void Resolve(std::vector<format::Frame> frames);
  // Locations of a resolved frame, innermost inlined one first. Empty for the frame of a domain, which is no place.
  std::span<const LocationId> LocationsOf(format::Frame frame) const;
  // Why modules did not resolve as far as they might.
  const std::vector<ModuleProblem>& problems() const { return problems_; }
  const PythonPaths& python_paths() const { return python_paths_; }

 private:
  PythonPaths FindPythonPaths() const;
  void AddResolved(format::Frame frame, const RecordedModule* module, const ResolvedAddress& resolved);
  LocationId AddUnresolved(const RecordedModule* module, format::Frame frame);

  const Recording& recording_;
  Symbolizer* const symbolizer_;
  ProfileBuilder* const builder_;
  const PythonPaths python_paths_;
  std::vector<LocationId> locations_;                                         // of all frames, end to end
  absl::flat_hash_map<format::Frame, std::pair<uint32_t, uint32_t>> ranges_;  // begin and end in locations_
  std::vector<ModuleProblem> problems_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_FRAME_RESOLVER_H_
