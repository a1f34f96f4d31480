#include "report/render_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/escape.h"
#include "report/group_names.h"
#include "report/size_text.h"

namespace allocline {
namespace {

std::string Change(int64_t bytes) { return SignedSizeText(static_cast<double>(bytes)); }
// " ±1.2 MiB", nothing behind what is exact.
std::string Error(double bytes) { return bytes == 0 ? "" : fmt::format(" ±{}", SizeText(bytes)); }

class TextRenderer {
 public:
  TextRenderer(const TextOptions& options, const Profile& profile, const Profile* old)
      : options_(options), names_(profile, old, options.full_paths, options.line_of) {}

  std::string Line(const Statistic& statistic) const {
    if (options_.tracemalloc) return Printable(Str(statistic)) + "\n";
    std::string text = fmt::format("{}: size={}{}, count={}", names_.Name(statistic.group), SizeText(statistic.size),
                                   Error(statistic.size_error()), statistic.count);
    if (statistic.count != 0) text += fmt::format(", average={}", SizeText(statistic.average()));
    if (options_.show_totals) {
      text += fmt::format(", total={} in {}", SizeText(static_cast<double>(statistic.total_bytes)),
                          CountText(static_cast<int64_t>(statistic.total_blocks), "block"));
    }
    return text + "\n" + names_.Frames(statistic.group);
  }

  std::string Line(const StatisticDiff& diff) const {
    if (options_.tracemalloc) return Printable(Str(diff)) + "\n";
    std::string text = fmt::format("{}: size={}{} ({}{}), count={} ({:+})", names_.Name(diff.group),
                                   SizeText(diff.size), Error(diff.size_error()), Change(diff.size_diff),
                                   Error(diff.diff_error()), diff.count, diff.count_diff);
    if (diff.count != 0) text += fmt::format(", average={}", SizeText(diff.average()));
    if (options_.show_totals) {
      text += fmt::format(", total={} ({})", SizeText(static_cast<double>(diff.total_bytes)),
                          Change(diff.total_bytes_diff));
    }
    return text + "\n" + names_.Frames(diff.group);
  }

  std::string Rest(std::span<const Statistic> rest) const {
    if (rest.empty() || options_.tracemalloc) return "";
    if (options_.cumulative) return fmt::format("{} other\n", rest.size());
    Statistic sum;
    for (const Statistic& statistic : rest) {
      sum.size += statistic.size;
      sum.count += statistic.count;
      sum.variance += statistic.variance;
    }
    return fmt::format("{} other: size={}{}, count={}\n", rest.size(), SizeText(sum.size), Error(sum.size_error()),
                       sum.count);
  }

  std::string Rest(std::span<const StatisticDiff> rest) const {
    if (rest.empty() || options_.tracemalloc) return "";
    if (options_.cumulative) return fmt::format("{} other\n", rest.size());
    StatisticDiff sum;
    for (const StatisticDiff& diff : rest) {
      sum.size += diff.size;
      sum.size_diff += diff.size_diff;
      sum.count += diff.count;
      sum.count_diff += diff.count_diff;
      sum.variance += diff.variance;
      sum.diff_variance += diff.diff_variance;
    }
    return fmt::format("{} other: size={}{} ({}{}), count={} ({:+})\n", rest.size(), SizeText(sum.size),
                       Error(sum.size_error()), Change(sum.size_diff), Error(sum.diff_error()), sum.count,
                       sum.count_diff);
  }

  template <typename Item>
  std::string Table(std::span<const Item> items) {
    if (items.empty()) return options_.tracemalloc ? "" : "no live blocks\n";
    size_t shown = std::min(items.size(), options_.limit);
    for (const Item& item : items) names_.Count(item.group);
    std::string text;
    for (const Item& item : items.first(shown)) text += Line(item);
    return text + Rest(items.subspan(shown));
  }

 private:
  const TextOptions& options_;
  GroupNames names_;
};

}  // namespace

std::string RenderStatistics(const Profile& profile, std::span<const Statistic> statistics,
                             const TextOptions& options) {
  return TextRenderer(options, profile, nullptr).Table(statistics);
}

std::string RenderDiff(const Profile& profile, const Profile& old, std::span<const StatisticDiff> diffs,
                       const TextOptions& options) {
  return TextRenderer(options, profile, &old).Table(diffs);
}

}  // namespace allocline
