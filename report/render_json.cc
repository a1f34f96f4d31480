#include "report/render_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/escape.h"
#include "report/notes.h"
#include "report/summary_json.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;  // fields in the order the schema is documented in

Json Text(std::string_view text) { return ValidUtf8(text); }
Json TextOrNull(std::string_view text) { return text.empty() ? Json(nullptr) : Text(text); }
Json KnownOrNull(uint64_t value) { return value == 0 ? Json(nullptr) : Json(value); }

std::string_view LineOfName(LineOf line_of) { return line_of == LineOf::kUser ? "user" : "innermost"; }
std::string_view SortByName(SortBy sort) {
  switch (sort) {
    case SortBy::kSize:
      return "size";
    case SortBy::kCount:
      return "count";
    case SortBy::kAverage:
      return "average";
    case SortBy::kTotal:
      return "total";
  }
  return "";
}

Json DropsJson(const ProfileSummary& summary) {
  Json drops = Json::array();
  for (uint32_t i = 0; i < summary.drops.size(); ++i) {
    const format::Drop& drop = summary.drops[i];
    if (drop.events == 0 && drop.bytes == 0) continue;
    drops.push_back({{"reason", DropReasonName(static_cast<format::DropReason>(i))},
                     {"events", drop.events},
                     {"bytes", drop.bytes}});
  }
  return drops;
}

Json StepJson(uint64_t interval_bytes, uint64_t after_ns, uint64_t live_bytes) {
  return {{"interval_bytes", KnownOrNull(interval_bytes)}, {"after_ns", after_ns}, {"live_bytes", live_bytes}};
}

// "exact", and since when it is that no longer.
Json ModeJson(const ProfileSummary& summary) {
  const bool sampled = (summary.state & format::kStateSampled) != 0;
  const bool totals_only = (summary.state & format::kStateTotalsOnly) != 0;
  return {{"name", totals_only ? "totals"
                   : sampled   ? "sampled"
                               : "exact"},
          {"sampled",
           sampled ? StepJson(summary.sample_interval_bytes, summary.sampled_after_ns, summary.sampled_live_bytes)
                   : Json(nullptr)},
          {"totals", totals_only ? StepJson(0, summary.totals_after_ns, summary.totals_live_bytes) : Json(nullptr)},
          {"tracer_budget_bytes", KnownOrNull(summary.tracer_budget_bytes)}};
}

Json ProfileJson(const Profile& profile, LineOf line_of) {
  const ProfileSummary& summary = profile.summary();
  ResolutionShares shares = ComputeResolution(profile, line_of);
  Json notes = Json::array();
  for (const std::string& note : NotesOf(summary)) notes.push_back(Text(note));
  return {
      {"recording", Text(summary.recording)},
      {"label", summary.label ? Text(*summary.label) : Json(nullptr)},
      {"at_peak", summary.at_peak},
      {"program", Text(summary.program)},
      {"pid", summary.pid},
      {"host", Text(summary.host)},
      {"allocator", TextOrNull(summary.allocator)},
      {"running", summary.running},
      {"exited", (summary.state & format::kStateExited) != 0},
      {"elapsed_ns", KnownOrNull(summary.elapsed_ns)},
      {"rows", summary.rows == format::kRowsNotGiven ? Json(nullptr) : Json(summary.rows)},
      {"traced",
       {{"live_bytes", summary.live_bytes},
        {"live_blocks", summary.live_blocks},
        {"peak_bytes", summary.peak_bytes},
        {"peak_slack_bytes", summary.peak_slack_bytes}}},
      {"domains", DomainsJson(summary)},
      {"python", PythonJson(summary)},
      {"memory",
       {{"rss_bytes", KnownOrNull(summary.rss_bytes)},
        {"container_usage_bytes", KnownOrNull(summary.container_usage_bytes)},
        {"container_limit_bytes", KnownOrNull(summary.container_limit_bytes)},
        {"tracer_bytes", summary.tracer_bytes}}},
      {"mode", ModeJson(summary)},
      {"resolved",
       {{"live_bytes", shares.live_bytes},
        {"line_bytes", shares.line_bytes},
        {"function_bytes", shares.function_bytes},
        {"module_bytes", shares.module_bytes},
        {"none_bytes", shares.none_bytes}}},
      {"dropped", DropsJson(summary)},
      {"overflow_bytes", summary.overflow_bytes},
      {"shared_bytes", summary.by_thread ? Json(summary.shared_bytes) : Json(nullptr)},
      {"notes", std::move(notes)},
  };
}

Json OptionsJson(const StatisticsOptions& options) {
  return {{"by", GroupByName(options.by)},
          {"cumulative", options.cumulative},
          {"line_of", LineOfName(options.line_of)},
          {"sort", SortByName(options.sort)}};
}

Json FrameJson(const Location& location) {
  return {{"name", Text(location.where)},
          {"file", TextOrNull(location.file)},
          {"line", location.file.empty() ? Json(nullptr) : Json(location.line)},
          {"function", TextOrNull(location.function)},
          {"module", TextOrNull(location.module)},
          {"inlined", location.inlined},
          {"python", location.python}};
}

