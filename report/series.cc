#include "report/series.h"

#include <utility>

#include "recording/sampling.h"
#include "report/statistics.h"

namespace allocline {

// The pass itself: the sums as they are now, and which of them changed since the last checkpoint.
class SeriesBuilder {
 public:
  SeriesBuilder(const Recording& recording, const std::vector<GroupId>& groups, SeriesTable* table)
      : recording_(recording), groups_(groups), table_(*table) {
    sites_.resize(recording.sites().size());
    sums_.resize(table->groups());
    is_changed_.resize(table->groups());
  }

  void Add(SiteId site, const SiteCounters& growth) {
    if (site >= sites_.size() || !growth.any()) return;
    SiteCounters& counters = sites_[site];
    const uint64_t interval = recording_.SampleInterval(site);
    const auto variance = [&] { return EstimateVariance(counters.live_bytes(), counters.live_blocks(), interval); };
    const double variance_before = variance();
    counters += growth;
    if (interval == 0) AddTo(growth, 0, &total_);
    const GroupId group = site < groups_.size() ? groups_[site] : kNoGroup;
    if (group == kNoGroup) return;
    AddTo(growth, variance() - variance_before, &sums_[group]);
    if (is_changed_[group]) return;
    is_changed_[group] = true;
    changed_.push_back(group);
  }

  // What is not in the sums yet of the counters at the end.
  void AddRest(const std::vector<SiteCounters>& counters) {
    for (SiteId site = 0; site < counters.size(); ++site) {
      const SiteCounters &now = counters[site], &before = sites_[site];
      Add(site, {.allocated_bytes = now.allocated_bytes - before.allocated_bytes,
                 .allocated_blocks = now.allocated_blocks - before.allocated_blocks,
                 .freed_bytes = now.freed_bytes - before.freed_bytes,
                 .freed_blocks = now.freed_blocks - before.freed_blocks});
    }
  }

  void Mark(uint32_t point) {
    for (const GroupId group : changed_) {
      table_.changes_[group].push_back({.point = point, .sums = sums_[group]});
      is_changed_[group] = false;
    }
    changed_.clear();
    table_.total_.live_bytes.push_back(total_.live_bytes);
    table_.total_.live_blocks.push_back(total_.live_blocks);
    table_.total_.allocated_bytes.push_back(total_.allocated_bytes);
  }

  int64_t LiveBytes(GroupId group) const { return sums_[group].live_bytes; }

 private:
  static void AddTo(const SiteCounters& growth, double variance, SeriesTable::Sums* sums) {
    sums->live_bytes += growth.live_bytes();
    sums->live_blocks += growth.live_blocks();
    sums->allocated_bytes += growth.allocated_bytes;
    sums->variance += variance;
  }

  const Recording& recording_;
  const std::vector<GroupId>& groups_;
  SeriesTable& table_;
  std::vector<SiteCounters> sites_;      // index: SiteId
  std::vector<SeriesTable::Sums> sums_;  // index: GroupId
  SeriesTable::Sums total_;
  std::vector<bool> is_changed_;
  std::vector<GroupId> changed_;
};

SeriesTable::SeriesTable(const Recording& recording, std::span<const Checkpoint> checkpoints,
                         const std::vector<GroupId>& groups, size_t count)
    : points_(checkpoints.size()),
      sampled_(recording.header().sample_interval_bytes != 0),
      changes_(count),
      peaks_(count),
      at_end_(count) {
  SeriesBuilder builder(recording, groups, this);
  size_t next = 0;
  const std::vector<RecordedSnapshot>& snapshots = recording.snapshots();
  for (size_t i = 0; i < snapshots.size(); ++i) {
    for (const auto& [site, growth] : snapshots[i].growth) builder.Add(site, growth);
    if (next < points_ && checkpoints[next].snapshot == i) builder.Mark(static_cast<uint32_t>(next++));
  }
  builder.AddRest(recording.Counters());
  if (next < points_) builder.Mark(static_cast<uint32_t>(next));
  for (GroupId group = 0; group < count; ++group) at_end_[group] = builder.LiveBytes(group);

  const std::optional<RecordedPeak>& peak = recording.peak_copy();
  has_peaks_ =
      peak && points_ > 0 && (!checkpoints.back().snapshot || peak->monotonic_ns <= checkpoints.back().monotonic_ns);
  if (!has_peaks_) return;
  total_.peak_bytes = static_cast<int64_t>(peak->live_bytes);
  for (const auto& [site, counters] : peak->live) {
    if (site < groups.size() && groups[site] != kNoGroup) peaks_[groups[site]] += counters.live_bytes();
  }
}

LineSeries SeriesTable::Line(GroupId group) const {
  LineSeries line;
  if (has_peaks_) line.peak_bytes = peaks_[group];
  Sums sums;
  auto change = changes_[group].begin();
  for (uint32_t point = 0; point < points_; ++point) {
    if (change != changes_[group].end() && change->point == point) sums = (change++)->sums;
    line.live_bytes.push_back(sums.live_bytes);
    line.live_blocks.push_back(sums.live_blocks);
    line.allocated_bytes.push_back(sums.allocated_bytes);
    if (sampled_) line.error_bytes.push_back(ErrorBound(sums.variance));
  }
  return line;
}

}  // namespace allocline
