// Reads a recording, of a dead process or a living one, into plain values.
//
// A Recording is a copy: opening it takes one consistent look at the file (the order format.h prescribes) with pread,
// never mmap, so a file that shrinks or a disk that fails is an error and not a SIGBUS. Nothing in the file is trusted:
//   - what cannot be in any recording (extents that overlap, a record larger than its table, a stack that is its own
//     caller) is an absl::DataLossError naming the file, the offset and what was expected;
//   - what is only not there is not an error if the header is whole: the file was cut short, or copied while it grew.
//     What is there is read, what hangs on the rest is charged to kOverflowSite, and `damage` says what is missing.
//
// Threads: a Recording is immutable once built; share it freely.
#ifndef ALLOCLINE_RECORDING_READER_H_
#define ALLOCLINE_RECORDING_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "recording/format.h"

namespace allocline {

using SiteId = uint32_t;
using NodeId = uint32_t;

struct SiteCounters {
  uint64_t allocated_bytes = 0;
  uint64_t allocated_blocks = 0;
  uint64_t freed_bytes = 0;
  uint64_t freed_blocks = 0;

  // Signed: kOverflowSite takes frees of blocks that another site allocated, and may be negative by as much.
  int64_t live_bytes() const { return static_cast<int64_t>(allocated_bytes - freed_bytes); }
  int64_t live_blocks() const { return static_cast<int64_t>(allocated_blocks - freed_blocks); }
  bool any() const { return (allocated_blocks | freed_blocks | allocated_bytes | freed_bytes) != 0; }
  SiteCounters& operator+=(const SiteCounters& other);
  bool operator==(const SiteCounters&) const = default;
};

struct RecordedModule {
  uint64_t start = 0, end = 0;  // [start, end) in the process
  uint64_t load_bias = 0;
  uint32_t generation = 0;
  uint64_t loaded_ns = 0, unloaded_ns = 0;
  std::string build_id;  // raw bytes, may be empty
  std::string path;
  std::vector<format::Segment> segments;
  bool operator==(const RecordedModule&) const = default;
};

struct RecordedNode {
  NodeId parent = 0;
  format::Frame frame = 0;  // 0: not written yet, or damaged; a stack ends here
  bool operator==(const RecordedNode&) const = default;
};

// What the tracer's own part of some events took. The total may be below zero: what timing itself takes is taken off.
struct EventTimes {
  uint64_t events = 0;
  int64_t ns = 0;
  double mean_ns() const { return events == 0 || ns <= 0 ? 0 : static_cast<double>(ns) / static_cast<double>(events); }
  EventTimes& operator+=(const EventTimes& other) {
    events += other.events;
    ns = static_cast<int64_t>(static_cast<uint64_t>(ns) + static_cast<uint64_t>(other.ns));  // wraps if damaged
    return *this;
  }
  bool operator==(const EventTimes&) const = default;
};

struct RecordedThread {
  format::ThreadKind kind = format::ThreadKind::kThread;
  uint32_t tid = 0;
  uint32_t threads_served = 0;
  std::string name;
  int64_t python_small_bytes = 0;  // live in pymalloc's arenas, allocated less freed by this thread
  EventTimes timed_allocations, timed_frees;
  std::vector<std::pair<SiteId, SiteCounters>> counters;  // by rising site, only those with any()
  bool operator==(const RecordedThread&) const = default;
};

// What the memory of the process and its container consisted of (format::LedgerRecord).
struct RecordedLedger {
  format::LedgerRecord figures{};  // sequence, record_bytes and item_count are 0: they are the file's own business
  struct Item {
    format::LedgerItemKind kind = format::LedgerItemKind::kFile;  // may be one that a later version brought
    uint64_t bytes = 0;
    std::string path;
    bool operator==(const Item&) const = default;
  };
  std::vector<Item> items;
  bool operator==(const RecordedLedger&) const = default;
};

// An std::optional<RecordedLedger> that takes the room of a pointer: of a hundred thousand checkpoints none has a
// ledger.
class SnapshotLedger {
 public:
  SnapshotLedger() = default;
  SnapshotLedger(RecordedLedger ledger)  // NOLINT(google-explicit-constructor)
      : ledger_(std::make_shared<const RecordedLedger>(std::move(ledger))) {}
  operator std::optional<RecordedLedger>() const {  // NOLINT(google-explicit-constructor)
    return ledger_ != nullptr ? std::optional(*ledger_) : std::nullopt;
  }
  bool has_value() const { return ledger_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  const RecordedLedger& operator*() const { return *ledger_; }
  const RecordedLedger* operator->() const { return ledger_.get(); }
  bool operator==(const SnapshotLedger& other) const {
    return has_value() == other.has_value() && (!has_value() || *ledger_ == *other.ledger_);
  }

 private:
  std::shared_ptr<const RecordedLedger> ledger_;
};

struct RecordedSnapshot {
  std::string label;
  uint64_t monotonic_ns = 0;
  uint64_t live_bytes = 0, peak_bytes = 0;
  uint64_t rss_bytes = 0, container_usage_bytes = 0, container_limit_bytes = 0;
  uint64_t rows = format::kRowsNotGiven;
  format::SnapshotKind kind = format::SnapshotKind::kLabelled;  // may be one that a later version brought
  std::vector<std::pair<SiteId, SiteCounters>> growth;          // since the snapshot before, by rising site
  SnapshotLedger ledger;                                        // of the same moment
  bool operator==(const RecordedSnapshot&) const = default;
};

// A code object of Python, as it was when it was first on a stack.
struct RecordedCode {
  uint64_t id = 0;  // what format::CodeOf() of its frames gives
  int32_t first_line = 0;
  format::LineTableKind line_table_kind = format::LineTableKind::kNone;  // may be one that a later version brought
  std::string file, name;                                                // as the interpreter has them
  std::string line_table;                                                // python_lines.h reads it
  bool operator==(const RecordedCode&) const = default;
};

// Resolved names carried by a snapshot that stands alone (TableKind::kSymbols).
struct RecordedSymbol {
  format::Frame frame = 0;
  uint32_t level = 0;
  struct Location {
    std::string function, file;
    uint32_t line = 0;
    bool inlined = false;
    bool operator==(const Location&) const = default;
  };
  std::vector<Location> locations;  // most recent (innermost inlined) first
  bool operator==(const RecordedSymbol&) const = default;
};

// A stack on which the tracer's unwinder and libunwind disagreed (TableKind::kDifferences), most recent frame first.
struct RecordedDifference {
  std::vector<format::Frame> ours, theirs;
  bool operator==(const RecordedDifference&) const = default;
};

// What was live when the process came to a new peak for the last time that a copy was made (format::PeakCopy).
struct RecordedPeak {
  uint64_t monotonic_ns = 0;
  uint64_t live_bytes = 0;                            // the total that the process kept then
  std::vector<std::pair<SiteId, SiteCounters>> live;  // by rising site; allocated is what was live, freed is 0
  bool operator==(const RecordedPeak&) const = default;
};

// What the process and its container held at an instant. 0: unknown, or (the limit) none.
struct TimelinePoint {
  uint64_t monotonic_ns = 0;
  uint64_t live_bytes = 0, rss_bytes = 0;
  uint64_t container_usage_bytes = 0, container_limit_bytes = 0;
  bool operator==(const TimelinePoint&) const = default;
};

class Recording {
 public:
  // Opens the file at `path`. Errors: NotFound, PermissionDenied, InvalidArgument (not a recording, a directory, an
  // empty file, a device), FailedPrecondition (a newer major version, another byte order), DataLoss (damaged).
  static absl::StatusOr<Recording> Open(const std::string& path);
  // The same over bytes in memory: what the fuzzer drives. `name` stands for the path in messages.
  static absl::StatusOr<Recording> Parse(std::string_view bytes, const std::string& name);

