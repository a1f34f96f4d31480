#include "recording/builder.h"

#include <string.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <string_view>

#include "recording/atomic_file.h"
#include "recording/variable_records.h"

namespace allocline {

using format::ChunkOwner;
using format::CounterChunk;
using format::Extent;
using format::FileHeader;
using format::Frame;
using format::NodeRecord;
using format::SiteRecord;
using format::TableKind;
using format::ThreadRecord;

namespace {

template <typename Record>
void Append(std::string& table, const Record& record) {
  table.append(reinterpret_cast<const char*>(&record), sizeof(record));
}

size_t RoundUpToPage(size_t bytes) {
  return (bytes + format::kPageBytes - 1) / format::kPageBytes * format::kPageBytes;
}

// By rising site, one entry for each, and none that counts nothing.
std::vector<std::pair<SiteId, SiteCounters>> Normalized(std::vector<std::pair<SiteId, SiteCounters>> counters) {
  std::stable_sort(counters.begin(), counters.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<SiteId, SiteCounters>> out;
  for (const auto& [site, value] : counters) {
    if (out.empty() || out.back().first != site) out.emplace_back(site, SiteCounters{});
    out.back().second += value;
  }
  std::erase_if(out, [](const auto& entry) { return !entry.second.any(); });
  return out;
}

// Appends the chunks of thread record `thread`, and who owns them.
void AppendChunks(uint32_t thread, const std::vector<std::pair<SiteId, SiteCounters>>& counters, std::string& owners,
                  std::string& chunks) {
  for (size_t i = 0; i < counters.size();) {
    const uint32_t group = counters[i].first / format::kSitesPerChunk;
    CounterChunk chunk{};
    for (; i < counters.size() && counters[i].first / format::kSitesPerChunk == group; ++i) {
      const SiteCounters& value = counters[i].second;
      chunk.counters[counters[i].first % format::kSitesPerChunk] = {value.allocated_bytes, value.allocated_blocks,
                                                                    value.freed_bytes, value.freed_blocks};
    }
    Append(owners, ChunkOwner{.thread_plus_one = thread + 1, .group = group});
    Append(chunks, chunk);
  }
}

ThreadRecord RecordOf(const RecordedThread& thread) {
  ThreadRecord record{};
  record.kind = static_cast<uint32_t>(thread.kind);
  record.tid = thread.tid;
  record.threads_served = thread.threads_served;
  record.python_small_bytes = thread.python_small_bytes;
  for (const auto& [site, counters] : thread.counters) {
    if (site == 0) record.counted_bytes += counters.live_bytes();
  }
  record.timed_allocations = thread.timed_allocations.events;
  record.timed_allocation_ns = thread.timed_allocations.ns;
  record.timed_frees = thread.timed_frees.events;
  record.timed_free_ns = thread.timed_frees.ns;
  memcpy(record.name, thread.name.data(), std::min(thread.name.size(), sizeof(record.name)));
  return record;
}

// A frame names its code by where it is, so each goes where its id says. The record before it is longer than what it
// holds then: it was written by a later version, which put something at its end.
std::string CodeTable(const std::vector<RecordedCode>& codes) {
  std::string table;
  size_t last = 0;
  for (const RecordedCode& code : codes) {
    const size_t at = code.id * format::kCodeIdBytes;
    if (at > table.size()) {
      table.resize(at);
      const auto record_bytes = static_cast<uint32_t>(at - last);
      memcpy(&table[last], &record_bytes, sizeof(record_bytes));
    }
    last = at;
    table += EncodeCode(code);
  }
  return table;
}

}  // namespace

RecordingBuilder::RecordingBuilder() : nodes_(1), sites_(1) {
  AddSite(std::array{format::MakeVirtualFrame(format::VirtualKind::kOverflow, 0)});
}

RecordingBuilder::RecordingBuilder(const Recording& recording)
    : header_(recording.header()),
      modules_(recording.modules()),
      nodes_(recording.nodes()),
      sites_(recording.sites()),
      threads_(recording.threads()),
      snapshots_(recording.snapshots()),
      codes_(recording.codes()),
      symbols_(recording.symbols()),
      differences_(recording.differences()),
      timeline_(recording.timeline()),
      ledger_(recording.ledger()),
      peak_copy_(recording.peak_copy()) {
  for (NodeId node = 1; node < nodes_.size(); ++node) {
    node_of_frame_.try_emplace({nodes_[node].parent, nodes_[node].frame}, node);
  }
  for (SiteId site = 1; site < sites_.size(); ++site) {
    if (sites_[site] != 0) site_of_node_.try_emplace(sites_[site], site);
  }
}

void RecordingBuilder::AddModule(const RecordedModule& module) { modules_.push_back(module); }

NodeId RecordingBuilder::AddNode(NodeId parent, Frame frame) {
  assert(frame != 0);
  const auto [entry, inserted] = node_of_frame_.try_emplace({parent, frame}, static_cast<NodeId>(nodes_.size()));
  if (inserted) nodes_.push_back({.parent = parent, .frame = frame});
  return entry->second;
}

SiteId RecordingBuilder::AddSite(std::span<const Frame> stack) {
  assert(!stack.empty());
  NodeId node = 0;
  for (auto frame = stack.rbegin(); frame != stack.rend(); ++frame) node = AddNode(node, *frame);
  const auto [entry, inserted] = site_of_node_.try_emplace(node, static_cast<SiteId>(sites_.size()));
  if (inserted) sites_.push_back(node);
  return entry->second;
}

size_t RecordingBuilder::AddThread(const RecordedThread& thread) {
  threads_.push_back(thread);
  return threads_.size() - 1;
}

void RecordingBuilder::AddCounters(size_t thread, SiteId site, const SiteCounters& counters) {
  assert(site < sites_.size());
  threads_.at(thread).counters.emplace_back(site, counters);
}

void RecordingBuilder::AddSnapshot(const RecordedSnapshot& snapshot) {
  snapshots_.push_back(snapshot);
  snapshots_.back().growth = Normalized(snapshot.growth);
}

void RecordingBuilder::AddSnapshotOfNow(RecordedSnapshot snapshot) {
  snapshot.growth.clear();
  for (const RecordedThread& thread : threads_) {
    snapshot.growth.insert(snapshot.growth.end(), thread.counters.begin(), thread.counters.end());
  }
  for (const RecordedSnapshot& before : snapshots_) {
    for (const auto& [site, growth] : before.growth) {
      // Counters only grow: what is taken away here was added above, so unsigned arithmetic comes out right.
      snapshot.growth.emplace_back(site, SiteCounters{-growth.allocated_bytes, -growth.allocated_blocks,
                                                      -growth.freed_bytes, -growth.freed_blocks});
    }
  }
  AddSnapshot(snapshot);
}

uint64_t RecordingBuilder::AddCode(const RecordedCode& code) {
  uint64_t id = 0;
  if (!codes_.empty()) id = codes_.back().id + EncodeCode(codes_.back()).size() / format::kCodeIdBytes;
  codes_.push_back(code);
  codes_.back().id = id;
  return id;
}

void RecordingBuilder::AddSymbol(const RecordedSymbol& symbol) { symbols_.push_back(symbol); }

void RecordingBuilder::AddDifference(const RecordedDifference& difference) { differences_.push_back(difference); }

void RecordingBuilder::AddTimelinePoint(const TimelinePoint& point) { timeline_.push_back(point); }

void RecordingBuilder::SetLedger(const RecordedLedger& ledger) { ledger_ = ledger; }

void RecordingBuilder::SetPeakCopy(const RecordedPeak& peak) { peak_copy_ = peak; }

std::string RecordingBuilder::Build() const {
  std::map<TableKind, std::string> tables;
  for (const RecordedModule& module : modules_) tables[TableKind::kModules] += EncodeModule(module);
  for (const RecordedNode& node : nodes_) {
    Append(tables[TableKind::kNodes], NodeRecord{.parent = node.parent, .site = 0, .frame = node.frame});
  }
  for (SiteId site = 0; site < sites_.size(); ++site) {
    Append(tables[TableKind::kSites], SiteRecord{.node = sites_[site]});
    // The node's hint at its site.
    const size_t hint = sites_[site] * sizeof(NodeRecord) + offsetof(NodeRecord, site);
    if (site != 0 && sites_[site] < nodes_.size()) memcpy(&tables[TableKind::kNodes][hint], &site, sizeof(site));
  }
  for (uint32_t thread = 0; thread < threads_.size(); ++thread) {
    Append(tables[TableKind::kThreads], RecordOf(threads_[thread]));
    AppendChunks(thread, Normalized(threads_[thread].counters), tables[TableKind::kChunkOwners],
                 tables[TableKind::kCounters]);
  }
  for (const RecordedSnapshot& snapshot : snapshots_) tables[TableKind::kSnapshots] += EncodeSnapshot(snapshot);
  tables[TableKind::kCodes] = CodeTable(codes_);
  for (const RecordedSymbol& symbol : symbols_) tables[TableKind::kSymbols] += EncodeSymbol(symbol);
  for (const RecordedDifference& difference : differences_) {
    tables[TableKind::kDifferences] += EncodeDifference(difference);
  }
  for (size_t i = 0; i < timeline_.size(); ++i) {
    const TimelinePoint& point = timeline_[i];
    Append(tables[TableKind::kTimeline], format::TimelineRecord{.sequence = i + 1,
                                                                .monotonic_ns = point.monotonic_ns,
                                                                .live_bytes = point.live_bytes,
                                                                .rss_bytes = point.rss_bytes,
                                                                .container_usage_bytes = point.container_usage_bytes,
                                                                .container_limit_bytes = point.container_limit_bytes});
  }
  if (ledger_) {
    RecordedLedger ledger = *ledger_;
    ledger.figures.sequence = 1;
    tables[TableKind::kLedger] = EncodeLedger(ledger);
    tables[TableKind::kLedger].resize(format::kLedgerSlotBytes);
  }

  FileHeader header = header_;
  memset(header.peak_copies, 0, sizeof(header.peak_copies));
  if (peak_copy_) {
    std::vector<format::PeakSite> sites(peak_copy_->live.empty() ? 0 : peak_copy_->live.back().first + 1);
    for (const auto& [site, live] : peak_copy_->live) sites[site] = {live.allocated_bytes, live.allocated_blocks};
    for (const format::PeakSite& site : sites) Append(tables[TableKind::kPeakFirst], site);
    header.peak_copies[0] = {.sequence = 1,
                             .live_bytes = peak_copy_->live_bytes,
                             .monotonic_ns = peak_copy_->monotonic_ns,
                             .site_count = static_cast<uint32_t>(sites.size()),
                             .epoch = header.peak_epoch};
  }
  memcpy(header.magic, format::kMagic, sizeof(header.magic));
  header.major = format::kMajorVersion;
  header.minor = format::kMinorVersion;
  header.byte_order = format::kByteOrderMark;
  header.header_bytes = format::kHeaderBytes;
  header.extent_count = 0;
  memset(header.tables, 0, sizeof(header.tables));
  std::string file(format::kHeaderBytes + format::kPageBytes, '\0');
  for (const auto& [kind, table] : tables) {
    if (table.empty()) continue;
    const Extent extent{.kind = static_cast<uint32_t>(kind),
                        .reserved = 0,
                        .table_offset = 0,
                        .file_offset = file.size(),
                        .bytes = RoundUpToPage(table.size())};
    memcpy(&file[format::kHeaderBytes + header.extent_count * sizeof(extent)], &extent, sizeof(extent));
    ++header.extent_count;
    header.tables[extent.kind] = {.used = table.size(), .capacity = extent.bytes};
    file += table;
    file.resize(extent.file_offset + extent.bytes);
  }
  header.file_bytes = file.size();
  memcpy(file.data(), &header, sizeof(header));
  return file;
}

absl::Status RecordingBuilder::WriteFile(const std::string& path, bool replace) const {
  return WriteFileAtomically(path, Build(), replace);
}

}  // namespace allocline
