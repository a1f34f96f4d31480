#include "report/render_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "report/escape.h"
#include "report/file_names.h"
#include "report/function_name.h"
#include "report/size_text.h"

namespace allocline {
namespace {

std::string Change(int64_t bytes) { return SignedSizeText(static_cast<double>(bytes)); }
// " ±1.2 MiB", nothing behind what is exact.
std::string Error(double bytes) { return bytes == 0 ? "" : fmt::format(" ±{}", SizeText(bytes)); }

class TextRenderer {
 public:
  TextRenderer(const TextOptions& options, const Profile& profile, const Profile* old) : options_(options) {
    program_ = profile.summary().program;
    if (options.full_paths) return;
    names_.Add(profile.stacks());
    if (old != nullptr) names_.Add(old->stacks());
    names_.Finish();
  }

  std::string Line(const Statistic& statistic) const {
    if (options_.tracemalloc) return Printable(Str(statistic)) + "\n";
    std::string text = fmt::format("{}: size={}{}, count={}", GroupName(statistic.group), SizeText(statistic.size),
                                   Error(statistic.size_error()), statistic.count);
    if (statistic.count != 0) text += fmt::format(", average={}", SizeText(statistic.average()));
    if (options_.show_totals) {
      text += fmt::format(", total={} in {}", SizeText(static_cast<double>(statistic.total_bytes)),
                          CountText(static_cast<int64_t>(statistic.total_blocks), "block"));
    }
    return text + "\n" + Frames(statistic.group);
  }

  std::string Line(const StatisticDiff& diff) const {
    if (options_.tracemalloc) return Printable(Str(diff)) + "\n";
    std::string text = fmt::format("{}: size={}{} ({}{}), count={} ({:+})", GroupName(diff.group), SizeText(diff.size),
                                   Error(diff.size_error()), Change(diff.size_diff), Error(diff.diff_error()),
                                   diff.count, diff.count_diff);
    if (diff.count != 0) text += fmt::format(", average={}", SizeText(diff.average()));
    if (options_.show_totals) {
      text += fmt::format(", total={} ({})", SizeText(static_cast<double>(diff.total_bytes)),
                          Change(diff.total_bytes_diff));
    }
    return text + "\n" + Frames(diff.group);
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
    if (items[0].group.by == GroupBy::kFunction) CountShortFunctions(items);
    std::string text;
    for (const Item& item : items.first(shown)) text += Line(item);
    return text + Rest(items.subspan(shown));
  }

 private:
  template <typename Item>
  void CountShortFunctions(std::span<const Item> items) {
    for (const Item& item : items) ++short_functions_[ShortFunctionName(item.group.frame.function)];
  }

  std::string FileName(std::string_view path) const { return Printable(names_.Short(path)); }

  // Overloads and instantiations that share a short name are shown in full.
  std::string FunctionName(std::string_view function) const {
    if (options_.full_paths) return Printable(function);
    std::string short_name = ShortFunctionName(function);
    auto uses = short_functions_.find(short_name);
    return Printable(uses != short_functions_.end() && uses->second > 1 ? function : short_name);
  }

  std::string FrameName(const Frame& frame) const {
    if (!frame.is_file || frame.line == 0) return FileName(frame.file);
    return fmt::format("{}:{}", FileName(frame.file), frame.line);
  }

  std::string GroupName(const Group& group) const {
    switch (group.by) {
      case GroupBy::kFunction:
        if (group.frame.function.empty()) return FileName(group.frame.file);
        // What is in the program itself needs no saying.
        if (group.frame.module.empty() || group.frame.module == program_) return FunctionName(group.frame.function);
        return fmt::format("{} [{}]", FunctionName(group.frame.function), FileName(group.frame.module));
      case GroupBy::kTraceback: {
        const StackTable& stacks = *group.stacks;
        return FrameName(
            FrameOf(options_.line_of == LineOf::kUser ? stacks.UserLine(group.stack) : stacks.Innermost(group.stack)));
      }
      default:
        return FrameName(group.frame);
    }
  }

  std::string Frames(const Group& group) const {
    if (group.by != GroupBy::kTraceback) return "";
    const StackTable& stacks = *group.stacks;
    StackFrames frames = stacks.Frames(group.stack);
    std::string text;
    for (auto frame = frames.begin(); frame != frames.end(); ++frame) {
      const Location& location = stacks.locations()[*frame];
      bool marked = frame.stack() == stacks.nodes()[group.stack].user;
      std::string name = FrameName(FrameOf(location));
      // Without a file the name holds the function already.
      bool bare = location.file.empty() || location.function.empty();
      text += fmt::format("  {} {}{}{}\n", marked ? '>' : ' ', bare ? "" : FunctionName(location.function) + " at ",
                          name, location.inlined ? " (inlined)" : "");
    }
    return text;
  }

  const TextOptions& options_;
  std::string_view program_;
  FileNames names_;
  absl::flat_hash_map<std::string, size_t> short_functions_;  // by function: how many groups share a short name
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
