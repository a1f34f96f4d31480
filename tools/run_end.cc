#include "tools/run_end.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace allocline {
namespace {

// A shell that waited for a process killed by SIGKILL ends with this code.
constexpr int kCodeOfSigkill = 128 + SIGKILL;
// Where kills are not counted: how full the container has to have been, in percent, for a SIGKILL to be its deed. The
// last figure the process noted is up to some percent old.
constexpr uint64_t kFullPercent = 90;
constexpr size_t kMostGroups = 256;  // that are looked at

bool CounterRose(const ContainerEvidence& evidence) {
  return evidence.kills_before != format::kNotCounted && evidence.kills_now != format::kNotCounted &&
         evidence.kills_now > evidence.kills_before;
}

bool WasFull(const ContainerEvidence& evidence) {
  const bool counts = evidence.kills_before != format::kNotCounted && evidence.kills_now != format::kNotCounted;
  return !counts && evidence.limit_bytes != 0 && evidence.usage_bytes >= evidence.limit_bytes / 100 * kFullPercent;
}

std::string OfLimit(const ContainerVerdict& verdict) {
  constexpr uint64_t kMebibyte = 1 << 20;
  if (verdict.limit_bytes == 0) return "";
  if (verdict.usage_bytes == 0) return fmt::format(", whose limit is {} MiB", verdict.limit_bytes / kMebibyte);
  return fmt::format(" at {} of {} MiB", verdict.usage_bytes / kMebibyte, verdict.limit_bytes / kMebibyte);
}

}  // namespace

ContainerEvidence EvidenceOf(const format::FileHeader& header) {
  // As in the tracer: a limit that is given where the container has none is for what the process itself holds.
  const bool of_process = header.emulated_limit_bytes != 0 && header.container_limit_bytes == 0;
  ContainerEvidence evidence{
      .was_killed = (header.state & format::kStateEndedByItself) == 0 && !IsRunning(header),
      .kills_before = header.oom_kills_at_start,
      .kills_now = format::kNotCounted,
      .usage_bytes = of_process ? header.rss_bytes : header.container_usage_bytes,
      .limit_bytes = header.emulated_limit_bytes != 0 ? header.emulated_limit_bytes : header.container_limit_bytes,
      .ended_itself = (header.state & format::kStateEndedItself) != 0};
  Cgroup group{.version = static_cast<CgroupVersion>(header.container_version)};
  static_assert(sizeof group.directory >= sizeof header.container_path);
  memcpy(group.directory, header.container_path, sizeof header.container_path);
  group.directory[sizeof header.container_path - 1] = '\0';
  if (group.directory[0] == '\0') return evidence;
  if (!ReadOomKills(group, &evidence.kills_now)) evidence.kills_now = format::kNotCounted;
  if (evidence.was_killed && header.container_limit_bytes != 0) {
    evidence.at_most = ReadContainerPeak(group, header.container_limit_bytes);
  }
  return evidence;
}

KillCounts KillCounts::Read(const char* root) {
  KillCounts counts;
  const Cgroup own = FindCgroup(0, root);
  if (!own.found()) return counts;
  counts.limit_bytes_ = ReadContainerMemory(own).limit_bytes;
  std::vector<std::string> directories = {own.directory};
  for (size_t i = 0; i < directories.size(); ++i) {
    Cgroup group = own;
    if (directories[i].size() >= sizeof group.directory) continue;
    strcpy(group.directory, directories[i].c_str());
    uint64_t kills = 0;
    if (ReadOomKills(group, &kills)) counts.kills_[directories[i]] = kills;
    // Of version 2 a group's count has those below it in it. Without a limit, what is below are others' containers.
    if (own.version != CgroupVersion::kV1 || counts.limit_bytes_ == 0) break;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directories[i], error), end; !error && entry != end;
         entry.increment(error)) {
      if (directories.size() >= kMostGroups) break;
      if (entry->is_directory(error) && !entry->is_symlink(error)) directories.push_back(entry->path().string());
    }
  }
  return counts;
}

bool KillCounts::RoseSince(const KillCounts& before) const {
  return std::ranges::any_of(kills_, [&](const auto& group) {
    const auto was = before.kills_.find(group.first);
    return group.second > (was == before.kills_.end() ? 0 : was->second);
  });
}

ContainerVerdict Judge(const ChildEnd& end, std::span<const ContainerEvidence> evidence, const KillCounts& before,
                       const KillCounts& now) {
  const auto find = [&](ContainerDeed deed, auto holds) {
    const auto found = std::ranges::find_if(evidence, holds);
    if (found == evidence.end()) return ContainerVerdict{};
    return ContainerVerdict{.deed = deed,
                            .usage_bytes = found->usage_bytes,
                            .limit_bytes = found->limit_bytes,
                            .victim = static_cast<size_t>(found - evidence.begin())};
  };
  ContainerVerdict verdict =
      find(ContainerDeed::kGivenLimit, [](const ContainerEvidence& e) { return e.ended_itself; });
  if (verdict.deed != ContainerDeed::kNone) return verdict;
  verdict = find(ContainerDeed::kKilled, [](const ContainerEvidence& e) { return e.was_killed && CounterRose(e); });
  if (verdict.deed != ContainerDeed::kNone) {
    const ContainerMemory& at_most = evidence[*verdict.victim].at_most;
    if (at_most.found) {
      verdict.usage_bytes = at_most.usage_bytes;
      verdict.limit_bytes = at_most.limit_bytes;
    }
    return verdict;
  }
  if (end.signal != SIGKILL && end.code != kCodeOfSigkill) return {};
  verdict = find(ContainerDeed::kLikelyKilled, [](const ContainerEvidence& e) { return e.was_killed && WasFull(e); });
  if (verdict.deed != ContainerDeed::kNone || !now.RoseSince(before)) return verdict;
  return {.deed = ContainerDeed::kKilled, .limit_bytes = now.limit_bytes(), .victim = std::nullopt};
}

std::string EndText(const ChildEnd& end, uint64_t elapsed_ns, const ContainerVerdict& verdict,
                    const std::string& victim) {
  std::string deed;
  switch (verdict.deed) {
    case ContainerDeed::kNone:
      break;
    case ContainerDeed::kKilled:
      deed = "killed by the container's OOM killer" + OfLimit(verdict);
      break;
    case ContainerDeed::kLikelyKilled:
      deed = "killed" + OfLimit(verdict) + ", most likely by the container's OOM killer, whose count cannot be read";
      break;
    case ContainerDeed::kGivenLimit:
      deed = "ended by --limit" + OfLimit(verdict);
      break;
  }
  if (!deed.empty() && victim.empty()) return "was " + deed;
  const double seconds = static_cast<double>(elapsed_ns) / 1e9;
  std::string text;
  if (end.signal != 0) {
    const char* name = sigabbrev_np(end.signal);
    text = fmt::format("was ended by signal {}{} after {:.1f} s", end.signal,
                       name != nullptr ? fmt::format(" (SIG{})", name) : "", seconds);
  } else {
    text = fmt::format("exited with {} after {:.1f} s", end.code, seconds);
  }
  return deed.empty() ? text : fmt::format("{}; {} was {}", text, victim, deed);
}

}  // namespace allocline
