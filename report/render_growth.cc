#include "report/render_growth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/escape.h"
#include "report/group_json.h"
#include "report/group_names.h"
#include "report/size_text.h"
#include "report/summary_json.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kSparklineWidth = 24;
constexpr size_t kMostLabelBytes = 60;

std::string NumberOf(size_t count, std::string_view noun) { return CountText(static_cast<int64_t>(count), noun); }

// The label in quotation marks; "page" #3 where several are called so. The end has none.
std::string LabelText(const std::vector<Checkpoint>& checkpoints, size_t point) {
  const Checkpoint& checkpoint = checkpoints[point];
  if (!checkpoint.snapshot) return checkpoint.label;
  size_t same = 0, number = 0;
  for (size_t i = 0; i < checkpoints.size(); ++i) {
    if (!checkpoints[i].snapshot || checkpoints[i].label != checkpoint.label) continue;
    ++same;
    number += i <= point;
  }
  size_t end = checkpoint.label.size();
  if (end > kMostLabelBytes) {
    for (end = kMostLabelBytes; end > 0 && (static_cast<unsigned char>(checkpoint.label[end]) & 0xc0) == 0x80;) --end;
  }
  return fmt::format("\"{}{}\"{}", Printable(checkpoint.label.substr(0, end)),
                     end < checkpoint.label.size() ? "..." : "", same > 1 ? fmt::format(" #{}", number) : "");
}

std::string ChanceText(double p) { return p < 0.001 ? "p<0.001" : fmt::format("p={:.3f}", p); }

class EvidenceWriter {
 public:
  EvidenceWriter(const Verdict& verdict, const Checkpoints& checkpoints) : v_(verdict), points_(checkpoints.chosen) {}

  std::string Text() const {
    switch (v_.kind) {
      case VerdictKind::kTooFew:
        return points_.empty() ? "nothing to compare" : fmt::format("{} at the last", FromTo());
      case VerdictKind::kAccumulating:
        return Accumulating();
      case VerdictKind::kLevelling:
        return fmt::format("grew to {} until {}, and no more in the {} since", SizeText(v_.last), At(v_.end),
                           NumberOf(points_.size() - 1 - v_.end, "checkpoint"));
      case VerdictKind::kStep:
        return fmt::format("{} once, between {} and {}; {} now", Change(Live(v_.last) - Live(v_.first)), At(v_.begin),
                           At(v_.end), SizeText(v_.last));
      case VerdictKind::kBuffer:
        return fmt::format("{} in {}{}", SizeText(v_.last), CountText(v_.last_blocks, "block"),
                           v_.begin + 1 == v_.end && v_.end > 0 && v_.least < v_.last / 2
                               ? fmt::format(", since {}", At(v_.end))
                               : "");
      case VerdictKind::kSawtooth:
        return fmt::format("rises and falls by {}, {} at most{}", SizeText(v_.swing), SizeText(v_.top),
                           v_.allocated_per_checkpoint > 0
                               ? fmt::format("; allocates {} a checkpoint", SizeText(v_.allocated_per_checkpoint))
                               : "");
      case VerdictKind::kSpike:
        return Spike();
      case VerdictKind::kChurn:
        return fmt::format("allocates {} a checkpoint, and holds {} at most", SizeText(v_.allocated_per_checkpoint),
                           SizeText(v_.top));
      case VerdictKind::kShrinking:
        return fmt::format("fell in {} of {}, {}", v_.falls, NumberOf(v_.of, "checkpoint"), FromTo());
      case VerdictKind::kStable:
        return v_.least == v_.most
                   ? fmt::format("{} throughout", SizeText(v_.last))
                   : fmt::format("{} to {}, {} now", SizeText(v_.least), SizeText(v_.most), SizeText(v_.last));
    }
    return "";
  }

 private:
  static double Live(int64_t bytes) { return static_cast<double>(bytes); }
  static std::string Change(double bytes) { return SignedSizeText(bytes); }
  std::string At(size_t point) const {
    return point < points_.size() ? LabelText(points_, point) : std::string("the end");
  }
  std::string FromTo() const { return fmt::format("from {} to {}", SizeText(v_.first), SizeText(v_.last)); }

