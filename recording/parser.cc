#include "recording/parser.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/status_macros.h"
#include "recording/table_reader.h"
#include "recording/variable_records.h"

namespace allocline {

using format::NodeRecord;
using format::SiteRecord;
using format::TableKind;
using format::ThreadRecord;

namespace {

// Sums as a damaged file may have them: they wrap and do not overflow.
int64_t Add(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }

// Reads all records of a table of variable size, each by parse(bytes).
template <typename Value, typename Parse>
absl::Status ReadVariable(TableMap& map, TableKind kind, size_t fixed_bytes, Parse parse, std::vector<Value>* into) {
  RETURN_IF_ERROR(map.Refresh());
  return ForEachVariableRecord(map, kind, fixed_bytes, [&](uint64_t offset, std::string_view record) {
    absl::StatusOr<Value> value = parse(record);
    if (!value.ok()) return map.Damaged(kind, offset, std::string(value.status().message()));
    into->push_back(*std::move(value));
    return absl::OkStatus();
  });
}

}  // namespace

absl::StatusOr<Recording> RecordingParser::Parse() && {
  RETURN_IF_ERROR(ReadSnapshots());
  RETURN_IF_ERROR(counters_.ReadFreed(map_));
  RETURN_IF_ERROR(counters_.ReadAllocated(map_));
  RETURN_IF_ERROR(counters_.ReadOwners(map_));
  RETURN_IF_ERROR(ReadThreads());
  RETURN_IF_ERROR(ReadSites());
  RETURN_IF_ERROR(ReadNodes());
  RETURN_IF_ERROR(ReadModules());
  RETURN_IF_ERROR(ReadSymbols());
  NoteWhatIsMissing();
  RETURN_IF_ERROR(CheckStacks());
  RETURN_IF_ERROR(ChargeCounters());
  RETURN_IF_ERROR(ChargeSnapshots());
  SumUp();
  return std::move(recording_);
}

// ---------------------------------------------------------------- reading

absl::Status RecordingParser::ReadSnapshots() {
  return ReadVariable(map_, TableKind::kSnapshots, sizeof(format::SnapshotRecord), ParseSnapshot,
                      &recording_.snapshots_);
}

absl::Status RecordingParser::ReadThreads() {
  RETURN_IF_ERROR(map_.Refresh());
  recording_.header_ = map_.header();  // the totals that go with the threads' unflushed parts
  return ForEachRecord<ThreadRecord>(map_, TableKind::kThreads, [this](size_t, const ThreadRecord& record) {
    if (record.kind == 0) {
      thread_of_record_.emplace_back(std::nullopt);
      return;
    }
    thread_of_record_.emplace_back(recording_.threads_.size());
    recording_.threads_.push_back({.kind = format::ThreadKind{record.kind},
                                   .tid = record.tid,
                                   .threads_served = record.threads_served,
                                   .name = std::string(record.name, strnlen(record.name, sizeof(record.name))),
                                   .counters = {}});
    unflushed_live_ = Add(unflushed_live_, record.pending_bytes);
    if (record.peak_epoch == recording_.header_.peak_epoch) {
      unflushed_peak_ = std::max(unflushed_peak_, record.pending_peak);
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
  RETURN_IF_ERROR(
      ReadVariable(map_, TableKind::kModules, sizeof(format::ModuleRecord), ParseModule, &recording_.modules_));
  const std::vector<RecordedModule>& modules = recording_.modules_;
  std::vector<uint32_t>& order = recording_.modules_by_start_;
  order.resize(modules.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::tie(modules[a].generation, modules[a].start, a) < std::tie(modules[b].generation, modules[b].start, b);
  });
  return absl::OkStatus();
}

absl::Status RecordingParser::ReadSymbols() {
  return ReadVariable(map_, TableKind::kSymbols, sizeof(format::SymbolRecord), ParseSymbol, &recording_.symbols_);
}

// ---------------------------------------------------------------- checking

void RecordingParser::NoteWhatIsMissing() {
  recording_.file_bytes_ = map_.file_bytes();
  for (uint32_t kind = 1; kind < format::kTableCount; ++kind) {
    const uint64_t missing = map_.Missing(TableKind{kind});
    if (missing == 0) continue;
    recording_.damage_.push_back(fmt::format("the file ends at {}: of the table of {}, {} of {} bytes are missing",
                                             map_.file_bytes(), TableName(TableKind{kind}), missing,
                                             missing + map_.Readable(TableKind{kind})));
  }
}

// Walks outward from every site, through each node once: all stacks must end at the root.
absl::Status RecordingParser::CheckStacks() {
  enum State : uint8_t { kUnseen, kOnThisPath, kEndsAtRoot, kCutShort };
  const std::vector<RecordedNode>& nodes = recording_.nodes_;
  std::vector<State> state(nodes.size(), kUnseen);
  state[0] = kEndsAtRoot;
  uint64_t stacks_cut_short = 0;
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
    if (end == kCutShort && !map_.Torn(TableKind::kNodes)) {
      if (path.empty()) {
        return map_.Damaged(TableKind::kSites, uint64_t{site} * sizeof(SiteRecord),
                            fmt::format("site {} is at node {}, which does not exist", site, node));
      }
      return map_.Damaged(TableKind::kNodes, uint64_t{path.back()} * sizeof(NodeRecord),
                          fmt::format("the caller of node {} is {}, which does not exist", path.back(), node));
    }
    for (NodeId passed : path) state[passed] = end;
    stacks_cut_short += end == kCutShort;
  }
  if (stacks_cut_short > 0) {
    recording_.damage_.push_back(fmt::format("{} stacks have lost their outer frames", stacks_cut_short));
  }
  return absl::OkStatus();
}

std::optional<size_t> RecordingParser::ThreadOf(uint32_t record) {
  if (record < thread_of_record_.size()) return thread_of_record_[record];
  if (!map_.Torn(TableKind::kThreads)) return std::nullopt;
  recording_.threads_.emplace_back();  // it counted, so it was there: all that is known of it
  return recording_.threads_.size() - 1;
}

absl::Status RecordingParser::ChargeCounters() {
  SiteCounters lost = counters_.ownerless();
  if (lost.any() && !map_.Torn(TableKind::kChunkOwners)) {
    return map_.Damaged(TableKind::kCounters, counters_.first_ownerless_offset(), "a chunk that counts has no owner");
  }
  std::optional<uint32_t> record;  // of the thread charged now
  std::optional<size_t> thread;
  RETURN_IF_ERROR(counters_.Visit(
      [&](uint32_t owner, uint64_t site, const SiteCounters& counters, const CounterTable::Origin& origin) {
        if (record != owner) {
          record = owner;
          thread = ThreadOf(owner);
        }
        if (!thread) {
          return map_.Damaged(TableKind::kChunkOwners, origin.owner_offset,
                              fmt::format("a chunk belongs to thread record {}, which does not exist", owner));
        }
        if (Exists(site)) {
          recording_.threads_[*thread].counters.emplace_back(static_cast<SiteId>(site), counters);
        } else if (site != 0 && map_.Torn(TableKind::kSites)) {
          lost += counters;
        } else {
          return map_.Damaged(TableKind::kCounters, origin.counter_offset,
                              fmt::format("something was counted for site {}, which does not exist", site));
        }
        return absl::OkStatus();
      }));
  if (lost.any()) {
    recording_.damage_.push_back(fmt::format("{} live bytes in {} blocks belong to stacks that are missing",
                                             lost.live_bytes(), lost.live_blocks()));
    recording_.threads_.push_back({.kind = format::ThreadKind::kOrphans,
                                   .tid = 0,
                                   .threads_served = 0,
                                   .name = "",
                                   .counters = {{format::kOverflowSite, lost}}});
  }
  return absl::OkStatus();
}

absl::Status RecordingParser::ChargeSnapshots() {
  for (RecordedSnapshot& snapshot : recording_.snapshots_) {
    SiteCounters lost;
    for (const auto& [site, growth] : snapshot.growth) {
      if (Exists(site)) continue;
      if (!map_.Torn(TableKind::kSites)) {
        return map_.Damaged(
            TableKind::kSnapshots, 0,
            fmt::format("the snapshot '{}' counts for site {}, which does not exist", snapshot.label, site));
      }
      lost += growth;
    }
    if (!lost.any()) continue;
    std::erase_if(snapshot.growth, [this](const auto& entry) { return !Exists(entry.first); });
    if (snapshot.growth.empty() || snapshot.growth.front().first != format::kOverflowSite) {
      snapshot.growth.emplace(snapshot.growth.begin(), format::kOverflowSite, SiteCounters{});
    }
    snapshot.growth.front().second += lost;
  }
  return absl::OkStatus();
}

// Live: the counters are exact to the event, the totals are flushed now and then and add up only roughly while a
// thread is at it. So the counters decide, unless they were caught on the move or are not all there.
// Peak: what the thread with the highest unflushed peak would make of it if it flushed now.
void RecordingParser::SumUp() {
  int64_t live = Add(static_cast<int64_t>(recording_.header_.live_bytes), unflushed_live_);
  if (counters_.quiet() && !map_.Torn(TableKind::kCounters)) {
    live = 0;
    for (const RecordedThread& thread : recording_.threads_) {
      for (const auto& [site, counters] : thread.counters) live = Add(live, counters.live_bytes());
    }
  }
  const int64_t peak = Add(static_cast<int64_t>(recording_.header_.live_bytes), unflushed_peak_);
  recording_.live_bytes_ = static_cast<uint64_t>(std::max<int64_t>(live, 0));
  recording_.peak_bytes_ = std::max(
      {recording_.header_.peak_bytes, recording_.live_bytes_, static_cast<uint64_t>(std::max<int64_t>(peak, 0))});
}

}  // namespace allocline
