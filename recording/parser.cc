#include "recording/parser.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/status_macros.h"
#include "recording/table_reader.h"
#include "recording/variable_records.h"

namespace allocline {

using format::FileHeader;
using format::NodeRecord;
using format::PeakCopy;
using format::PeakSite;
using format::SiteRecord;
using format::TableKind;
using format::ThreadRecord;
using format::TimelineRecord;

namespace {

// Sums as a damaged file may have them: they wrap and do not overflow.
int64_t Add(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
int64_t Negative(int64_t a) { return static_cast<int64_t>(-static_cast<uint64_t>(a)); }

// Reads all records of a table of variable size, each by parse(offset in the table, bytes).
template <typename Value, typename Parse>
absl::Status ReadVariable(TableMap& map, TableKind kind, size_t fixed_bytes, Parse parse, std::vector<Value>* into) {
  RETURN_IF_ERROR(map.Refresh());
  return ForEachVariableRecord(map, kind, fixed_bytes, [&](uint64_t offset, std::string_view record) {
    absl::StatusOr<Value> value = parse(offset, record);
    if (!value.ok()) return map.Damaged(kind, offset, std::string(value.status().message()));
    into->push_back(*std::move(value));
    return absl::OkStatus();
  });
}

// For records that are the same wherever they stand.
template <auto parse>
auto AnywhereBy(uint64_t /*offset*/, std::string_view record) {
  return parse(record);
}

}  // namespace

absl::StatusOr<Recording> RecordingParser::Parse() && {
  RETURN_IF_ERROR(ReadPeak());
  RETURN_IF_ERROR(ReadSnapshots());
  RETURN_IF_ERROR(counters_.ReadFreed(map_));
  RETURN_IF_ERROR(counters_.ReadAllocated(map_));
  RETURN_IF_ERROR(counters_.ReadOwners(map_));
  RETURN_IF_ERROR(ReadThreads());
  RETURN_IF_ERROR(ReadSites());
  RETURN_IF_ERROR(ReadNodes());
  RETURN_IF_ERROR(ReadModules());
  RETURN_IF_ERROR(ReadCodes());
  RETURN_IF_ERROR(ReadSymbols());
  RETURN_IF_ERROR(ReadDifferences());
  RETURN_IF_ERROR(ReadTimeline());
  RETURN_IF_ERROR(ReadLedger());
  NoteWhatIsMissing();
  RETURN_IF_ERROR(CheckStacks());
  CheckCodes();
  ChargeCounters();
  ChargeSnapshots();
  FindSampledSites();
  ChargePeak();
  SumUp();
  return std::move(recording_);
}

// ---------------------------------------------------------------- reading

// The copy of the highest number that is of this peak. While its sites are read it may be overwritten: then the other
// one is newer and whole, and is read instead.
absl::Status RecordingParser::ReadPeak() {
  constexpr int kAttempts = 5;
  RETURN_IF_ERROR(map_.Refresh());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const FileHeader header = map_.header();
    const auto is_better = [&](int a, int b) {
      const PeakCopy& copy = header.peak_copies[a];
      const bool valid = copy.sequence != 0 && copy.epoch == header.peak_epoch;
      return valid && (b < 0 || copy.sequence > header.peak_copies[b].sequence);
    };
    int best = -1;
    for (int i = 0; i < 2; ++i) best = is_better(i, best) ? i : best;
    if (best < 0) return absl::OkStatus();
    const PeakCopy& copy = header.peak_copies[best];
    const TableKind table = best == 0 ? TableKind::kPeakFirst : TableKind::kPeakSecond;
    const uint64_t bytes = uint64_t{copy.site_count} * sizeof(PeakSite);
    if (bytes > map_.Readable(table)) {
      if (map_.Torn(table)) return absl::OkStatus();
      if (attempt + 1 < kAttempts) {  // the table grew and a copy came while the header was read
        RETURN_IF_ERROR(map_.Refresh());
        continue;
      }
      return map_.Damaged(table, map_.Readable(table),
                          fmt::format("the copy of the peak is of {} sites, and there is room for {}", copy.site_count,
                                      map_.Readable(table) / sizeof(PeakSite)));
    }
    std::vector<PeakSite> sites(copy.site_count);
    RETURN_IF_ERROR(map_.Read(table, 0, sites.data(), bytes));
    std::atomic_thread_fence(std::memory_order_acquire);
    RETURN_IF_ERROR(map_.Refresh());
    if (map_.header().peak_copies[best].sequence != copy.sequence) continue;
    RecordedPeak& peak = recording_.peak_copy_.emplace();
    peak.monotonic_ns = copy.monotonic_ns;
    peak.live_bytes = copy.live_bytes;
    for (SiteId site = 0; site < sites.size(); ++site) {
      const SiteCounters live{.allocated_bytes = sites[site].bytes, .allocated_blocks = sites[site].blocks};
      if (live.any()) peak.live.emplace_back(site, live);
    }
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status RecordingParser::ReadSnapshots() {
  return ReadVariable(map_, TableKind::kSnapshots, sizeof(format::SnapshotRecord), AnywhereBy<ParseSnapshot>,
                      &recording_.snapshots_);
}

absl::Status RecordingParser::ReadThreads() {
  RETURN_IF_ERROR(map_.Refresh());
  recording_.header_ = map_.header();  // the totals that go with the threads' unflushed parts
  return ForEachRecord<ThreadRecord>(map_, TableKind::kThreads, [this](size_t, const ThreadRecord& record) {
    if (record.kind == 0) {
      thread_of_record_.push_back(kNotWritten);
      return;
    }
    thread_of_record_.push_back(recording_.threads_.size());
    recording_.threads_.push_back({.kind = format::ThreadKind{record.kind},
                                   .tid = record.tid,
                                   .threads_served = record.threads_served,
                                   .name = std::string(record.name, strnlen(record.name, sizeof(record.name))),
                                   .python_small_bytes = record.python_small_bytes,
                                   .timed_allocations = {record.timed_allocations, record.timed_allocation_ns},
                                   .timed_frees = {record.timed_frees, record.timed_free_ns},
                                   .counters = {}});
    unflushed_live_ = Add(unflushed_live_, Add(record.pending_bytes, Negative(record.counted_bytes)));
    if (record.peak_epoch == recording_.header_.peak_epoch) {
      above_live_ = std::max(above_live_, Add(record.pending_peak, Negative(record.pending_bytes)));
    }
  });
}

absl::Status RecordingParser::ReadSites() {
  RETURN_IF_ERROR(map_.Refresh());
  recording_.sites_.reserve(map_.Readable(TableKind::kSites) / sizeof(SiteRecord));
  RETURN_IF_ERROR(ForEachRecord<SiteRecord>(
      map_, TableKind::kSites, [this](size_t, const SiteRecord& record) { recording_.sites_.push_back(record.node); }));
  // No site, and the one of what could not be attributed: always there.
  if (recording_.sites_.size() <= format::kOverflowSite) recording_.sites_.resize(format::kOverflowSite + 1);
  recording_.sites_[0] = 0;
  return absl::OkStatus();
}

absl::Status RecordingParser::ReadNodes() {
  RETURN_IF_ERROR(map_.Refresh());
  recording_.nodes_.reserve(map_.Readable(TableKind::kNodes) / sizeof(NodeRecord));
  RETURN_IF_ERROR(ForEachRecord<NodeRecord>(map_, TableKind::kNodes, [this](size_t, const NodeRecord& record) {
    recording_.nodes_.push_back({.parent = record.parent, .frame = record.frame});
  }));
  if (recording_.nodes_.empty()) recording_.nodes_.emplace_back();
  recording_.nodes_[0] = {};  // the root
  return absl::OkStatus();
}

absl::Status RecordingParser::ReadModules() {
  RETURN_IF_ERROR(ReadVariable(map_, TableKind::kModules, sizeof(format::ModuleRecord), AnywhereBy<ParseModule>,
                               &recording_.modules_));
  const std::vector<RecordedModule>& modules = recording_.modules_;
  std::vector<uint32_t>& order = recording_.modules_by_start_;
  order.resize(modules.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::tie(modules[a].generation, modules[a].start, a) < std::tie(modules[b].generation, modules[b].start, b);
  });
  return absl::OkStatus();
}

absl::Status RecordingParser::ReadCodes() {
  return ReadVariable(map_, TableKind::kCodes, sizeof(format::CodeRecord), ParseCode, &recording_.codes_);
}

absl::Status RecordingParser::ReadSymbols() {
  return ReadVariable(map_, TableKind::kSymbols, sizeof(format::SymbolRecord), AnywhereBy<ParseSymbol>,
                      &recording_.symbols_);
}

absl::Status RecordingParser::ReadDifferences() {
  return ReadVariable(map_, TableKind::kDifferences, sizeof(format::DifferenceRecord), AnywhereBy<ParseDifference>,
                      &recording_.differences_);
}

// Of the two slots the newer one, if the process did not write it meanwhile: then the other one is the newer.
absl::Status RecordingParser::ReadLedger() {
  constexpr int kAttempts = 4;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    RETURN_IF_ERROR(map_.Refresh());
    uint64_t sequences[2] = {};
    for (int i = 0; i < 2; ++i) {
      const uint64_t offset = uint64_t{format::kLedgerSlotBytes} * static_cast<uint64_t>(i);
      if (map_.Readable(TableKind::kLedger) < offset + format::kLedgerSlotBytes) break;
      RETURN_IF_ERROR(map_.Read(TableKind::kLedger, offset, &sequences[i], sizeof(sequences[i])));
    }
    const int newest = sequences[1] > sequences[0] ? 1 : 0;
    const uint64_t sequence = sequences[newest];
    if (sequence == 0) return absl::OkStatus();
    const uint64_t offset = uint64_t{format::kLedgerSlotBytes} * static_cast<uint64_t>(newest);
    // Pairs with the release of what was written, and with the fence before it is written over.
    std::atomic_thread_fence(std::memory_order_acquire);
    std::string slot(format::kLedgerSlotBytes, '\0');
    RETURN_IF_ERROR(map_.Read(TableKind::kLedger, offset, slot.data(), slot.size()));
    std::atomic_thread_fence(std::memory_order_acquire);
    uint64_t after = 0;
    RETURN_IF_ERROR(map_.Read(TableKind::kLedger, offset, &after, sizeof(after)));
    if (after != sequence) continue;
    absl::StatusOr<RecordedLedger> ledger = ParseLedger(slot);
    if (!ledger.ok()) return map_.Damaged(TableKind::kLedger, offset, std::string(ledger.status().message()));
    recording_.ledger_ = *std::move(ledger);
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Three looks: the first and the last say which records were whole all the while that the second was taken.
absl::Status RecordingParser::ReadTimeline() {
  RETURN_IF_ERROR(map_.Refresh());
  std::vector<TimelineRecord> looks[3];
  for (std::vector<TimelineRecord>& look : looks) {
    RETURN_IF_ERROR(ForEachRecord<TimelineRecord>(
        map_, TableKind::kTimeline, [&](size_t, const TimelineRecord& record) { look.push_back(record); }));
    // A copy is whole before the next one is begun. Pairs with the fences and the release of the writer.
    std::atomic_thread_fence(std::memory_order_acq_rel);
  }
  std::vector<TimelineRecord> whole;
  for (size_t i = 0; i < looks[1].size(); ++i) {
    const uint64_t sequence = looks[0][i].sequence;
    if (sequence != 0 && looks[2][i].sequence == sequence) whole.push_back(looks[1][i]);
  }
  std::sort(whole.begin(), whole.end(), [](const TimelineRecord& a, const TimelineRecord& b) {
    return std::tie(a.monotonic_ns, a.sequence) < std::tie(b.monotonic_ns, b.sequence);
  });
  for (const TimelineRecord& record : whole) {
    recording_.timeline_.push_back({.monotonic_ns = record.monotonic_ns,
                                    .live_bytes = record.live_bytes,
                                    .rss_bytes = record.rss_bytes,
                                    .container_usage_bytes = record.container_usage_bytes,
                                    .container_limit_bytes = record.container_limit_bytes});
  }
  return absl::OkStatus();
}

// ---------------------------------------------------------------- checking

void RecordingParser::NoteWhatIsMissing() {
  recording_.file_bytes_ = map_.file_bytes();
  for (uint32_t kind = 1; kind < format::kTableCount; ++kind) {
    if (const uint64_t missing = map_.Missing(TableKind{kind}); missing > 0) {
      recording_.damage_.push_back(fmt::format("{} of {} bytes of the table of {} are not in the file", missing,
                                               missing + map_.Readable(TableKind{kind}), TableName(TableKind{kind})));
    }
  }
}

// Walks outward from every site, through each node once.
absl::Status RecordingParser::CheckStacks() {
  enum State : uint8_t { kUnseen, kOnThisPath, kEndsAtRoot, kCutShort };
  const std::vector<RecordedNode>& nodes = recording_.nodes_;
  std::vector<State> state(nodes.size(), kUnseen);
  state[0] = kEndsAtRoot;
  uint64_t cut_short = 0;
  std::vector<NodeId> path;
  for (SiteId site = 1; site < recording_.sites_.size(); ++site) {
    NodeId node = recording_.sites_[site];
    if (node == 0) continue;  // not written yet
    path.clear();
    State end = kUnseen;
    while (end == kUnseen) {
      if (node >= nodes.size() || (node != 0 && nodes[node].frame == 0)) {
        end = kCutShort;
      } else if (state[node] == kUnseen) {
        state[node] = kOnThisPath;
        path.push_back(node);
        node = nodes[node].parent;
      } else {
        end = state[node];
      }
    }
    if (end == kOnThisPath) {
      return map_.Damaged(TableKind::kNodes, uint64_t{node} * sizeof(NodeRecord),
                          fmt::format("node {} is its own caller", node));
    }
    for (NodeId passed : path) state[passed] = end;
    cut_short += end == kCutShort;
  }
  if (cut_short > 0) recording_.damage_.push_back(fmt::format("{} stacks have lost their outer frames", cut_short));
  return absl::OkStatus();
}

void RecordingParser::CheckCodes() {
  uint64_t missing = 0;
  for (const RecordedNode& node : recording_.nodes_) {
    if (node.frame == 0 || !format::IsVirtual(node.frame)) continue;
    missing += format::KindOf(node.frame) == format::VirtualKind::kPython && recording_.FindCode(node.frame) == nullptr;
  }
  if (missing > 0) recording_.damage_.push_back(fmt::format("the code of {} frames of Python is missing", missing));
}

// The thread to charge for a record of the table of threads. One whose record is missing counted, so it was there:
// that is all that is known of it.
size_t RecordingParser::ThreadOf(uint32_t record) {
  if (record < thread_of_record_.size() && thread_of_record_[record] != kNotWritten) return thread_of_record_[record];
  ++threads_without_record_;
  recording_.threads_.emplace_back();
  return recording_.threads_.size() - 1;
}

void RecordingParser::ChargeCounters() {
  SiteCounters lost = counters_.ownerless();
  uint32_t record = UINT32_MAX;  // of the thread charged now
  size_t thread = 0;
  counters_.Visit([&](uint32_t owner, uint64_t site, const SiteCounters& counters) {
    if (!Exists(site)) {
      lost += counters;
      return;
    }
    if (record != owner) thread = ThreadOf(record = owner);
    recording_.threads_[thread].counters.emplace_back(static_cast<SiteId>(site), counters);
  });
  if (threads_without_record_ > 0) {
    recording_.damage_.push_back(fmt::format("the records of {} threads are missing", threads_without_record_));
  }
  if (!lost.any()) return;
  recording_.damage_.push_back(fmt::format("{} live bytes in {} blocks belong to stacks that are missing",
                                           lost.live_bytes(), lost.live_blocks()));
  recording_.threads_.push_back({.kind = format::ThreadKind::kOrphans,
                                 .tid = 0,
                                 .threads_served = 0,
                                 .name = "",
                                 .python_small_bytes = 0,
                                 .counters = {{format::kOverflowSite, lost}}});
}

void RecordingParser::ChargeSnapshots() {
  uint64_t changed = 0;
  for (RecordedSnapshot& snapshot : recording_.snapshots_) {
    SiteCounters lost;
    for (const auto& [site, growth] : snapshot.growth) {
      if (!Exists(site)) lost += growth;
    }
    if (!lost.any()) continue;
    ++changed;
    std::erase_if(snapshot.growth, [this](const auto& entry) { return !Exists(entry.first); });
    if (snapshot.growth.empty() || snapshot.growth.front().first != format::kOverflowSite) {
      snapshot.growth.emplace(snapshot.growth.begin(), format::kOverflowSite, SiteCounters{});
    }
    snapshot.growth.front().second += lost;
  }
  if (changed > 0) recording_.damage_.push_back(fmt::format("{} snapshots count for stacks that are missing", changed));
}

// A sampled stack has the mark as its outermost frame.
void RecordingParser::FindSampledSites() {
  const std::vector<RecordedNode>& nodes = recording_.nodes_;
  const auto is_mark = [&](NodeId node) {
    return nodes[node].parent == 0 && format::IsVirtual(nodes[node].frame) &&
           format::KindOf(nodes[node].frame) == format::VirtualKind::kSampled;
  };
  bool any = false;
  for (NodeId node = 1; node < nodes.size() && !any; ++node) any = is_mark(node);
  if (!any) return;
  std::vector<uint64_t>& intervals = recording_.sample_intervals_;
  intervals.resize(recording_.sites_.size());
  constexpr uint64_t kUnknown = ~uint64_t{0};
  std::vector<uint64_t> of_node(nodes.size(), kUnknown);
  of_node[0] = 0;
  std::vector<NodeId> path;
  for (SiteId site = 1; site < intervals.size(); ++site) {
    NodeId node = recording_.sites_[site];
    path.clear();
    // CheckStacks() has made sure that it ends.
    for (; node < nodes.size() && of_node[node] == kUnknown && !is_mark(node); node = nodes[node].parent) {
      path.push_back(node);
    }
    uint64_t interval = 0;
    if (node < nodes.size()) interval = is_mark(node) ? format::PayloadOf(nodes[node].frame) : of_node[node];
    for (const NodeId passed : path) of_node[passed] = interval;
    intervals[site] = interval;
  }
}

void RecordingParser::ChargePeak() {
  if (!recording_.peak_copy_) return;
  SiteCounters lost;
  std::erase_if(recording_.peak_copy_->live, [&](const auto& entry) {
    if (Exists(entry.first)) return false;
    lost += entry.second;
    return true;
  });
  if (!lost.any()) return;
  auto& live = recording_.peak_copy_->live;
  auto at = live.begin();
  while (at != live.end() && at->first < format::kOverflowSite) ++at;
  if (at == live.end() || at->first != format::kOverflowSite)
    at = live.emplace(at, format::kOverflowSite, SiteCounters{});
  at->second += lost;
  recording_.damage_.push_back("the copy of the peak counts for stacks that are missing");
}

// Live: the counters are exact to the event, the totals are flushed now and then and miss a share while a thread is at
// it. So the counters decide, unless they were caught on the move or are not all there.
// Peak: as if the thread whose unflushed share was highest flushed now.
void RecordingParser::SumUp() {
  std::vector<SiteCounters> sums = recording_.Counters();
  const int64_t flushed =
      Add(Add(static_cast<int64_t>(recording_.header_.live_bytes), unflushed_live_), sums[0].live_bytes());
  int64_t live = flushed;
  uint64_t negative = 0;
  if (counters_.quiet() && !map_.Torn(TableKind::kCounters)) {
    live = 0;
    for (SiteId site = 0; site < sums.size(); ++site) {
      if (recording_.SampleInterval(site) == 0) live = Add(live, sums[site].live_bytes());
      negative += site > format::kOverflowSite && (sums[site].live_bytes() < 0 || sums[site].live_blocks() < 0);
    }
  }
  if (negative > 0) {
    recording_.damage_.push_back(fmt::format(
        "{} stacks have freed more than they allocated: the file was copied while its process ran", negative));
  }
  recording_.live_bytes_ = static_cast<uint64_t>(std::max<int64_t>(live, 0));
  recording_.peak_bytes_ = std::max({recording_.header_.peak_bytes, recording_.live_bytes_,
                                     static_cast<uint64_t>(std::max<int64_t>(Add(flushed, above_live_), 0))});
}

}  // namespace allocline