  std::string Accumulating() const {
    std::string text;
    if (v_.doubles) {
      text = fmt::format("a buffer that grew {} times in {}, {} each on average, to {} in {}", v_.rises,
                         NumberOf(v_.of, "checkpoint"), Change(v_.bytes_per_checkpoint), SizeText(v_.last),
                         CountText(v_.last_blocks, "block"));
    } else if (v_.low_points) {
      text = fmt::format("its low points rose in {} of {}, {} a checkpoint, under teeth of up to {}", v_.rises, v_.of,
                         Change(v_.bytes_per_checkpoint), SizeText(v_.most - v_.least));
    } else {
      text =
          fmt::format("grew in {} of {}, {} {}, to {}", v_.rises, NumberOf(v_.of, "checkpoint"),
                      Change(v_.bytes_per_checkpoint), v_.rises == v_.of ? "each" : "a checkpoint", SizeText(v_.last));
    }
    if (v_.begin > 0 && v_.begin < points_.size()) text += fmt::format(", since {}", At(v_.begin));
    if (v_.falls > 0) text += fmt::format(" ({})", ChanceText(v_.p));
    if (v_.bytes_per_row) text += fmt::format("; {} a row", SizeText(*v_.bytes_per_row));
    return text;
  }

  std::string Spike() const {
    const int64_t peak = v_.peak_bytes.value_or(0);
    if (peak > v_.most) {
      return fmt::format("{} at the peak, {} at most at the checkpoints", SizeText(peak), SizeText(v_.most));
    }
    return fmt::format("{} at {}, {} at the last", SizeText(v_.most), At(v_.begin), SizeText(v_.last));
  }

  const Verdict& v_;
  const std::vector<Checkpoint>& points_;
};

std::string HowToTakeMore() {
  return "take one after each unit of work, with the same label or another: allocline::TakeSnapshot(\"batch\") in C++, "
         "allocline_take_snapshot(\"batch\") in C, allocline.checkpoint(\"batch\") in Python";
}

std::string CheckpointsText(const Checkpoints& checkpoints) {
  const std::vector<Checkpoint>& chosen = checkpoints.chosen;
  std::string text = fmt::format("growth:   {}", NumberOf(chosen.size(), "checkpoint"));
  if (chosen.size() > 1) text += fmt::format(", {} to {}", LabelText(chosen, 0), LabelText(chosen, chosen.size() - 1));
  if (chosen.size() == 1) text += fmt::format(", {}", LabelText(chosen, 0));
  text += "\n";
  if (checkpoints.automatic > 0) {
    text += fmt::format("note:     {} of the ladder left out; --labels takes those that match it\n",
                        NumberOf(checkpoints.automatic, "snapshot"));
  }
  if (checkpoints.unmatched > 0) {
    text +=
        fmt::format("note:     {} left out: --labels does not match\n", NumberOf(checkpoints.unmatched, "snapshot"));
  }
  if (checkpoints.exited) {
    text += "note:     the end is no checkpoint: the program had freed what it frees when it exits\n";
  }
  if (checkpoints.rows_are_sums) {
    text += "note:     rows are taken as each checkpoint's own, and added up: they do not rise\n";
  }
  if (chosen.size() < kLeastCheckpoints) {
    text += fmt::format("note:     {} are too few for a verdict, which needs {}: {}\n",
                        NumberOf(chosen.size(), "checkpoint"), kLeastCheckpoints, HowToTakeMore());
  }
  return text;
}

std::string OutlookText(const Outlook& outlook) {
  std::string text;
  if (outlook.bytes_per_checkpoint > 0) {
    text = fmt::format("{} a checkpoint", SignedSizeText(outlook.bytes_per_checkpoint));
    if (outlook.bytes_per_row) text += fmt::format(", {} a row", SizeText(*outlook.bytes_per_row));
    if (outlook.by_rss) text += " (of the resident set)";
  }
  if (outlook.limit_bytes == 0) {
    return text.empty() ? "" : fmt::format("outlook:  {}; no limit is known, --limit gives one\n", text);
  }
  const std::string limit = SizeText(outlook.limit_bytes);
  const std::string used = SizeText(outlook.usage_bytes);
  if (!outlook.checkpoints_left) return fmt::format("outlook:  {} of {} used, and no growth\n", used, limit);
  text += fmt::format(": {} {} more reach {} ({} used)", LargeCountText(*outlook.checkpoints_left),
                      *outlook.checkpoints_left == 1 ? "checkpoint" : "checkpoints", limit, used);
  if (outlook.rows_left) text += fmt::format(", which is {} rows", LargeCountText(*outlook.rows_left));
  return fmt::format("outlook:  {}\n", text);
}