  const format::FileHeader& header() const { return header_; }  // texts in it are NUL-terminated here, always
  const std::string& path() const { return path_; }
  uint64_t file_bytes() const { return file_bytes_; }  // size on disk when read
  const std::vector<RecordedModule>& modules() const { return modules_; }
  const std::vector<RecordedNode>& nodes() const { return nodes_; }  // index: NodeId; [0] is the root
  const std::vector<NodeId>& sites() const { return sites_; }        // index: SiteId; [0] is no site
  const std::vector<RecordedThread>& threads() const { return threads_; }
  const std::vector<RecordedSnapshot>& snapshots() const { return snapshots_; }  // oldest first
  const std::vector<RecordedCode>& codes() const { return codes_; }              // by rising id
  const std::vector<RecordedSymbol>& symbols() const { return symbols_; }
  const std::vector<RecordedDifference>& differences() const { return differences_; }
  // By rising time. The process takes them as its memory changes; header().timeline_points says of how many these are
  // what was kept.
  const std::vector<TimelinePoint>& timeline() const { return timeline_; }
  // The last one. It may be older than the counters: its monotonic_ns says when it was read.
  const std::optional<RecordedLedger>& ledger() const { return ledger_; }
  // Nothing if no copy was made: the process never had more than K live, or forgot its peak.
  const std::optional<RecordedPeak>& peak_copy() const { return peak_copy_; }

