// What stands behind a report's numbers: what a recording knows, how well it resolves, what it cost, what it missed.
#ifndef ALLOCLINE_TOOLS_RECORDING_INFO_H_
#define ALLOCLINE_TOOLS_RECORDING_INFO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "recording/reader.h"
#include "report/profile.h"
#include "symbolize/symbolizer.h"
#include "tools/differences.h"
#include "tools/target.h"

namespace allocline {

// How many distinct recorded addresses resolved how far.
struct Resolution {
  size_t lines = 0, functions = 0, unresolved = 0;
  size_t total() const { return lines + functions + unresolved; }
};

struct ModuleInfo {
  const RecordedModule* module = nullptr;
  Resolution resolution;
  ModuleDiagnosis diagnosis;
  std::string private_allocator;  // FindPrivateAllocator, if the file is here
};

struct ThreadInfo {
  const RecordedThread* thread = nullptr;
  SiteCounters counters;  // of all its sites
};

struct TableInfo {
  std::string_view name;
  uint64_t used_bytes = 0, capacity_bytes = 0;
};

struct RecordingInfo {
  const Target* target = nullptr;
  bool running = false;
  ProfileSummary summary;
  SiteCounters events;  // of all threads
  EventTimes timed_allocations, timed_frees;
  std::vector<ModuleInfo> modules;  // in the order they were recorded
  std::vector<ThreadInfo> threads;
  std::vector<TableInfo> tables;
  std::vector<Difference> differences;
  std::vector<std::string> not_seen;  // sentences, safe to print
};

// Refers into `target`. Without a `symbolizer` nothing is read but the recording.
absl::StatusOr<RecordingInfo> GatherInfo(const Target& target, Symbolizer* symbolizer);

std::string RenderInfo(const RecordingInfo& info);
std::string RenderInfoJson(const RecordingInfo& info);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RECORDING_INFO_H_
