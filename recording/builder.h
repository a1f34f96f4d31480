// Writes recordings offline, without a traced process: snapshots that stand alone, and the made-up recordings of tests.
//
// Add everything in any order (a site before what counts for it), then Build() the bytes or WriteFile() them. The
// result is read by Recording::Open like any other: every table has one extent, and no reserve.
//
// Threads: one builder per thread.
#ifndef ALLOCLINE_RECORDING_BUILDER_H_
#define ALLOCLINE_RECORDING_BUILDER_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "recording/reader.h"

namespace allocline {

class RecordingBuilder {
 public:
  // Begins with site kOverflowSite, as every recording does.
  RecordingBuilder();
  // Begins with all that `recording` holds, under the same ids.
  explicit RecordingBuilder(const Recording& recording);

  // Everything here is written as it is, but for what Build() knows better: magic, version, sizes and tables.
  format::FileHeader& header() { return header_; }
  void AddModule(const RecordedModule& module);
  // Interns a stack, most recent frame first, and gives its site (the same one for the same stack). The stack must not
  // be empty, and no frame 0.
  SiteId AddSite(std::span<const format::Frame> stack);
  // Gives the index to use with AddCounters. thread.counters are added too.
  size_t AddThread(const RecordedThread& thread);
  // Site 0: blocks without a stack.
  void AddCounters(size_t thread, SiteId site, const SiteCounters& counters);
  // Growth for one site may be given in parts and in any order.
  void AddSnapshot(const RecordedSnapshot& snapshot);
  // Adds a snapshot of the counters as they are now: `snapshot.growth` is worked out from those before it.
  void AddSnapshotOfNow(RecordedSnapshot snapshot);
  // Gives the id for its frames (format::PythonPayload). An id that `code` brings is not looked at.
  uint64_t AddCode(const RecordedCode& code);
  void AddSymbol(const RecordedSymbol& symbol);
  void AddDifference(const RecordedDifference& difference);
  void AddTimelinePoint(const TimelinePoint& point);
  void SetLedger(const RecordedLedger& ledger);
  void SetPeakCopy(const RecordedPeak& peak);

  std::string Build() const;
  // Created 0600, never over an existing file unless `replace`; written beside it and renamed, so that nobody ever sees
  // half a recording. Errors: AlreadyExists, NotFound (the directory), PermissionDenied, Unavailable.
  absl::Status WriteFile(const std::string& path, bool replace = false) const;

 private:
  using CountersBySite = std::vector<std::pair<SiteId, SiteCounters>>;

  NodeId AddNode(NodeId parent, format::Frame frame);

  format::FileHeader header_{};
  std::vector<RecordedModule> modules_;
  std::vector<RecordedNode> nodes_;
  std::vector<NodeId> sites_;
  std::vector<RecordedThread> threads_;
  std::vector<RecordedSnapshot> snapshots_;
  std::vector<RecordedCode> codes_;
  std::vector<RecordedSymbol> symbols_;
  std::vector<RecordedDifference> differences_;
  std::vector<TimelinePoint> timeline_;
  std::optional<RecordedLedger> ledger_;
  std::optional<RecordedPeak> peak_copy_;
  absl::flat_hash_map<std::pair<NodeId, format::Frame>, NodeId> node_of_frame_;
  absl::flat_hash_map<NodeId, SiteId> site_of_node_;
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_BUILDER_H_