  // Counters of every site now (at the end of the recording), summed over threads. Index: SiteId.
  std::vector<SiteCounters> Counters() const;
  // Counters as of snapshots()[index], or of the last if there are not so many.
  std::vector<SiteCounters> CountersAt(size_t index) const;
  // What was live at the peak, as counters; all 0 without peak_copy().
  std::vector<SiteCounters> CountersAtPeak() const;
  // The last snapshot labelled `label`; NotFound lists the labels there are.
  absl::StatusOr<size_t> FindSnapshot(std::string_view label) const;
  // For messages: "'page', 'end' and 80 others", "none". Each once; there may be a million snapshots.
  std::string LabelList() const;

  // R of a site whose counters are estimates (recording/sampling.h), 0 if they are exact. Counters of site 0 are of
  // blocks without a stack: together with the exact ones they are the totals, which estimated ones are no part of.
  uint64_t SampleInterval(SiteId site) const { return site < sample_intervals_.size() ? sample_intervals_[site] : 0; }
  // The sum of what is exact.
  SiteCounters Totals(const std::vector<SiteCounters>& counters) const;

  // Frames of a site, most recent first. Empty for an unknown site, shorter than it was if nodes are missing.
  std::vector<format::Frame> Stack(SiteId site) const;
  // The module a native frame lies in, or nullptr.
  const RecordedModule* FindModule(format::Frame frame) const;
  // The code of a frame of Python, or nullptr for any other frame, and if its record is missing.
  const RecordedCode* FindCode(format::Frame frame) const;

  // Live bytes and peak. Live is the sum of the counters, exact to the event, and the total the process keeps if it was
  // counting while its file was read; the peak takes in what the threads had not flushed yet.
  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t peak_bytes() const { return peak_bytes_; }
  // What is live in pymalloc's arenas, as requested: header().python_arena_bytes less this is held for nothing.
  int64_t python_small_bytes() const;

  // What is missing because the file was cut short or copied while its process ran; empty if nothing.
  const std::vector<std::string>& damage() const { return damage_; }

 private:
  friend class RecordingParser;
  format::FileHeader header_{};
  std::string path_;
  uint64_t file_bytes_ = 0;
  uint64_t live_bytes_ = 0, peak_bytes_ = 0;
  std::vector<uint64_t> sample_intervals_;  // by SiteId; empty where nothing was sampled
  std::vector<RecordedModule> modules_;
  std::vector<uint32_t> modules_by_start_;
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
  std::vector<std::string> damage_;
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_READER_H_