bool IsShown(const GrowthLine& line) { return line.verdict.top > 0 || line.verdict.kind == VerdictKind::kChurn; }

Json VerdictJson(const Verdict& verdict, const Checkpoints& checkpoints) {
  const bool rate = verdict.kind == VerdictKind::kAccumulating || verdict.kind == VerdictKind::kShrinking;
  return {{"verdict", VerdictName(verdict.kind)},
          {"evidence", ValidUtf8(EvidenceText(verdict, checkpoints))},
          {"first_bytes", verdict.first},
          {"last_bytes", verdict.last},
          {"last_blocks", verdict.last_blocks},
          {"least_bytes", verdict.least},
          {"most_bytes", verdict.most},
          {"peak_bytes", verdict.peak_bytes ? Json(*verdict.peak_bytes) : Json(nullptr)},
          {"rises", verdict.rises},
          {"falls", verdict.falls},
          {"of", verdict.of},
          {"of_low_points", verdict.low_points},
          {"p", verdict.p},
          {"bytes_per_checkpoint", rate ? Json(verdict.bytes_per_checkpoint) : Json(nullptr)},
          {"bytes_per_row", verdict.bytes_per_row ? Json(*verdict.bytes_per_row) : Json(nullptr)},
          {"allocated_per_checkpoint", verdict.allocated_per_checkpoint}};
}

Json CheckpointsJson(const Checkpoints& checkpoints) {
  Json json = Json::array();
  const auto known = [](uint64_t value) { return value == 0 ? Json(nullptr) : Json(value); };
  for (const Checkpoint& checkpoint : checkpoints.chosen) {
    json.push_back({{"label", checkpoint.snapshot ? Json(ValidUtf8(checkpoint.label)) : Json(nullptr)},
                    {"monotonic_ns", known(checkpoint.monotonic_ns)},
                    {"rss_bytes", known(checkpoint.rss_bytes)},
                    {"container_usage_bytes", known(checkpoint.container_usage_bytes)},
                    {"rows", checkpoint.rows == format::kRowsNotGiven ? Json(nullptr) : Json(checkpoint.rows)}});
  }
  return json;
}

Json OutlookJson(const Outlook& outlook) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"limit_bytes", outlook.limit_bytes == 0 ? Json(nullptr) : Json(outlook.limit_bytes)},
          {"usage_bytes", outlook.limit_bytes == 0 ? Json(nullptr) : Json(outlook.usage_bytes)},
          {"bytes_per_checkpoint", outlook.bytes_per_checkpoint},
          {"bytes_per_row", or_null(outlook.bytes_per_row)},
          {"of_resident_set", outlook.by_rss},
          {"checkpoints_left", or_null(outlook.checkpoints_left)},
          {"rows_left", or_null(outlook.rows_left)}};
}

}  // namespace

std::string LargeCountText(double count) {
  constexpr const char* kUnits[] = {"", " k", " M", " G", " T"};
  count = std::floor(count);
  if (count <= 10000) return fmt::format("{:.0f}", count);
  size_t unit = 0;
  for (; count >= 1000 && unit + 1 < std::size(kUnits); ++unit) count /= 1000;
  return fmt::format("{:.1f}{}", count, kUnits[unit]);
}

std::string EvidenceText(const Verdict& verdict, const Checkpoints& checkpoints) {
  return EvidenceWriter(verdict, checkpoints).Text();
}