// Only what all blocks of the group share.
Json GroupJson(const Group& group) {
  const Frame& frame = group.frame;
  switch (group.by) {
    case GroupBy::kLine:
      if (!frame.is_file) return {{"name", Text(frame.file)}, {"file", nullptr}, {"line", nullptr}};
      return {{"name", Text(Str(frame))}, {"file", Text(frame.file)}, {"line", frame.line}};
    case GroupBy::kFile:
      return {{"name", Text(frame.file)}, {"file", frame.is_file ? Text(frame.file) : Json(nullptr)}};
    case GroupBy::kFunction:
      return {
          {"name", Text(Str(group))}, {"function", TextOrNull(frame.function)}, {"module", TextOrNull(frame.module)}};
    case GroupBy::kModule:
      return {{"name", Text(frame.file)}, {"module", TextOrNull(frame.module)}};
    case GroupBy::kThread: {
      Json json = {{"name", Text(frame.file)}};
      json["tid"] = group.stacks->threads()[group.thread].tid;
      json["threads_served"] = group.stacks->threads()[group.thread].threads_served;
      return json;
    }
    case GroupBy::kTraceback: {
      const StackTable& stacks = *group.stacks;
      Json frames = Json::array();
      StackFrames walk = stacks.Frames(group.stack);
      for (auto at = walk.begin(); at != walk.end(); ++at) {
        frames.push_back(FrameJson(stacks.locations()[*at]));
        frames.back()["user"] = at.stack() == stacks.nodes()[group.stack].user;
      }
      return {{"name", Text(Str(FrameOf(stacks.UserLine(group.stack))))}, {"traceback", std::move(frames)}};
    }
  }
  return Json::object();
}

Json StatisticJson(const Statistic& statistic) {
  Json json = GroupJson(statistic.group);
  json["size"] = statistic.size;
  json["size_error"] = std::llround(statistic.size_error());
  json["count"] = statistic.count;
  json["average"] = statistic.count == 0 ? Json(nullptr) : Json(statistic.average());
  json["total_bytes"] = statistic.total_bytes;
  json["total_blocks"] = statistic.total_blocks;
  return json;
}

Json StatisticJson(const StatisticDiff& diff) {
  Json json = GroupJson(diff.group);
  json["size"] = diff.size;
  json["size_error"] = std::llround(diff.size_error());
  json["size_diff"] = diff.size_diff;
  json["size_diff_error"] = std::llround(diff.diff_error());
  json["count"] = diff.count;
  json["count_diff"] = diff.count_diff;
  json["average"] = diff.count == 0 ? Json(nullptr) : Json(diff.average());
  json["total_bytes"] = diff.total_bytes;
  json["total_bytes_diff"] = diff.total_bytes_diff;
  json["total_blocks"] = diff.total_blocks;
  json["total_blocks_diff"] = diff.total_blocks_diff;
  return json;
}

template <typename Item>
Json StatisticsJson(std::span<const Item> items, size_t limit) {
  Json json = Json::array();
  for (const Item& item : items.first(std::min(items.size(), limit))) json.push_back(StatisticJson(item));
  return json;
}

// The nodes that stand on the stacks of `sites`, renumbered from 1 in the order they have: callers first. 0: not on
// any.
std::vector<StackId> NumberStacks(const StackTable& stacks, const std::vector<Site>& sites) {
  std::vector<StackId> numbers(stacks.nodes().size());
  for (const Site& site : sites) {
    if (site.live_blocks == 0 && site.live_bytes == 0) continue;
    for (StackId node = site.stack; node != kRootStack && numbers[node] == 0; node = stacks.nodes()[node].parent) {
      numbers[node] = 1;
    }
  }
  StackId last = 0;
  for (StackId& number : numbers) {
    if (number != 0) number = ++last;
  }
  return numbers;
}

std::string Dump(const Json& json) { return json.dump(2) + "\n"; }

}  // namespace

std::string RenderJson(const Profile& profile, std::span<const Statistic> statistics, const JsonOptions& options) {
  return Dump({{"schema", "allocline.top/1"},
               {"options", OptionsJson(options.statistics)},
               {"profile", ProfileJson(profile, options.statistics.line_of)},
               {"groups", statistics.size()},
               {"statistics", StatisticsJson(statistics, options.limit)}});
}

std::string RenderStacksJson(const Profile& profile, LineOf line_of) {
  const StackTable& table = profile.stacks();
  const std::vector<StackId> numbers = NumberStacks(table, profile.sites());
  std::vector<uint32_t> frame_numbers(table.locations().size(), UINT32_MAX);
  Json frames = Json::array(), stacks = Json::array({{0, nullptr, 0}}), blocks = Json::array();
  for (StackId node = 1; node < numbers.size(); ++node) {
    if (numbers[node] == 0) continue;
    const StackNode& stack = table.nodes()[node];
    uint32_t& frame = frame_numbers[stack.location];
    if (frame == UINT32_MAX) {
      frame = static_cast<uint32_t>(frames.size());
      frames.push_back(FrameJson(table.locations()[stack.location]));
    }
    stacks.push_back({numbers[stack.parent], frame, numbers[stack.user]});
  }
  for (const Site& site : profile.sites()) {
    if (site.live_blocks == 0 && site.live_bytes == 0) continue;
    blocks.push_back({numbers[site.stack], site.domain, site.live_bytes, site.live_blocks});
  }
  const Json document = {{"schema", "allocline.stacks/1"},
                         {"profile", ProfileJson(profile, line_of)},
                         {"frames", std::move(frames)},
                         {"stacks", std::move(stacks)},
                         {"blocks", std::move(blocks)}};
  return document.dump() + "\n";
}

std::string RenderDiffJson(const Profile& profile, const Profile& old, std::span<const StatisticDiff> diffs,
                           const JsonOptions& options) {
  return Dump({{"schema", "allocline.diff/1"},
               {"options", OptionsJson(options.statistics)},
               {"profile", ProfileJson(profile, options.statistics.line_of)},
               {"old_profile", ProfileJson(old, options.statistics.line_of)},
               {"groups", diffs.size()},
               {"statistics", StatisticsJson(diffs, options.limit)}});
}

}  // namespace allocline
