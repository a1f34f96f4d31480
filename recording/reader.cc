#include "recording/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "recording/byte_source.h"
#include "recording/parser.h"

namespace allocline {

// A program may have taken a million.
static_assert(sizeof(RecordedSnapshot) <= 144);

SiteCounters& SiteCounters::operator+=(const SiteCounters& other) {
  allocated_bytes += other.allocated_bytes;
  allocated_blocks += other.allocated_blocks;
  freed_bytes += other.freed_bytes;
  freed_blocks += other.freed_blocks;
  return *this;
}

absl::StatusOr<Recording> Recording::Open(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, OpenByteSource(path));
  return RecordingParser(*source).Parse();
}

absl::StatusOr<Recording> Recording::Parse(std::string_view bytes, const std::string& name) {
  const std::unique_ptr<ByteSource> source = MakeByteSource(bytes, name);
  return RecordingParser(*source).Parse();
}

std::vector<SiteCounters> Recording::Counters() const {
  std::vector<SiteCounters> sum(sites_.size());
  for (const RecordedThread& thread : threads_) {
    for (const auto& [site, counters] : thread.counters) sum[site] += counters;
  }
  return sum;
}

std::vector<SiteCounters> Recording::CountersAt(size_t index) const {
  std::vector<SiteCounters> sum(sites_.size());
  for (size_t i = 0; i <= index && i < snapshots_.size(); ++i) {
    for (const auto& [site, growth] : snapshots_[i].growth) sum[site] += growth;
  }
  return sum;
}

SiteCounters Recording::Totals(const std::vector<SiteCounters>& counters) const {
  SiteCounters total;
  for (SiteId site = 0; site < counters.size(); ++site) {
    if (SampleInterval(site) == 0) total += counters[site];
  }
  return total;
}

std::vector<SiteCounters> Recording::CountersAtPeak() const {
  std::vector<SiteCounters> live(sites_.size());
  if (peak_copy_) {
    for (const auto& [site, counters] : peak_copy_->live) live[site] += counters;
  }
  return live;
}

namespace {

std::string Quoted(std::string_view label) {
  constexpr size_t kMostBytes = 80;
  return fmt::format("'{}'{}", label.substr(0, kMostBytes), label.size() > kMostBytes ? "..." : "");
}

}  // namespace

absl::StatusOr<size_t> Recording::FindSnapshot(std::string_view label) const {
  label = label.substr(0, format::kMaxLabelBytes);  // as it was cut when it was recorded
  for (size_t i = snapshots_.size(); i-- > 0;) {
    if (snapshots_[i].label == label) return i;
  }
  return absl::NotFoundError(
      fmt::format("{}: has no snapshot labelled {}; its labels: {}", path_, Quoted(label), LabelList()));
}

std::string Recording::LabelList() const {
  constexpr size_t kMostNamed = 20;
  absl::flat_hash_set<std::string_view> labels;
  std::string known;
  for (const RecordedSnapshot& snapshot : snapshots_) {
    if (!labels.insert(snapshot.label).second || labels.size() > kMostNamed) continue;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", Quoted(snapshot.label));
  }
  if (labels.size() > kMostNamed) known += fmt::format(" and {} others", labels.size() - kMostNamed);
  return known.empty() ? "none" : known;
}

std::vector<format::Frame> Recording::Stack(SiteId site) const {
  std::vector<format::Frame> stack;
  if (site >= sites_.size()) return stack;
  // The parser has made sure that it ends.
  for (NodeId node = sites_[site]; node < nodes_.size() && nodes_[node].frame != 0; node = nodes_[node].parent) {
    stack.push_back(nodes_[node].frame);
  }
  return stack;
}

const RecordedModule* Recording::FindModule(format::Frame frame) const {
  if (format::IsVirtual(frame) || format::AddressOf(frame) == 0) return nullptr;
  const uint64_t call = format::AddressOf(frame) - 1;  // a call may be the last instruction of its module
  const std::tuple<uint32_t, uint64_t> wanted(format::GenerationOf(frame), call);
  auto after = std::upper_bound(modules_by_start_.begin(), modules_by_start_.end(), wanted,
                                [this](const auto& frame_key, uint32_t index) {
                                  return frame_key < std::tuple(modules_[index].generation, modules_[index].start);
                                });
  if (after == modules_by_start_.begin()) return nullptr;
  const RecordedModule& module = modules_[*std::prev(after)];
  return module.generation == format::GenerationOf(frame) && call < module.end ? &module : nullptr;
}

const RecordedCode* Recording::FindCode(format::Frame frame) const {
  if (!format::IsVirtual(frame) || format::KindOf(frame) != format::VirtualKind::kPython) return nullptr;
  const uint64_t id = format::CodeOf(frame);
  const auto at = std::lower_bound(codes_.begin(), codes_.end(), id,
                                   [](const RecordedCode& code, uint64_t wanted) { return code.id < wanted; });
  return at != codes_.end() && at->id == id ? &*at : nullptr;
}

int64_t Recording::python_small_bytes() const {
  uint64_t sum = 0;  // modulo 2^64: a thread frees what another allocated
  for (const RecordedThread& thread : threads_) sum += static_cast<uint64_t>(thread.python_small_bytes);
  return static_cast<int64_t>(sum);
}

}  // namespace allocline
