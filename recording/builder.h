// Writes recordings offline, without a traced process: snapshots that stand alone, and the made-up recordings of tests.
//
// Add everything in any order (a site's nodes first), then Build() the bytes or WriteFile() them. The result is read by
// Recording::Open like any other.
#ifndef ALLOCLINE_RECORDING_BUILDER_H_
#define ALLOCLINE_RECORDING_BUILDER_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "recording/reader.h"

namespace allocline {

class RecordingBuilder {
 public:
  RecordingBuilder();

  format::FileHeader& header() { return header_; }   // magic, version and tables are filled in by Build()
  void AddModule(const RecordedModule& module);
  // Interns a stack, most recent frame first, and gives its site (the same one for the same stack).
  SiteId AddSite(std::span<const format::Frame> stack);
  // Gives the index to use with AddCounters.
  size_t AddThread(const RecordedThread& thread);    // thread.counters are added too
  void AddCounters(size_t thread, SiteId site, const SiteCounters& counters);
  void AddSnapshot(const RecordedSnapshot& snapshot);
  void AddSymbol(const RecordedSymbol& symbol);

  std::string Build() const;
  // Created 0600, never over an existing file unless `replace`; written beside it and renamed.
  absl::Status WriteFile(const std::string& path, bool replace = false) const;

 private:
  format::FileHeader header_{};
  std::vector<RecordedModule> modules_;
  std::vector<RecordedNode> nodes_;
  std::vector<NodeId> sites_;
  std::vector<RecordedThread> threads_;
  std::vector<RecordedSnapshot> snapshots_;
  std::vector<RecordedSymbol> symbols_;
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_BUILDER_H_
