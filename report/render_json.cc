#include "report/render_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/group_json.h"
#include "report/summary_json.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;  // fields in the order the schema is documented in

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

Json OptionsJson(const StatisticsOptions& options) {
  return {{"by", GroupByName(options.by)},
          {"cumulative", options.cumulative},
          {"line_of", LineOfName(options.line_of)},
          {"sort", SortByName(options.sort)}};
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
