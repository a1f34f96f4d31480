// A recording made up from a seed, and what a reader must find in it.
#ifndef ALLOCLINE_TESTS_RECORDING_RANDOM_RECORDING_H_
#define ALLOCLINE_TESTS_RECORDING_RANDOM_RECORDING_H_

#include <cstdint>
#include <map>
#include <vector>

#include "recording/builder.h"

namespace allocline {

struct RandomRecording {
  explicit RandomRecording(uint64_t seed);

  RecordingBuilder builder;

  // The model: what was added.
  std::vector<RecordedModule> modules;
  std::map<SiteId, std::vector<format::Frame>> stacks;
  std::vector<RecordedThread> threads;                  // their counters are in `counted`
  std::vector<std::map<SiteId, SiteCounters>> counted;  // by thread
  std::vector<RecordedSnapshot> snapshots;
  std::vector<RecordedCode> codes;
  std::vector<RecordedSymbol> symbols;
  std::vector<RecordedDifference> differences;
  std::vector<TimelinePoint> timeline;
  std::optional<RecordedPeak> peak_copy;
};

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_RECORDING_RANDOM_RECORDING_H_