std::string Sparkline(const LineSeries& series, size_t width) {
  constexpr const char* kHeights[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::vector<int64_t>& live = series.live_bytes;
  if (live.empty()) return "";
  const double most = static_cast<double>(*std::max_element(live.begin(), live.end()));
  if (most <= 0) return "";
  const size_t columns = std::min(width, live.size());
  std::string text;
  for (size_t i = 0; i < columns; ++i) {
    // The highest of what the column stands for: a tooth must not vanish.
    const auto from = live.begin() + static_cast<std::ptrdiff_t>(i * live.size() / columns);
    const auto to = live.begin() + static_cast<std::ptrdiff_t>((i + 1) * live.size() / columns);
    const double share = std::max(0.0, static_cast<double>(*std::max_element(from, to)) / most);
    text += kHeights[std::min<size_t>(7, static_cast<size_t>(share * 8))];
  }
  return text;
}

std::string RenderGrowth(const Profile& profile, const Growth& growth, const GrowthTextOptions& options) {
  std::string text = CheckpointsText(growth.checkpoints);
  if (!growth.checkpoints.chosen.empty()) {
    text += fmt::format("total:    {}: {}\n", VerdictText(growth.total.kind),
                        EvidenceText(growth.total, growth.checkpoints));
  }
  text += OutlookText(growth.outlook) + "\n";

  GroupNames names(profile, nullptr, options.full_paths, growth.line_of);
  std::vector<const GrowthLine*> lines;
  for (const GrowthLine& line : growth.lines) {
    if (IsShown(line)) lines.push_back(&line);
  }
  for (const GrowthLine* line : lines) names.Count(line->group);
  if (lines.empty()) return text + "no live blocks\n";
  for (size_t i = 0; i < std::min(lines.size(), options.limit); ++i) {
    const GrowthLine& line = *lines[i];
    text += fmt::format("{}: {}: {}", names.Name(line.group), VerdictText(line.verdict.kind),
                        EvidenceText(line.verdict, growth.checkpoints));
    if (growth.checkpoints.exited && line.verdict.kind == VerdictKind::kAccumulating) {
      text += fmt::format("; {} left at the end", SizeText(line.live_at_end));
    }
    const std::string sparkline = Sparkline(growth.series.Line(line.id), kSparklineWidth);
    text += fmt::format("{}{}\n{}", sparkline.empty() ? "" : "  ", sparkline, names.Frames(line.group));
  }
  if (lines.size() > options.limit) {
    int64_t most = 0;
    for (size_t i = options.limit; i < lines.size(); ++i) most = std::max(most, lines[i]->verdict.top);
    text += fmt::format("{} other, none above {}\n", lines.size() - options.limit, SizeText(most));
  }
  return text;
}

std::string RenderGrowthJson(const Profile& profile, const Growth& growth, size_t limit) {
  Json lines = Json::array();
  size_t shown = 0;
  for (const GrowthLine& line : growth.lines) {
    if (!IsShown(line)) continue;
    if (++shown > limit) continue;
    Json json = GroupJson(line.group);
    json.update(VerdictJson(line.verdict, growth.checkpoints));
    json["cost_bytes"] = line.cost_bytes;
    json["live_at_end_bytes"] = line.live_at_end;
    const LineSeries series = growth.series.Line(line.id);
    json["live_bytes"] = series.live_bytes;
    json["live_blocks"] = series.live_blocks;
    json["allocated_bytes"] = series.allocated_bytes;
    lines.push_back(std::move(json));
  }
  Json total = VerdictJson(growth.total, growth.checkpoints);
  total["live_bytes"] = growth.series.total().live_bytes;
  const Json document = {
      {"schema", "allocline.growth/1"},
      {"options",
       {{"by", GroupByName(growth.by)}, {"line_of", growth.line_of == LineOf::kUser ? "user" : "innermost"}}},
      {"profile", ProfileJson(profile, growth.line_of)},
      {"checkpoints", CheckpointsJson(growth.checkpoints)},
      {"left_out",
       {{"automatic", growth.checkpoints.automatic},
        {"unmatched", growth.checkpoints.unmatched},
        {"end", growth.checkpoints.exited}}},
      {"rows_are_sums", growth.checkpoints.rows_are_sums},
      {"least_checkpoints", kLeastCheckpoints},
      {"total", std::move(total)},
      {"outlook", OutlookJson(growth.outlook)},
      {"groups", shown},
      {"lines", std::move(lines)}};
  return document.dump(2) + "\n";
}

}  // namespace allocline
